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
