//! EC2's rules.

use aws_api::ec2;

use super::super::NewInstance;
use super::super::state::{RuleKey, Source};
use super::kit::{Kit, authorize, permission, revoke};
use crate::sim::event::{Actor, Creator, Event};

#[tokio::test(start_paused = true)]
async fn a_group_is_made_opened_attached_and_taken_away_again() {
    let kit = Kit::new();
    let id = kit.group("g1").await;
    kit.client.send(&authorize(&id, vec![permission(53, "0.0.0.0/0")])).await.unwrap();
    let default = kit.aws.look(|state| state.vpcs[&kit.vpc].default_group.clone());
    let attach =
        |groups: Vec<String>| ec2::ModifyInstanceAttribute { instance_id: kit.instance.clone(), groups, dry_run: None };
    kit.client.send(&attach(vec![default.clone(), id.clone()])).await.unwrap();
    kit.aws.look(|state| {
        let primary = state.primary(&kit.instance).unwrap();
        assert!(state.admits(primary, "udp", 53, &Source::V4("0.0.0.0/0".into())));
        assert_eq!(primary.groups[&id], Creator::Us);
        assert_eq!(primary.groups[&default], Creator::Person);
        assert_eq!(state.groups[&id].creator, Creator::Us);
    });
    let delete = ec2::DeleteSecurityGroup { group_id: Some(id.clone()), ..Default::default() };
    assert_eq!(kit.refused(&delete).await, "DependencyViolation");
    kit.client.send(&attach(vec![default])).await.unwrap();
    kit.client.send(&delete).await.unwrap();
    let counts = kit.aws.counts();
    for what in ["group g1", "rule g1 udp/53 from 0.0.0.0/0", &format!("attachment {} g1", kit.instance)] {
        let count = counts[&(Creator::Us, what.to_owned())];
        assert_eq!((count.creates, count.deletes), (1, 1), "{what}");
    }
    let changes = kit.stage.journal.events();
    let ours = changes.iter().filter(|(_, event)| matches!(event, Event::Changed { call: Some(_), .. }));
    assert_eq!(ours.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn describe_shows_what_there_is() {
    let kit = Kit::new();
    let id = kit.group("g1").await;
    kit.client.send(&authorize(&id, vec![permission(53, "0.0.0.0/0"), permission(54, "::/0")])).await.unwrap();
    let filter = ec2::Filter { name: Some("tag-key".into()), values: vec!["external-ips/c1".into()] };
    let groups = ec2::DescribeSecurityGroups { filters: vec![filter], ..Default::default() };
    let groups = kit.client.send(&groups).await.unwrap().security_groups;
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].group_name.as_deref(), Some("g1"));
    assert_eq!(groups[0].ip_permissions.len(), 2);
    let filter = ec2::Filter { name: Some("instance-id".into()), values: vec![kit.instance.clone()] };
    let instances = ec2::DescribeInstances { filters: vec![filter], ..Default::default() };
    let found = kit.client.send(&instances).await.unwrap().reservations;
    let instance = &found[0].instances[0];
    assert_eq!(instance.state.as_ref().unwrap().name, Some(ec2::InstanceStateName::Running));
    let public = kit.aws.look(|state| state.primary(&kit.instance).unwrap().public_ip).map(|ip| ip.to_string());
    assert_eq!(instance.public_ip_address, public);
}

#[tokio::test(start_paused = true)]
async fn authorize_is_all_or_nothing_and_a_missing_rule_is_told_by_vpc() {
    let kit = Kit::new();
    let id = kit.group("g1").await;
    kit.client.send(&authorize(&id, vec![permission(1, "0.0.0.0/0")])).await.unwrap();
    let both = vec![permission(2, "0.0.0.0/0"), permission(1, "0.0.0.0/0")];
    assert_eq!(kit.refused(&authorize(&id, both.clone())).await, "InvalidPermission.Duplicate");
    assert_eq!(kit.aws.look(|state| state.groups[&id].rules.len()), 1);
    assert_eq!(kit.refused(&revoke(&id, both)).await, "InvalidPermission.NotFound");
    assert_eq!(kit.aws.look(|state| state.groups[&id].rules.len()), 1);
    let key = RuleKey { protocol: "udp".into(), from: 1, to: 1, source: Source::V4("0.0.0.0/0".into()) };
    kit.aws.remove_rule(Actor::Person, &id, &key).unwrap();
    assert_eq!(kit.refused(&revoke(&id, vec![permission(1, "0.0.0.0/0")])).await, "InvalidPermission.NotFound");
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_several_interfaces_is_changed_by_its_interface() {
    let kit = Kit::new();
    let many = NewInstance { interfaces: 2, ..NewInstance::in_vpc(&kit.vpc) };
    let many = kit.aws.run_instance(Actor::Person, many).unwrap();
    let id = kit.group("g1").await;
    let request = ec2::ModifyInstanceAttribute { instance_id: many.clone(), groups: vec![id.clone()], dry_run: None };
    assert_eq!(kit.refused(&request).await, "InvalidInstanceID");
    let primary = kit.aws.look(|state| state.primary(&many).unwrap().id.clone());
    let request = ec2::ModifyNetworkInterfaceAttribute {
        network_interface_id: primary.clone(),
        groups: vec![id.clone()],
        dry_run: None,
    };
    kit.client.send(&request).await.unwrap();
    assert!(kit.aws.look(|state| state.interfaces[&primary].groups.keys().eq([&id])));
}

#[tokio::test(start_paused = true)]
async fn names_descriptions_and_tags_have_their_characters() {
    let kit = Kit::new();
    for name in ["sg-name", "ümlaut", &"x".repeat(256)] {
        assert_eq!(kit.refused(&kit.create(name)).await, "InvalidParameterValue", "{name}");
    }
    assert_eq!(kit.refused(&kit.create("default")).await, "InvalidGroup.Reserved");
    let elsewhere = ec2::CreateSecurityGroup { vpc_id: Some("vpc-00000000".into()), ..kit.create("g1") };
    assert_eq!(kit.refused(&elsewhere).await, "InvalidVpcID.NotFound");
    let nowhere = ec2::CreateSecurityGroup { vpc_id: None, ..kit.create("g1") };
    assert_eq!(kit.refused(&nowhere).await, "VPCIdNotSpecified");
    let described = ec2::CreateSecurityGroup { description: "what's for".into(), ..kit.create("g1") };
    assert_eq!(kit.refused(&described).await, "InvalidParameterValue");
    let empty = ec2::CreateSecurityGroup { description: String::new(), ..kit.create("g1") };
    assert_eq!(kit.refused(&empty).await, "MissingParameter");
    let mut reserved = kit.create("g1");
    reserved.tag_specifications[0].tags[0].key = Some("aws:x".into());
    assert_eq!(kit.refused(&reserved).await, "InvalidParameterValue");
    let mut kind = kit.create("g1");
    kind.tag_specifications[0].resource_type = Some(ec2::ResourceType::Instance);
    assert_eq!(kit.refused(&kind).await, "InvalidParameterValue");
    kit.group("g1").await;
    assert_eq!(kit.refused(&kit.create("g1")).await, "InvalidGroup.Duplicate");
    let id = kit.aws.look(|state| state.groups.values().find(|group| group.name == "g1").unwrap().id.clone());
    for bad in ["what's for", "größe", &"x".repeat(256)] {
        let mut rule = permission(1, "0.0.0.0/0");
        rule.ip_ranges[0].description = Some(bad.into());
        assert_eq!(kit.refused(&authorize(&id, vec![rule])).await, "InvalidParameterValue", "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn permissions_must_be_well_formed() {
    let kit = Kit::new();
    let id = kit.group("g1").await;
    for cidr in ["0.0.0.0", "0.0.0.0/33", "1.2.3/8", "::/129", "a/8"] {
        assert_eq!(kit.refused(&authorize(&id, vec![permission(1, cidr)])).await, "InvalidParameterValue", "{cidr}");
    }
    let ports = |from, to| ec2::IpPermission { from_port: from, to_port: to, ..permission(1, "0.0.0.0/0") };
    assert_eq!(kit.refused(&authorize(&id, vec![ports(Some(2), Some(1))])).await, "InvalidParameterValue");
    assert_eq!(kit.refused(&authorize(&id, vec![ports(Some(1), Some(65536))])).await, "InvalidParameterValue");
    assert_eq!(kit.refused(&authorize(&id, vec![ports(Some(1), None)])).await, "MissingParameter");
    let protocol = ec2::IpPermission { ip_protocol: Some("sctp".into()), ..permission(1, "0.0.0.0/0") };
    assert_eq!(kit.refused(&authorize(&id, vec![protocol])).await, "InvalidParameterValue");
    let nobody = ec2::IpPermission { ip_ranges: Vec::new(), ..permission(1, "0.0.0.0/0") };
    assert_eq!(kit.refused(&authorize(&id, vec![nobody])).await, "InvalidPermission.Malformed");
    assert_eq!(kit.refused(&authorize(&id, Vec::new())).await, "MissingParameter");
    let twice = vec![permission(1, "0.0.0.0/0"), permission(1, "0.0.0.0/0")];
    assert_eq!(kit.refused(&authorize(&id, twice)).await, "InvalidParameterValue");
    assert_eq!(kit.refused(&authorize("sg-1", vec![permission(1, "0.0.0.0/0")])).await, "InvalidGroupId.Malformed");
    let missing = authorize("sg-0123456789abcdef0", vec![permission(1, "0.0.0.0/0")]);
    assert_eq!(kit.refused(&missing).await, "InvalidGroup.NotFound");
    // Bits beyond the prefix are cut off; a number is as good as a name.
    let number = ec2::IpPermission { ip_protocol: Some("17".into()), ..permission(1, "10.1.2.3/8") };
    kit.client.send(&authorize(&id, vec![number])).await.unwrap();
    let same = authorize(&id, vec![permission(1, "10.0.0.0/8")]);
    assert_eq!(kit.refused(&same).await, "InvalidPermission.Duplicate");
}

#[tokio::test(start_paused = true)]
async fn rules_have_ids_and_a_rule_made_anew_has_another() {
    let kit = Kit::new();
    let id = kit.group("g1").await;
    let open = authorize(&id, vec![permission(1, "0.0.0.0/0")]);
    let first = kit.client.send(&open).await.unwrap().security_group_rules[0].clone();
    assert_eq!(first.cidr_ipv4.as_deref(), Some("0.0.0.0/0"));
    let by_id = ec2::RevokeSecurityGroupIngress {
        group_id: Some(id.clone()),
        security_group_rule_ids: vec![first.security_group_rule_id.clone().unwrap()],
        ..Default::default()
    };
    kit.client.send(&by_id).await.unwrap();
    let second = kit.client.send(&open).await.unwrap().security_group_rules[0].clone();
    assert_ne!(first.security_group_rule_id, second.security_group_rule_id);
    assert_eq!(kit.refused(&by_id).await, "InvalidSecurityGroupRuleId.NotFound");
    assert_eq!(kit.refused(&revoke(&id, Vec::new())).await, "InvalidParameterCombination");
}

#[tokio::test(start_paused = true)]
async fn the_default_vpc_tells_unknown_permissions_and_revokes_the_others() {
    let kit = Kit::new();
    let vpc = kit.aws.create_vpc(Actor::Person, true);
    let create = ec2::CreateSecurityGroup { vpc_id: None, ..kit.create("g1") };
    let id = kit.client.send(&create).await.unwrap().group_id.unwrap();
    assert_eq!(kit.aws.look(|state| state.groups[&id].vpc.clone()), vpc);
    kit.client.send(&authorize(&id, vec![permission(1, "0.0.0.0/0")])).await.unwrap();
    let both = revoke(&id, vec![permission(1, "0.0.0.0/0"), permission(2, "0.0.0.0/0")]);
    let unknown = kit.client.send(&both).await.unwrap().unknown_ip_permissions;
    assert_eq!((unknown.len(), unknown[0].from_port), (1, Some(2)));
    assert!(kit.aws.look(|state| state.groups[&id].rules.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn quotas_are_kept() {
    let kit = Kit::with(|options| {
        options.limits.rules_per_group = 3;
        options.limits.groups = 8;
    });
    let id = kit.group("g0").await;
    let v4 = |port| permission(port, "0.0.0.0/0");
    kit.client.send(&authorize(&id, vec![v4(1), v4(2), v4(3)])).await.unwrap();
    assert_eq!(kit.refused(&authorize(&id, vec![v4(4)])).await, "RulesPerSecurityGroupLimitExceeded");
    // IPv6 is counted apart.
    let v6 = |port| permission(port, "::/0");
    kit.client.send(&authorize(&id, vec![v6(1), v6(2), v6(3)])).await.unwrap();
    assert_eq!(kit.refused(&authorize(&id, vec![v6(4)])).await, "RulesPerSecurityGroupLimitExceeded");
    let mut ids = vec![id];
    for number in 1..6 {
        ids.push(kit.group(&format!("g{number}")).await);
    }
    let attach = |groups: &[String]| ec2::ModifyInstanceAttribute {
        instance_id: kit.instance.clone(),
        groups: groups.to_vec(),
        dry_run: None,
    };
    kit.client.send(&attach(&ids[..5])).await.unwrap();
    assert_eq!(kit.refused(&attach(&ids)).await, "SecurityGroupsPerInterfaceLimitExceeded");
    kit.aws.set(|options| options.interface_limit_in_words = true);
    assert_eq!(kit.refused(&attach(&ids)).await, "InvalidParameterValue");
    assert_eq!(kit.refused(&attach(&[])).await, "MissingParameter");
    kit.group("g6").await;
    assert_eq!(kit.refused(&kit.create("g7")).await, "SecurityGroupLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn part_of_an_authorize_is_an_option() {
    let kit = Kit::with(|options| options.partial_authorize = true);
    let id = kit.group("g1").await;
    kit.client.send(&authorize(&id, vec![permission(1, "0.0.0.0/0")])).await.unwrap();
    let both = vec![permission(2, "0.0.0.0/0"), permission(1, "0.0.0.0/0")];
    assert_eq!(kit.refused(&authorize(&id, both)).await, "InvalidPermission.Duplicate");
    assert_eq!(kit.aws.look(|state| state.groups[&id].rules.len()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_held_while_it_is_used_and_for_a_while_after() {
    use std::time::Duration;
    let kit = Kit::with(|options| options.release_time = Duration::from_secs(120));
    let id = kit.group("g1").await;
    let other = kit.aws.create_group(Actor::Person, &kit.vpc, "theirs", &[]).unwrap();
    let delete = ec2::DeleteSecurityGroup { group_id: Some(id.clone()), ..Default::default() };
    let key = RuleKey { protocol: "tcp".into(), from: 1, to: 1, source: Source::Group(id.clone()) };
    kit.aws.add_rule(Actor::Person, &other, key.clone(), "").unwrap();
    assert_eq!(kit.refused(&delete).await, "DependencyViolation");
    kit.aws.remove_rule(Actor::Person, &other, &key).unwrap();
    kit.aws.attach_group(Actor::Person, &kit.instance, &id).unwrap();
    assert_eq!(kit.refused(&delete).await, "DependencyViolation");
    kit.aws.detach_group(Actor::Person, &kit.instance, &id).unwrap();
    assert_eq!(kit.refused(&delete).await, "DependencyViolation");
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert_eq!(kit.refused(&delete).await, "DependencyViolation");
    tokio::time::sleep(Duration::from_secs(1)).await;
    kit.client.send(&delete).await.unwrap();
    assert_eq!(kit.refused(&delete).await, "InvalidGroup.NotFound");
    let default = kit.aws.look(|state| state.vpcs[&kit.vpc].default_group.clone());
    kit.aws.set_policy(super::kit::US, super::super::Policy::anything());
    let delete = ec2::DeleteSecurityGroup { group_id: Some(default), ..Default::default() };
    assert_eq!(kit.refused(&delete).await, "CannotDelete");
}

#[tokio::test(start_paused = true)]
async fn groups_are_attached_only_where_they_belong() {
    let kit = Kit::new();
    kit.aws.set_policy(super::kit::US, super::super::Policy::anything());
    let elsewhere = kit.aws.create_vpc(Actor::Person, false);
    let foreign = kit.aws.create_group(Actor::Person, &elsewhere, "g1", &[]).unwrap();
    let attach = |instance: &str, group: &str| ec2::ModifyInstanceAttribute {
        instance_id: instance.into(),
        groups: vec![group.into()],
        dry_run: None,
    };
    assert_eq!(kit.refused(&attach(&kit.instance, &foreign)).await, "InvalidParameterValue");
    assert_eq!(kit.refused(&attach(&kit.instance, "sg-0123456789abcdef0")).await, "InvalidGroup.NotFound");
    assert_eq!(kit.refused(&attach("i-0123456789abcdef0", &foreign)).await, "InvalidInstanceID.NotFound");
    assert_eq!(kit.refused(&attach("node-1", &foreign)).await, "InvalidInstanceID.Malformed");
    let interface = |id: &str| ec2::ModifyNetworkInterfaceAttribute {
        network_interface_id: id.into(),
        groups: vec![foreign.clone()],
        dry_run: None,
    };
    assert_eq!(kit.refused(&interface("eni-0123456789abcdef0")).await, "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(kit.refused(&interface("eni")).await, "InvalidNetworkInterfaceId.Malformed");
    kit.aws.terminate_instance(Actor::Person, &kit.instance).unwrap();
    assert_eq!(kit.refused(&attach(&kit.instance, &foreign)).await, "IncorrectInstanceState");
}

#[tokio::test(start_paused = true)]
async fn tags_are_given_later_too() {
    let kit = Kit::new();
    kit.aws.set_policy(super::kit::US, super::super::Policy::anything());
    let id = kit.group("g1").await;
    let tag = |of: &str, count: usize| ec2::CreateTags {
        resources: vec![of.into()],
        tags: (0..count).map(|n| ec2::Tag { key: Some(format!("k{n}")), value: Some("v".into()) }).collect(),
        dry_run: None,
    };
    kit.client.send(&tag(&id, 1)).await.unwrap();
    kit.client.send(&tag(&kit.instance, 1)).await.unwrap();
    assert_eq!(kit.aws.look(|state| state.groups[&id].tags["k0"].clone()), "v");
    assert_eq!(kit.refused(&tag(&id, 50)).await, "TagLimitExceeded");
    assert_eq!(kit.refused(&tag(&id, 0)).await, "MissingParameter");
    assert_eq!(kit.refused(&tag("i-0123456789abcdef0", 1)).await, "InvalidInstanceID.NotFound");
}
