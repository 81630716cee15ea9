//! What tests set up and look at in AWS (moto) themselves, by boto3: never through the daemon's own client.

mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::{Context, Result, fail};
use crate::moto::{Call, Moto};

pub use read::{Instance, Interface, Record, Rule, SecurityGroup, Zone};

/// The region of every test.
pub const REGION: &str = "eu-west-1";

/// One account of a moto.
#[derive(Debug, Clone)]
pub struct Aws {
    moto: Arc<Moto>,
    account: String,
}

/// A VPC of its own (not the default one) with a subnet in each of three zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `vpc-...`, 10.0.0.0/16.
    pub vpc: String,
    /// The VPC's group `default`, which every new interface has.
    pub default_group: String,
    /// Zone to subnet: `eu-west-1a` has 10.0.0.0/24, b 10.0.1.0/24, c 10.0.2.0/24.
    pub subnets: BTreeMap<String, String>,
}

/// Where an instance's public address comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PublicAddress {
    /// AWS gives one; it changes with a stop and start.
    #[default]
    Assigned,
    /// An elastic one, of the test's choice; it stays.
    Elastic(String),
    /// None: the instance can't be reached from the internet.
    None,
}

/// An instance to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Its zone, as `eu-west-1a`.
    pub zone: String,
    /// Its private address, in the zone's subnet; `None`: any.
    pub private: Option<String>,
    /// Its public address.
    pub public: PublicAddress,
    /// How many interfaces it has; EKS nodes have several.
    pub interfaces: usize,
}

impl Default for NewInstance {
    fn default() -> Self {
        Self { zone: format!("{REGION}a"), private: None, public: PublicAddress::Assigned, interfaces: 1 }
    }
}

impl Aws {
    /// The account `account` of a moto.
    pub fn new(moto: Arc<Moto>, account: impl Into<String>) -> Self {
        Self { moto, account: account.into() }
    }

    /// The account's number.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Any call by boto3, for what isn't below: the whole answer.
    pub async fn call(&self, service: &str, method: &str, arguments: Value) -> Result<Value> {
        self.moto.call(Call { account: &self.account, region: REGION, service, method, arguments, list: None }).await
    }

    /// Any call by boto3 that lists: the list `list` of all pages.
    pub async fn list(&self, service: &str, method: &str, arguments: Value, list: &str) -> Result<Vec<Value>> {
        let call = Call { account: &self.account, region: REGION, service, method, arguments, list: Some(list) };
        match self.moto.call(call).await? {
            Value::Array(items) => Ok(items),
            other => fail(format!("{service}.{method}: {list} is no list: {other}")),
        }
    }

    /// Makes the test's VPC.
    pub async fn create_network(&self) -> Result<Network> {
        let vpc = self.call("ec2", "create_vpc", json!({"CidrBlock": "10.0.0.0/16"})).await?;
        let vpc = read::text(&vpc, "/Vpc/VpcId")?;
        let mut subnets = BTreeMap::new();
        for (number, letter) in ["a", "b", "c"].into_iter().enumerate() {
            let zone = format!("{REGION}{letter}");
            let arguments = json!({"VpcId": vpc, "CidrBlock": format!("10.0.{number}.0/24"), "AvailabilityZone": zone});
            let subnet = self.call("ec2", "create_subnet", arguments).await?;
            subnets.insert(zone, read::text(&subnet, "/Subnet/SubnetId")?);
        }
        let groups = self.security_groups().await?;
        let default_group = groups.into_iter().find(|group| group.vpc == vpc).context("a VPC without a group")?.id;
        Ok(Network { vpc, default_group, subnets })
    }

    /// Runs an instance.
    pub async fn run_instance(&self, network: &Network, new: &NewInstance) -> Result<Instance> {
        let subnet = network.subnets.get(&new.zone).context(format!("no subnet in {}", new.zone))?;
        let mut interfaces = Vec::new();
        for index in 0..new.interfaces.max(1) {
            let mut interface = json!({"DeviceIndex": index, "SubnetId": subnet, "DeleteOnTermination": true});
            if index == 0 {
                crate::set(&mut interface, "AssociatePublicIpAddress", json!(new.public == PublicAddress::Assigned));
                if let Some(private) = &new.private {
                    crate::set(&mut interface, "PrivateIpAddress", json!(private));
                }
            }
            interfaces.push(interface);
        }
        let arguments = json!({
            "MinCount": 1, "MaxCount": 1, "ImageId": "ami-12c6146b", "InstanceType": "t3.small",
            "NetworkInterfaces": interfaces
        });
        let answer = self.call("ec2", "run_instances", arguments).await?;
        let id = read::text(&answer, "/Instances/0/InstanceId")?;
        if let PublicAddress::Elastic(address) = &new.public {
            let primary = self.instance(&id).await?.primary_interface()?.id.clone();
            let arguments = json!({"Domain": "vpc", "Address": address});
            let allocated = self.call("ec2", "allocate_address", arguments).await?;
            let arguments =
                json!({"AllocationId": read::text(&allocated, "/AllocationId")?, "NetworkInterfaceId": primary});
            self.call("ec2", "associate_address", arguments).await?;
        }
        self.instance(&id).await
    }

    /// All instances.
    pub async fn instances(&self) -> Result<Vec<Instance>> {
        let reservations = self.list("ec2", "describe_instances", json!({}), "Reservations").await?;
        reservations.iter().flat_map(|reservation| read::items(reservation, "Instances")).map(Instance::read).collect()
    }

    /// One instance.
    pub async fn instance(&self, id: &str) -> Result<Instance> {
        let answer = self.call("ec2", "describe_instances", json!({"InstanceIds": [id]})).await?;
        Instance::read(answer.pointer("/Reservations/0/Instances/0").context(format!("no instance {id}"))?)
    }

    /// Stops an instance: an assigned public address is gone.
    pub async fn stop_instance(&self, id: &str) -> Result<()> {
        self.call("ec2", "stop_instances", json!({"InstanceIds": [id]})).await.map(drop)
    }

    /// Starts a stopped instance: it gets another assigned public address.
    pub async fn start_instance(&self, id: &str) -> Result<()> {
        self.call("ec2", "start_instances", json!({"InstanceIds": [id]})).await.map(drop)
    }

    /// Terminates an instance.
    pub async fn terminate_instance(&self, id: &str) -> Result<()> {
        self.call("ec2", "terminate_instances", json!({"InstanceIds": [id]})).await.map(drop)
    }

    /// All security groups with their inbound rules.
    pub async fn security_groups(&self) -> Result<Vec<SecurityGroup>> {
        let groups = self.list("ec2", "describe_security_groups", json!({}), "SecurityGroups").await?;
        groups.iter().map(SecurityGroup::read).collect()
    }

    /// The ids of the groups on an interface, sorted.
    pub async fn interface_groups(&self, interface: &str) -> Result<Vec<String>> {
        let arguments = json!({"NetworkInterfaceIds": [interface]});
        let answer = self.call("ec2", "describe_network_interfaces", arguments).await?;
        let interface = answer.pointer("/NetworkInterfaces/0").context(format!("no interface {interface}"))?;
        read::group_ids(interface)
    }

    /// Sets the groups of an instance with one interface, as another controller or a person would.
    pub async fn set_instance_groups(&self, instance: &str, groups: &[String]) -> Result<()> {
        let arguments = json!({"InstanceId": instance, "Groups": groups});
        self.call("ec2", "modify_instance_attribute", arguments).await.map(drop)
    }

    /// Sets the groups on an interface, as another controller or a person would. moto keeps these apart from those
    /// that are set on the instance, and shows both: what was set here is only taken off here.
    pub async fn set_interface_groups(&self, interface: &str, groups: &[String]) -> Result<()> {
        let arguments = json!({"NetworkInterfaceId": interface, "Groups": groups});
        self.call("ec2", "modify_network_interface_attribute", arguments).await.map(drop)
    }

    /// Makes a group with tags, as someone else's or as the 2018 version's. Returns its id.
    pub async fn create_security_group(
        &self,
        network: &Network,
        name: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<String> {
        let mut arguments = json!({"GroupName": name, "Description": name, "VpcId": network.vpc});
        if !tags.is_empty() {
            let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            crate::set(&mut arguments, "TagSpecifications", json!([{"ResourceType": "security-group", "Tags": tags}]));
        }
        read::text(&self.call("ec2", "create_security_group", arguments).await?, "/GroupId")
    }

    /// Adds an inbound rule to a group.
    pub async fn authorize(&self, group: &str, rule: &Rule) -> Result<()> {
        let arguments = json!({"GroupId": group, "IpPermissions": [rule.permission()]});
        self.call("ec2", "authorize_security_group_ingress", arguments).await.map(drop)
    }

    /// Removes an inbound rule from a group.
    pub async fn revoke(&self, group: &str, rule: &Rule) -> Result<()> {
        let arguments = json!({"GroupId": group, "IpPermissions": [rule.permission()]});
        self.call("ec2", "revoke_security_group_ingress", arguments).await.map(drop)
    }

    /// Makes a public hosted zone.
    pub async fn create_zone(&self, name: &str) -> Result<Zone> {
        let arguments = json!({"Name": name, "CallerReference": format!("{name}-{}", crate::unique())});
        let answer = self.call("route53", "create_hosted_zone", arguments).await?;
        Zone::read(answer.pointer("/HostedZone").context("no HostedZone")?)
    }

    /// The records of a zone, without the NS and SOA records of the zone itself; sorted by name and type.
    pub async fn records(&self, zone: &Zone) -> Result<Vec<Record>> {
        let arguments = json!({"HostedZoneId": zone.id});
        let sets = self.list("route53", "list_resource_record_sets", arguments, "ResourceRecordSets").await?;
        let mut records = sets.iter().map(Record::read).collect::<Result<Vec<_>>>()?;
        records.retain(|record| !(record.name == zone.name && ["NS", "SOA"].contains(&record.kind.as_str())));
        records.sort();
        Ok(records)
    }

    /// Makes a record, as someone else's.
    pub async fn create_record(&self, zone: &Zone, record: &Record) -> Result<()> {
        self.change_record(zone, "CREATE", record).await
    }

    /// Deletes a record, as someone else would.
    pub async fn delete_record(&self, zone: &Zone, record: &Record) -> Result<()> {
        self.change_record(zone, "DELETE", record).await
    }

    async fn change_record(&self, zone: &Zone, action: &str, record: &Record) -> Result<()> {
        let change = json!({"Action": action, "ResourceRecordSet": record.record_set()});
        let arguments = json!({"HostedZoneId": zone.id, "ChangeBatch": {"Changes": [change]}});
        self.call("route53", "change_resource_record_sets", arguments).await.map(drop)
    }
}
