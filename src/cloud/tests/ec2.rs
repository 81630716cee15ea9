//! A small EC2, as strict as AWS's where it matters here.

use std::collections::BTreeMap;

use super::aws::{Aws, Call};

type Answer = Result<String, (&'static str, String)>;
/// Protocol, first and last port, range.
pub(crate) type Permission = (String, String, String, String);

#[derive(Clone, Debug)]
pub(crate) struct Vm {
    pub state: &'static str,
    pub private_ip: String,
    pub public_ip: Option<String>,
    pub interfaces: usize,
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SecurityGroup {
    pub name: String,
    pub vpc: String,
    pub tags: BTreeMap<String, String>,
    pub rules: BTreeMap<Permission, String>,
    /// Permissions of other kinds, as they are shown.
    pub foreign: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ec2 {
    pub instances: BTreeMap<String, Vm>,
    pub groups: BTreeMap<String, SecurityGroup>,
    made: usize,
}

impl Aws {
    /// An instance with the group `sg-nodes`.
    pub fn instance(&self, id: &str, last_byte: u8) {
        let vm = Vm {
            state: "running",
            private_ip: format!("10.0.0.{last_byte}"),
            public_ip: Some(format!("203.0.113.{last_byte}")),
            interfaces: 1,
            groups: vec!["sg-nodes".into()],
        };
        let mut state = self.state();
        state.ec2.groups.entry("sg-nodes".into()).or_insert_with(|| SecurityGroup {
            name: "nodes".into(),
            vpc: "vpc-1".into(),
            ..SecurityGroup::default()
        });
        state.ec2.instances.insert(id.into(), vm);
    }

    /// A group that carries our tag.
    pub fn group(&self, id: &str, name: &str) {
        let tags = BTreeMap::from([("external-ips/c1".to_owned(), "owned".to_owned())]);
        let group = SecurityGroup { name: name.into(), vpc: "vpc-1".into(), tags, ..SecurityGroup::default() };
        self.state().ec2.groups.insert(id.into(), group);
    }

    pub fn vm<R>(&self, id: &str, f: impl FnOnce(&mut Vm) -> R) -> R {
        f(self.state().ec2.instances.get_mut(id).unwrap())
    }

    pub fn sg<R>(&self, id: &str, f: impl FnOnce(&mut SecurityGroup) -> R) -> R {
        f(self.state().ec2.groups.get_mut(id).unwrap())
    }
}

/// `udp`, one port, everybody.
pub(crate) fn permission(port: u16) -> Permission {
    ("udp".into(), port.to_string(), port.to_string(), "0.0.0.0/0".into())
}

struct Form(BTreeMap<String, String>);

impl Form {
    fn new(body: &str) -> Form {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Form(pairs.map(|(key, value)| (decoded(key), decoded(value))).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn need(&self, key: &str) -> String {
        self.get(key).unwrap_or_else(|| panic!("{key} is missing in {:?}", self.0)).to_owned()
    }

    /// The values of `key.1`, `key.2`, ...
    fn list(&self, key: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{key}.{n}")).map(str::to_owned)).collect()
    }

    fn filter(&self, name: &str) -> Option<Vec<String>> {
        let n = (1..10).find(|n| self.get(&format!("Filter.{n}.Name")) == Some(name))?;
        let values = self.list(&format!("Filter.{n}.Value"));
        assert!(values.len() <= 200, "a filter has 200 values at most");
        Some(values)
    }

    fn permissions(&self) -> Vec<(Permission, String)> {
        let mut all = Vec::new();
        for n in (1..).take_while(|n| self.get(&format!("IpPermissions.{n}.IpProtocol")).is_some()) {
            let of = |key: &str| self.need(&format!("IpPermissions.{n}.{key}"));
            for (ranges, cidr) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
                let at = |m: usize, key: &str| self.get(&format!("IpPermissions.{n}.{ranges}.{m}.{key}"));
                for m in (1..).take_while(|m| at(*m, cidr).is_some()) {
                    let source = at(m, cidr).unwrap().to_owned();
                    let key = (of("IpProtocol"), of("FromPort"), of("ToPort"), source);
                    all.push((key, at(m, "Description").unwrap_or("").to_owned()));
                }
            }
        }
        all
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap()
}

impl Ec2 {
    pub fn handle(&mut self, call: &Call, shown: Option<&Ec2>) -> Answer {
        let form = Form::new(&call.body);
        match call.operation {
            "DescribeInstances" => Ok(shown.unwrap_or(self).describe_instances(&form)),
            "DescribeSecurityGroups" => Ok(shown.unwrap_or(self).describe_groups(&form)),
            "CreateSecurityGroup" => self.create(&form),
            "DeleteSecurityGroup" => self.delete(&form),
            "AuthorizeSecurityGroupIngress" => self.authorize(&form),
            "RevokeSecurityGroupIngress" => self.revoke(&form),
            "ModifyInstanceAttribute" => {
                let id = form.need("InstanceId");
                if self.instances[&id].interfaces > 1 {
                    let message = format!("There are multiple interfaces attached to instance '{id}'.");
                    return Err(("InvalidInstanceID", message));
                }
                self.set_groups(&id, form.list("GroupId"))
            }
            "ModifyNetworkInterfaceAttribute" => {
                let id = form.need("NetworkInterfaceId").strip_prefix("eni-").unwrap().to_owned();
                self.set_groups(&id, form.list("SecurityGroupId"))
            }
            other => panic!("{other} isn't played"),
        }
    }

    fn describe_instances(&self, form: &Form) -> String {
        let wanted = form.filter("instance-id").expect("instances are read by filter");
        assert!(form.get("InstanceId.1").is_none());
        let items = self.instances.iter().filter(|(id, _)| wanted.contains(id)).map(|(id, vm)| describe(id, vm));
        format!("<reservationSet>{}</reservationSet>", items.collect::<String>())
    }

    fn describe_groups(&self, form: &Form) -> String {
        let keys = form.filter("tag-key");
        let names = form.filter("group-name");
        let items = self.groups.iter().filter(|(_, group)| {
            keys.as_ref().is_none_or(|keys| keys.iter().any(|key| group.tags.contains_key(key)))
                && names.as_ref().is_none_or(|names| names.contains(&group.name))
        });
        let items = items.map(|(id, group)| {
            let tags = group.tags.iter().map(|(k, v)| format!("<item><key>{k}</key><value>{v}</value></item>"));
            let rules = group.rules.iter().map(|((protocol, from, to, cidr), description)| {
                let (list, key) =
                    if cidr.contains(':') { ("ipv6Ranges", "cidrIpv6") } else { ("ipRanges", "cidrIp") };
                format!(
                    "<item><ipProtocol>{protocol}</ipProtocol><fromPort>{from}</fromPort><toPort>{to}</toPort><{list}><item><{key}>{cidr}</{key}><description>{description}</description></item></{list}></item>"
                )
            });
            format!(
                "<item><groupId>{id}</groupId><groupName>{}</groupName><vpcId>{}</vpcId><tagSet>{}</tagSet><ipPermissions>{}{}</ipPermissions></item>",
                group.name,
                group.vpc,
                tags.collect::<String>(),
                rules.collect::<String>(),
                group.foreign
            )
        });
        format!("<securityGroupInfo>{}</securityGroupInfo>", items.collect::<String>())
    }

    fn create(&mut self, form: &Form) -> Answer {
        let (name, vpc) = (form.need("GroupName"), form.need("VpcId"));
        if self.groups.values().any(|group| group.name == name && group.vpc == vpc) {
            return Err(("InvalidGroup.Duplicate", format!("The security group '{name}' already exists")));
        }
        assert_eq!(form.need("TagSpecification.1.ResourceType"), "security-group");
        let tag = |n: usize, key: &str| form.get(&format!("TagSpecification.1.Tag.{n}.{key}")).map(str::to_owned);
        let tags = (1..).map_while(|n| Some((tag(n, "Key")?, tag(n, "Value")?))).collect();
        self.made += 1;
        let id = format!("sg-new{}", self.made);
        self.groups.insert(id.clone(), SecurityGroup { name, vpc, tags, ..SecurityGroup::default() });
        Ok(format!("<groupId>{id}</groupId>"))
    }

    fn group(&mut self, id: &str) -> Result<&mut SecurityGroup, (&'static str, String)> {
        self.groups.get_mut(id).ok_or_else(|| ("InvalidGroup.NotFound", format!("'{id}' does not exist")))
    }

    fn delete(&mut self, form: &Form) -> Answer {
        let id = form.need("GroupId");
        self.group(&id)?;
        if self.instances.values().any(|vm| vm.groups.contains(&id)) {
            return Err(("DependencyViolation", format!("resource {id} has a dependent object")));
        }
        self.groups.remove(&id);
        Ok(String::new())
    }

    fn authorize(&mut self, form: &Form) -> Answer {
        let permissions = form.permissions();
        let group = self.group(&form.need("GroupId"))?;
        if permissions.iter().any(|(permission, _)| group.rules.contains_key(permission)) {
            return Err(("InvalidPermission.Duplicate", "the specified rule already exists".into()));
        }
        if group.rules.len() + permissions.len() > 60 {
            return Err(("RulesPerSecurityGroupLimitExceeded", "the maximum number of rules has been reached".into()));
        }
        group.rules.extend(permissions);
        Ok("<return>true</return>".into())
    }

    fn revoke(&mut self, form: &Form) -> Answer {
        let permissions = form.permissions();
        let group = self.group(&form.need("GroupId"))?;
        assert!(permissions.iter().all(|(_, description)| description.is_empty()));
        let unknown = permissions.iter().any(|(permission, _)| !group.rules.contains_key(permission));
        if unknown && group.vpc != "vpc-default" {
            return Err(("InvalidPermission.NotFound", "the specified rule does not exist".into()));
        }
        group.rules.retain(|rule, _| !permissions.iter().any(|(permission, _)| permission == rule));
        let told = if unknown { "<item><ipProtocol>udp</ipProtocol></item>" } else { "" };
        Ok(format!("<return>true</return><unknownIpPermissionSet>{told}</unknownIpPermissionSet>"))
    }

    fn set_groups(&mut self, id: &str, groups: Vec<String>) -> Answer {
        assert!(!groups.is_empty(), "an interface has a group");
        for group in &groups {
            self.group(group)?;
        }
        if groups.len() > 5 {
            let message = "The maximum number of security groups per interface has been reached.".into();
            return Err(("SecurityGroupsPerInterfaceLimitExceeded", message));
        }
        self.instances.get_mut(id).unwrap().groups = groups;
        Ok("<return>true</return>".into())
    }
}

fn describe(id: &str, vm: &Vm) -> String {
    let groups = vm.groups.iter().map(|group| format!("<item><groupId>{group}</groupId></item>")).collect::<String>();
    let public = vm.public_ip.iter().map(|ip| format!("<association><publicIp>{ip}</publicIp></association>"));
    let public = public.collect::<String>();
    let private = &vm.private_ip;
    // The primary interface comes last, and each has a second address.
    let interfaces = (0..vm.interfaces).rev().map(|index| {
        let (eni, groups, private, public) = match index {
            0 => (format!("eni-{id}"), groups.as_str(), private.as_str(), public.as_str()),
            n => (format!("eni-{id}-{n}"), "", "10.9.9.9", ""),
        };
        format!(
            "<item><networkInterfaceId>{eni}</networkInterfaceId><vpcId>vpc-1</vpcId><privateIpAddress>{private}</privateIpAddress><groupSet>{groups}</groupSet>\
             <attachment><deviceIndex>{index}</deviceIndex><status>attached</status><networkCardIndex>0</networkCardIndex></attachment>{public}\
             <privateIpAddressesSet><item><privateIpAddress>10.8.8.8</privateIpAddress><primary>false</primary><association><publicIp>198.51.100.9</publicIp></association></item>\
             <item><privateIpAddress>{private}</privateIpAddress><primary>true</primary>{public}</item></privateIpAddressesSet></item>"
        )
    });
    format!(
        "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>{}</name></instanceState><placement><availabilityZone>eu-west-1a</availabilityZone></placement><vpcId>vpc-1</vpcId><privateIpAddress>{private}</privateIpAddress><groupSet>{groups}</groupSet><networkInterfaceSet>{}</networkInterfaceSet></item></instancesSet></item>",
        vm.state,
        interfaces.collect::<String>()
    )
}
