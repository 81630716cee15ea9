//! A call in one line, as tests compare them: what it does to what, without ids that nobody can know beforehand.

use super::AwsCall;

impl AwsCall {
    /// What the call does: `AuthorizeSecurityGroupIngress udp/6315 from 0.0.0.0/0`, `CreateSecurityGroup i-1`,
    /// `ModifyInstanceAttribute i-1`, `ChangeResourceRecordSets DELETE A a.b. 60 [1.2.3.4], ...` in the order of names
    /// and types within an action. Others: the operation.
    pub fn summary(&self) -> String {
        let object = match self.operation.as_str() {
            "CreateSecurityGroup" => self.get("GroupName").rsplit('/').next().unwrap_or_default().to_owned(),
            "ModifyInstanceAttribute" => self.get("InstanceId").to_owned(),
            "ModifyNetworkInterfaceAttribute" => self.get("NetworkInterfaceId").to_owned(),
            "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress" => self.rules().join(", "),
            "ChangeResourceRecordSets" => self.record_changes().join(", "),
            _ => String::new(),
        };
        format!("{} {object}", self.operation).trim_end().to_owned()
    }

    /// The groups that a Modify call leaves on an interface, in its order.
    pub fn groups(&self) -> Vec<String> {
        self.list(&["GroupId", "SecurityGroupId"].map(str::to_owned))
    }

    fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map(String::as_str).unwrap_or_default()
    }

    fn list(&self, names: &[String]) -> Vec<String> {
        let mut list = Vec::new();
        for name in names {
            list.extend((1..).map_while(|number| self.parameters.get(&format!("{name}.{number}"))).cloned());
        }
        list
    }

    fn rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        for permission in (1..).map(|number| format!("IpPermissions.{number}")) {
            let Some(protocol) = self.parameters.get(&format!("{permission}.IpProtocol")) else { break };
            let (from, to) = (self.get(&format!("{permission}.FromPort")), self.get(&format!("{permission}.ToPort")));
            let ports = if from == to { from.to_owned() } else { format!("{from}-{to}") };
            for (list, member) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
                let sources =
                    (1..).map_while(|number| self.parameters.get(&format!("{permission}.{list}.{number}.{member}")));
                rules.extend(sources.map(|source| format!("{protocol}/{ports} from {source}")));
            }
        }
        rules.sort();
        rules
    }

    fn record_changes(&self) -> Vec<String> {
        let mut changes = Vec::new();
        for change in (1..).map(|number| format!("Change.{number}")) {
            let Some(action) = self.parameters.get(&format!("{change}.Action")) else { break };
            let field = |name: &str| self.get(&format!("{change}.{name}"));
            let mut values = self.list(&[format!("{change}.Value")]);
            values.sort();
            // A twin's value says whose it is: the same in the whole of a test.
            let values = if field("Type") == "TXT" { String::new() } else { format!(" [{}]", values.join(", ")) };
            let ttl = field("TTL");
            changes.push((action.clone(), format!("{} {} {ttl}{values}", field("Type"), field("Name"))));
        }
        // Deletions first, as they are in the batch; the order within an action has no meaning.
        changes.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        changes.into_iter().map(|(action, record)| format!("{action} {record}")).collect()
    }
}
