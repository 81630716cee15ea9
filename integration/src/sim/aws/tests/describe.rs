//! What Describe calls take and show.

use std::time::Duration;

use aws_api::ec2;

use super::super::NewInstance;
use super::super::state::Power;
use super::kit::{Kit, US};
use crate::sim::event::Actor;

fn filter(name: &str, values: &[&str]) -> ec2::Filter {
    ec2::Filter { name: Some(name.into()), values: values.iter().map(|value| (*value).into()).collect() }
}

fn by(filters: Vec<ec2::Filter>) -> ec2::DescribeInstances {
    ec2::DescribeInstances { filters, ..Default::default() }
}

async fn found(kit: &Kit, request: &ec2::DescribeInstances) -> Vec<ec2::Instance> {
    let answer = kit.client.send(request).await.unwrap();
    answer.reservations.into_iter().flat_map(|reservation| reservation.instances).collect()
}

#[tokio::test(start_paused = true)]
async fn one_unknown_id_fails_the_call_and_a_filter_does_not() {
    let kit = Kit::new();
    let other = "i-0123456789abcdef0";
    let ids = |ids: &[&str]| ec2::DescribeInstances {
        instance_ids: ids.iter().map(|id| (*id).into()).collect(),
        ..Default::default()
    };
    assert_eq!(found(&kit, &ids(&[&kit.instance])).await.len(), 1);
    assert_eq!(kit.refused(&ids(&[&kit.instance, other])).await, "InvalidInstanceID.NotFound");
    assert_eq!(kit.refused(&ids(&["i-1"])).await, "InvalidInstanceID.Malformed");
    assert_eq!(found(&kit, &by(vec![filter("instance-id", &[&kit.instance, other])])).await.len(), 1);
    let paged = ec2::DescribeInstances { max_results: Some(10), ..ids(&[&kit.instance]) };
    assert_eq!(kit.refused(&paged).await, "InvalidParameterCombination");
    let groups = ec2::DescribeSecurityGroups { group_ids: vec!["sg-0123456789abcdef0".into()], ..Default::default() };
    assert_eq!(kit.refused(&groups).await, "InvalidGroup.NotFound");
    let groups = ec2::DescribeSecurityGroups { group_names: vec!["g1".into()], ..Default::default() };
    assert_eq!(kit.refused(&groups).await, "InvalidGroup.NotFound");
}

#[tokio::test(start_paused = true)]
async fn filters_have_names_values_and_a_limit() {
    let kit = Kit::new();
    assert_eq!(kit.refused(&by(vec![filter("colour", &["red"])])).await, "InvalidParameterValue");
    let many: Vec<String> = (0..201).map(|number| format!("i-{number:08x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(kit.refused(&by(vec![filter("instance-id", &many)])).await, "FilterLimitExceeded");
    assert_eq!(found(&kit, &by(vec![filter("instance-id", &many[..200])])).await.len(), 0);
    let new = NewInstance { tags: [("role".into(), "node".into())].into(), ..NewInstance::in_vpc(&kit.vpc) };
    let second = kit.aws.run_instance(Actor::Person, new).unwrap();
    for filters in [
        vec![filter("tag:role", &["no*"])],
        vec![filter("tag-key", &["role"])],
        vec![filter("tag-value", &["nod?"]), filter("vpc-id", &[&kit.vpc])],
    ] {
        let found = found(&kit, &by(filters)).await;
        assert_eq!((found.len(), found[0].instance_id.as_ref()), (1, Some(&second)));
    }
    assert_eq!(found(&kit, &by(vec![filter("instance-state-name", &["running", "stopped"])])).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pages_have_a_size_and_a_token_that_ends() {
    let kit = Kit::with(|options| options.token_life = Duration::from_secs(60));
    for _ in 0..11 {
        kit.aws.run_instance(Actor::Person, NewInstance::in_vpc(&kit.vpc)).unwrap();
    }
    let page = |size| ec2::DescribeInstances { max_results: Some(size), ..Default::default() };
    for size in [4, 1001] {
        assert_eq!(kit.refused(&page(size)).await, "InvalidParameterValue");
    }
    let sizes: Vec<usize> =
        kit.client.pages(page(5)).await.unwrap().iter().map(|page| page.reservations.len()).collect();
    assert_eq!(sizes, [5, 5, 2]);
    let token = kit.client.send(&page(5)).await.unwrap().next_token;
    let next = ec2::DescribeInstances { next_token: token.clone(), ..page(5) };
    kit.client.send(&next).await.unwrap();
    let other = ec2::DescribeInstances { next_token: token, ..page(6) };
    assert_eq!(kit.refused(&other).await, "InvalidNextToken");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(kit.refused(&next).await, "InvalidNextToken");
}

#[tokio::test(start_paused = true)]
async fn an_instance_shows_its_life_and_its_addresses() {
    let kit = Kit::new();
    let many = NewInstance { interfaces: 2, ..NewInstance::in_vpc(&kit.vpc) };
    let id = kit.aws.run_instance(Actor::Person, many).unwrap();
    let me = by(vec![filter("instance-id", &[&id])]);
    let first = found(&kit, &me).await.remove(0);
    assert_eq!(first.network_interfaces.len(), 2);
    let primary = first.network_interfaces.iter().find(|i| i.attachment.as_ref().unwrap().device_index == Some(0));
    assert_eq!(primary.unwrap().association.as_ref().unwrap().public_ip, first.public_ip_address);
    kit.aws.stop_instance(Actor::Person, &id).unwrap();
    let stopped = found(&kit, &me).await.remove(0);
    assert_eq!(stopped.state.unwrap().name, Some(ec2::InstanceStateName::Stopped));
    assert_eq!(stopped.public_ip_address, None);
    kit.aws.start_instance(Actor::Person, &id).unwrap();
    let again = found(&kit, &me).await.remove(0);
    assert_ne!(again.public_ip_address, first.public_ip_address);
    assert_eq!(again.private_ip_address, first.private_ip_address);
    let elastic = kit.aws.allocate_address(Actor::Person);
    kit.aws.associate_address(Actor::Person, elastic, &id).unwrap();
    kit.aws.stop_instance(Actor::Person, &id).unwrap();
    assert_eq!(found(&kit, &me).await[0].public_ip_address, Some(elastic.to_string()));
    kit.aws.associate_address(Actor::Person, elastic, &kit.instance).unwrap();
    assert_eq!(found(&kit, &me).await[0].public_ip_address, None);
    assert_eq!(kit.aws.look(|state| state.instance_of(elastic).map(|i| i.id.clone())), Some(kit.instance.clone()));
    kit.aws.disassociate_address(Actor::Person, elastic).unwrap();
    assert!(kit.aws.look(|state| state.instance_of(elastic).is_none()));
    kit.aws.set_power(Actor::Nature, &id, Power::ShuttingDown).unwrap();
    kit.aws.terminate_instance(Actor::Nature, &id).unwrap();
    let over = found(&kit, &me).await.remove(0);
    assert_eq!(over.state.unwrap().name, Some(ec2::InstanceStateName::Terminated));
    assert_eq!((over.network_interfaces.len(), over.vpc_id), (0, None));
    kit.aws.forget_instance(&id).unwrap();
    assert_eq!(found(&kit, &me).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_groups_of_an_instance_are_an_attribute() {
    let kit = Kit::new();
    let ask = |id: &str, attribute| ec2::DescribeInstanceAttribute { instance_id: id.into(), attribute, dry_run: None };
    let groups = kit.client.send(&ask(&kit.instance, ec2::InstanceAttributeName::GroupSet)).await.unwrap().groups;
    let default = kit.aws.look(|state| state.vpcs[&kit.vpc].default_group.clone());
    assert_eq!(groups[0].group_id, Some(default));
    let unknown = ask("i-0123456789abcdef0", ec2::InstanceAttributeName::GroupSet);
    assert_eq!(kit.refused(&unknown).await, "InvalidInstanceID.NotFound");
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_rate_are_refused() {
    let kit = Kit::new();
    kit.aws.set_policy(US, super::super::Policy::anything());
    // Clients of their own each time: theirs is the account's rate together.
    let send = async |request: ec2::DescribeSecurityGroups| {
        let keys = aws_api::Keys::new("AKIDUS", "secret", None, None).unwrap();
        kit.client_with(keys).send(&request).await.err().map(|error| (error.status.unwrap(), error.code.unwrap()))
    };
    let throttled = Some((503, "RequestLimitExceeded".to_owned()));
    for number in 0..50 {
        assert_eq!(send(Default::default()).await, None, "{number}");
    }
    assert_eq!(send(Default::default()).await, throttled);
    // With a filter it is another bucket.
    assert_eq!(send(ec2::DescribeSecurityGroups { max_results: Some(5), ..Default::default() }).await, None);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(send(Default::default()).await, None);
    assert_eq!(send(Default::default()).await, throttled);
    kit.aws.set(|options| options.throttling = false);
    assert_eq!(send(Default::default()).await, None);
}
