//! Rules in and out of groups.

use aws_api::ec2;

use super::ground::{Ground, filter};

fn permission(from: i64, to: i64, cidr: &str) -> ec2::IpPermission {
    let mut permission = ec2::IpPermission {
        ip_protocol: Some("udp".into()),
        from_port: Some(from),
        to_port: Some(to),
        ..Default::default()
    };
    let description = Some("default/game udp".to_owned());
    if cidr.contains(':') {
        permission.ipv6_ranges.push(ec2::Ipv6Range { description, cidr_ipv6: Some(cidr.into()) });
    } else {
        permission.ip_ranges.push(ec2::IpRange { description, cidr_ip: Some(cidr.into()) });
    }
    permission
}

fn open(group: &str, permissions: Vec<ec2::IpPermission>) -> ec2::AuthorizeSecurityGroupIngress {
    ec2::AuthorizeSecurityGroupIngress {
        group_id: Some(group.into()),
        ip_permissions: permissions,
        ..Default::default()
    }
}

fn close(group: &str, permissions: Vec<ec2::IpPermission>) -> ec2::RevokeSecurityGroupIngress {
    let plain = |mut permission: ec2::IpPermission| {
        permission.ip_ranges.iter_mut().for_each(|range| range.description = None);
        permission.ipv6_ranges.iter_mut().for_each(|range| range.description = None);
        permission
    };
    ec2::RevokeSecurityGroupIngress {
        group_id: Some(group.into()),
        ip_permissions: permissions.into_iter().map(plain).collect(),
        ..Default::default()
    }
}

/// The rules of a group: `udp/1-2 from a, b`.
async fn rules(ground: &Ground, group: &str) -> String {
    let by_id = ec2::DescribeSecurityGroups { filters: vec![filter("group-id", &[group])], ..Default::default() };
    let group = ground.get(&by_id).await.security_groups.remove(0);
    let mut rules: Vec<String> = Vec::new();
    for permission in group.ip_permissions {
        let v4 = permission.ip_ranges.into_iter().map(|range| (range.cidr_ip.unwrap(), range.description));
        let v6 = permission.ipv6_ranges.into_iter().map(|range| (range.cidr_ipv6.unwrap(), range.description));
        let (protocol, from, to) =
            (permission.ip_protocol.unwrap(), permission.from_port.unwrap(), permission.to_port.unwrap());
        rules.extend(v4.chain(v6).map(|(cidr, description)| {
            format!("{protocol}/{from}-{to} from {cidr} ({})", description.unwrap_or_default())
        }));
    }
    rules.sort();
    rules.join(", ")
}

pub const OPENING: &str = "\
open two: done
the answer has: 2 rules with ids
the rules: udp/53-53 from 0.0.0.0/0 (default/game udp), udp/60-70 from 2001:db8::/32 (default/game udp)
open one again: 400 InvalidPermission.Duplicate
open a new one and one again: 400 InvalidPermission.Duplicate
the rules are still: 2
the same twice in one request: 400 InvalidParameterValue
a range with bits beyond its prefix: done
is cut off: true
a bad range: 400 InvalidParameterValue
a bad description: 400 InvalidParameterValue
ports upside down: 400 InvalidParameterValue
in a group that isn't there: 400 InvalidGroup.NotFound
in no group at all: 400 MissingParameter
sixty of IPv4: done
one more of IPv4: 400 RulesPerSecurityGroupLimitExceeded
one of IPv6: done
";

pub async fn opening(ground: &mut Ground) {
    let id = ground.group("g1").await;
    let two = vec![permission(53, 53, "0.0.0.0/0"), permission(60, 70, "2001:db8::/32")];
    let made = ground.step("open two", &open(&id, two)).await.unwrap().security_group_rules;
    let with_ids =
        made.iter().filter(|rule| rule.security_group_rule_id.as_ref().is_some_and(|rule| rule.starts_with("sgr-")));
    ground.say("the answer has", format!("{} rules with ids", with_ids.count()));
    let there = rules(ground, &id).await;
    ground.say("the rules", there);
    ground.step("open one again", &open(&id, vec![permission(53, 53, "0.0.0.0/0")])).await;
    let both = vec![permission(54, 54, "0.0.0.0/0"), permission(53, 53, "0.0.0.0/0")];
    ground.step("open a new one and one again", &open(&id, both)).await;
    let there = rules(ground, &id).await.split(", ").count();
    ground.say("the rules are still", there);
    let twice = vec![permission(80, 80, "0.0.0.0/0"), permission(80, 80, "0.0.0.0/0")];
    ground.step("the same twice in one request", &open(&id, twice)).await;
    let wide = open(&id, vec![permission(55, 55, "10.1.2.3/8")]);
    ground.step("a range with bits beyond its prefix", &wide).await;
    let cut = rules(ground, &id).await.contains("from 10.0.0.0/8");
    ground.say("is cut off", cut);
    ground.step("a bad range", &open(&id, vec![permission(56, 56, "10.0.0.0/33")])).await;
    let mut described = permission(57, 57, "0.0.0.0/0");
    described.ip_ranges[0].description = Some("größe".into());
    ground.step("a bad description", &open(&id, vec![described])).await;
    ground.step("ports upside down", &open(&id, vec![permission(59, 58, "0.0.0.0/0")])).await;
    let missing = open("sg-0123456789abcdef0", vec![permission(1, 1, "0.0.0.0/0")]);
    ground.step("in a group that isn't there", &missing).await;
    let nowhere = ec2::AuthorizeSecurityGroupIngress { group_id: None, ..missing };
    ground.step("in no group at all", &nowhere).await;
    let full = ground.group("full").await;
    let sixty = (1..=60).map(|port| permission(port, port, "0.0.0.0/0")).collect();
    ground.step("sixty of IPv4", &open(&full, sixty)).await;
    ground.step("one more of IPv4", &open(&full, vec![permission(61, 61, "0.0.0.0/0")])).await;
    ground.step("one of IPv6", &open(&full, vec![permission(61, 61, "::/0")])).await;
}

pub const CLOSING: &str = "\
close one: done
the rules: udp/2-2 from 0.0.0.0/0 (default/game udp), udp/3-3 from 0.0.0.0/0 (default/game udp)
close one that isn't there: 400 InvalidPermission.NotFound
close by id: done
close by that id again: 400 InvalidSecurityGroupRuleId.NotFound
the rules by then: udp/2-2 from 0.0.0.0/0 (default/game udp)
in a group that isn't there: 400 InvalidGroup.NotFound
close one that is there and one that isn't: 400 InvalidPermission.NotFound
the rules are still: 1
in the default VPC, one that is there and one that isn't: done
unknown: 1
nothing is left: true
";

pub async fn closing(ground: &mut Ground) {
    let id = ground.group("g1").await;
    let three = (1..=3).map(|port| permission(port, port, "0.0.0.0/0")).collect();
    let made = ground.get(&open(&id, three)).await.security_group_rules;
    ground.step("close one", &close(&id, vec![permission(1, 1, "0.0.0.0/0")])).await;
    let there = rules(ground, &id).await;
    ground.say("the rules", there);
    ground.step("close one that isn't there", &close(&id, vec![permission(1, 1, "0.0.0.0/0")])).await;
    let third = made.into_iter().find(|rule| rule.from_port == Some(3)).unwrap().security_group_rule_id.unwrap();
    let by_id = ec2::RevokeSecurityGroupIngress {
        group_id: Some(id.clone()),
        security_group_rule_ids: vec![third],
        ..Default::default()
    };
    ground.step("close by id", &by_id).await;
    ground.step("close by that id again", &by_id).await;
    let there = rules(ground, &id).await;
    ground.say("the rules by then", there);
    let missing = close("sg-0123456789abcdef0", vec![permission(1, 1, "0.0.0.0/0")]);
    ground.step("in a group that isn't there", &missing).await;
    let both = vec![permission(2, 2, "0.0.0.0/0"), permission(1, 1, "0.0.0.0/0")];
    ground.step("close one that is there and one that isn't", &close(&id, both)).await;
    let there = rules(ground, &id).await.split(", ").count();
    ground.say("the rules are still", there);
    let create = ec2::CreateSecurityGroup { vpc_id: None, ..ground.create("g2") };
    let id = ground.get(&create).await.group_id.unwrap();
    ground.get(&open(&id, vec![permission(1, 1, "0.0.0.0/0")])).await;
    let both = vec![permission(1, 1, "0.0.0.0/0"), permission(2, 2, "0.0.0.0/0")];
    let label = "in the default VPC, one that is there and one that isn't";
    let unknown = ground.step(label, &close(&id, both)).await.map(|answer| answer.unknown_ip_permissions.len());
    ground.say("unknown", unknown.unwrap_or_default());
    let left = rules(ground, &id).await;
    ground.say("nothing is left", left.is_empty());
}
