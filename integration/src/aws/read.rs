//! The small types that boto3's answers are read into.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Context, Result};

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-...`.
    pub id: String,
    /// `pending`, `running`, `stopped`, `terminated`.
    pub state: String,
    /// Its availability zone; empty when terminated.
    pub zone: String,
    /// Its primary private address.
    pub private: Option<String>,
    /// Its public address.
    pub public: Option<String>,
    /// Its interfaces by device index.
    pub interfaces: Vec<Interface>,
}

/// A network interface of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `eni-...`.
    pub id: String,
    /// 0 is the primary one.
    pub device_index: u64,
    /// The ids of its groups, sorted.
    pub groups: Vec<String>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-...`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its VPC.
    pub vpc: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its inbound rules, one for each source, sorted.
    pub rules: Vec<Rule>,
}

/// An inbound rule with one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// `tcp`, `udp`, `icmp`, `-1`.
    pub protocol: String,
    /// The first and the last port; -1 for all.
    pub ports: (i64, i64),
    /// A CIDR block, or another group's id.
    pub source: String,
    /// Its description, empty without one.
    pub description: String,
}

/// A hosted zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Without `/hostedzone/`.
    pub id: String,
    /// With its last dot.
    pub name: String,
}

/// A record set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// As Route 53 writes it, with its last dot.
    pub name: String,
    /// `A`, `TXT`, ...
    pub kind: String,
    /// Seconds.
    pub ttl: i64,
    /// Sorted.
    pub values: Vec<String>,
}

impl Instance {
    /// The interface with device index 0.
    pub fn primary_interface(&self) -> Result<&Interface> {
        self.interfaces.iter().find(|interface| interface.device_index == 0).context("no primary interface")
    }

    pub(super) fn read(value: &Value) -> Result<Self> {
        let mut interfaces = Vec::new();
        for interface in items(value, "NetworkInterfaces") {
            interfaces.push(Interface {
                id: text(interface, "/NetworkInterfaceId")?,
                device_index: interface.pointer("/Attachment/DeviceIndex").and_then(Value::as_u64).unwrap_or_default(),
                groups: group_ids(interface)?,
            });
        }
        interfaces.sort_by_key(|interface| interface.device_index);
        Ok(Self {
            id: text(value, "/InstanceId")?,
            state: text(value, "/State/Name")?,
            zone: text(value, "/Placement/AvailabilityZone").unwrap_or_default(),
            private: text(value, "/PrivateIpAddress").ok(),
            public: text(value, "/PublicIpAddress").ok(),
            interfaces,
        })
    }
}

impl SecurityGroup {
    pub(super) fn read(value: &Value) -> Result<Self> {
        let mut tags = BTreeMap::new();
        for tag in items(value, "Tags") {
            tags.insert(text(tag, "/Key")?, text(tag, "/Value")?);
        }
        let mut rules = Vec::new();
        for permission in items(value, "IpPermissions") {
            let port = |name: &str| permission.get(name).and_then(Value::as_i64).unwrap_or(-1);
            let kinds = [("IpRanges", "/CidrIp"), ("Ipv6Ranges", "/CidrIpv6"), ("UserIdGroupPairs", "/GroupId")];
            for (list, source) in kinds {
                for item in items(permission, list) {
                    rules.push(Rule {
                        protocol: text(permission, "/IpProtocol")?,
                        ports: (port("FromPort"), port("ToPort")),
                        source: text(item, source)?,
                        description: text(item, "/Description").unwrap_or_default(),
                    });
                }
            }
        }
        rules.sort();
        Ok(Self {
            id: text(value, "/GroupId")?,
            name: text(value, "/GroupName")?,
            description: text(value, "/Description").unwrap_or_default(),
            vpc: text(value, "/VpcId").unwrap_or_default(),
            tags,
            rules,
        })
    }
}

impl Rule {
    /// A rule for one port and source, without a description.
    pub fn new(protocol: &str, port: u16, source: &str) -> Self {
        let ports = (port.into(), port.into());
        Self { protocol: protocol.to_owned(), ports, source: source.to_owned(), description: String::new() }
    }

    pub(super) fn permission(&self) -> Value {
        let (list, member) = match self.source.as_str() {
            source if source.starts_with("sg-") => ("UserIdGroupPairs", "GroupId"),
            source if source.contains(':') => ("Ipv6Ranges", "CidrIpv6"),
            _ => ("IpRanges", "CidrIp"),
        };
        let mut source = json!({});
        crate::set(&mut source, member, json!(self.source));
        if !self.description.is_empty() {
            crate::set(&mut source, "Description", json!(self.description));
        }
        let mut permission = json!({"IpProtocol": self.protocol, "FromPort": self.ports.0, "ToPort": self.ports.1});
        crate::set(&mut permission, list, json!([source]));
        permission
    }
}

impl Zone {
    pub(super) fn read(value: &Value) -> Result<Self> {
        let id = text(value, "/Id")?.trim_start_matches("/hostedzone/").to_owned();
        Ok(Self { id, name: text(value, "/Name")? })
    }
}

impl Record {
    /// A record set; the values are sorted.
    pub fn new(name: &str, kind: &str, ttl: i64, values: &[&str]) -> Self {
        let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        values.sort();
        Self { name: name.to_owned(), kind: kind.to_owned(), ttl, values }
    }

    pub(super) fn read(value: &Value) -> Result<Self> {
        let mut values =
            items(value, "ResourceRecords").map(|record| text(record, "/Value")).collect::<Result<Vec<_>>>()?;
        values.sort();
        Ok(Self {
            name: text(value, "/Name")?,
            kind: text(value, "/Type")?,
            ttl: value.get("TTL").and_then(Value::as_i64).unwrap_or_default(),
            values,
        })
    }

    pub(super) fn record_set(&self) -> Value {
        let values: Vec<Value> = self.values.iter().map(|value| json!({"Value": value})).collect();
        json!({"Name": self.name, "Type": self.kind, "TTL": self.ttl, "ResourceRecords": values})
    }
}

/// The text at a JSON pointer.
pub(super) fn text(value: &Value, pointer: &str) -> Result<String> {
    Ok(value.pointer(pointer).and_then(Value::as_str).context(format!("no {pointer} in {value}"))?.to_owned())
}

/// The items of a list, none when it is missing.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The ids of the groups of an interface, sorted.
pub(super) fn group_ids(interface: &Value) -> Result<Vec<String>> {
    let mut ids = items(interface, "Groups").map(|group| text(group, "/GroupId")).collect::<Result<Vec<_>>>()?;
    ids.sort();
    Ok(ids)
}
