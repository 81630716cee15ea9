//! Rules of names and publications, one test per rule.

use std::collections::BTreeSet;

use super::super::super::*;
use super::world::{World, ZONE};

fn refused(world: &mut World, key: &ServiceKey) {
    let uid = world.service(key).uid.clone();
    let trial = Trial { uid, addresses: vec![], at: world.now, refused: Some("Deny".into()), refusals: 6 };
    world.memory.trials.insert(key.clone(), trial);
}

#[test]
fn a_name_that_moves_to_a_service_which_is_refused_is_withdrawn_with_the_service_that_had_it() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "h.example.com"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&a, "hostname", None);
    let b = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("selector", "odd=0")]);
    let steps = world.plan().steps;
    let verbs: Vec<String> = steps.iter().map(|step| super::world::describe(&step.action)).collect();
    assert_eq!(verbs, ["release a", "try b"], "neither the name nor the firewall before the dry run");
    world.take(&steps[0]);
    refused(&mut world, &b);
    world.round();
    assert_eq!(world.condition(&b).unwrap().reason, "ExternalIPsForbidden");
    assert!(world.is_clean(), "{:?} {:?}", world.observed.groups, world.observed.records);
}

#[test]
fn a_name_that_moves_to_another_service_is_never_without_an_address() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "h.example.com"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&a, "hostname", None);
    let b = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("selector", "odd=0")]);
    world.settle();
    assert_eq!(world.listed("h.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.condition(&b).unwrap().reason, "Synced");
    assert_eq!(world.observed.groups.len(), 1);
}

#[test]
fn an_address_is_published_though_only_one_of_the_names_could_be_written() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com,b.example.com")]);
    let failure = Failure {
        reason: Reason::AccessDenied,
        message: "no".into(),
        attempts: 1,
        retry_at: Moment(std::time::Duration::from_secs(1_000_000)),
        tried_for: [].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Name(ZoneId(ZONE.into()), "b.example.com".into()), failure);
    world.round();
    assert_eq!(world.listed("a.example.com").len(), 1);
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
    let condition = world.condition(&key).unwrap();
    assert!(!condition.ready && condition.reason == "AccessDenied", "{condition:?}");
}

#[test]
fn a_refused_dry_run_is_tried_again_without_anything_else_happening() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.wait(7);
    refused(&mut world, &key);
    assert_eq!(world.plan().wake_at, Some(Moment(std::time::Duration::from_secs(307))));
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
}

#[test]
fn a_name_moves_into_a_new_zone_below_and_is_then_withdrawn_from_the_old_one() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.sub.example.com,b.example.com")]);
    world.settle();
    world.add_zone("ZSUB", "sub.example.com");
    assert_eq!(world.settle(), ["change-name a.sub.example.com", "delete-name a.sub.example.com"]);
    let names = |world: &World, zone: &str| -> Vec<String> {
        let records = world.observed.records[&ZoneId(zone.into())].keys();
        records.filter(|key| key.kind == RecordType::A).map(|key| key.name.clone()).collect()
    };
    assert_eq!(names(&world, "ZSUB"), ["a.sub.example.com"]);
    assert_eq!(names(&world, ZONE), ["b.example.com"]);
    assert_eq!(world.listed("a.sub.example.com").len(), 2);
    assert_eq!(world.condition(&key).unwrap().reason, "Synced");
    world.annotate(&key, "hostname", None);
    world.settle();
    assert!(world.is_clean());
}

#[test]
fn a_name_stays_in_the_old_zone_while_the_new_one_can_not_be_written_and_loses_only_strangers_there() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.sub.example.com")]);
    world.settle();
    world.add_zone("ZSUB", "sub.example.com");
    let failure = Failure {
        reason: Reason::AccessDenied,
        message: "no".into(),
        attempts: 1,
        retry_at: Moment(std::time::Duration::from_secs(1_000_000)),
        tried_for: [].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Name(ZoneId("ZSUB".into()), "a.sub.example.com".into()), failure);
    assert_eq!(world.round(), [""; 0]);
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.round();
    assert_eq!(world.listed("a.sub.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn who_can_not_have_a_name_because_of_a_record_reads_what_to_do_about_it() {
    let mut world = World::new(1);
    let record = Record { ttl: Some(60), values: ["198.51.100.1".into()].into() };
    world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap().insert(dns::address_key("a.example.com"), record);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    let message = world.condition(&key).unwrap().message;
    assert!(message.contains("delete it") && message.contains("TXT record `a-a.example.com`"), "{message}");
}

#[test]
fn an_alias_that_someone_put_beside_our_ownership_record_takes_the_name_which_we_leave_him_in_the_end() {
    let cname = RecordKey { name: "a.example.com".into(), kind: RecordType::Other("CNAME".into()), set: String::new() };
    let weighted = RecordKey { set: "blue".into(), ..dns::address_key("a.example.com") };
    let (beside, alias) = (Some(60), None);
    for (other, ttl) in [(cname, beside), (weighted, beside), (dns::address_key("a.example.com"), alias)] {
        let mut world = World::new(1);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
        world.settle();
        let records = world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap();
        records.remove(&dns::address_key("a.example.com"));
        records.insert(other.clone(), Record { ttl, values: [].into() });
        assert_eq!(world.settle(), [""; 0]);
        let condition = world.condition(&key).unwrap();
        assert!(condition.reason == "HostnameTaken" && condition.message.contains("delete it"), "{condition:?}");
        world.snapshot.services.remove(&key);
        world.settle();
        let left: Vec<&RecordKey> = world.observed.records[&ZoneId(ZONE.into())].keys().collect();
        assert_eq!(left, [&other]);
    }
}

#[test]
fn a_node_that_can_never_be_read_keeps_no_dead_address_of_others_in_the_names() {
    let mut world = World::new(3);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    // The first can't be read, the second is terminated.
    world.snapshot.nodes.remove("n1");
    world.snapshot.unreadable_nodes = true;
    world.snapshot.nodes.remove("n2");
    world.observed.instances.insert(InstanceId("i-00000002".into()), Lookup::Gone);
    world.settle();
    let left: Vec<String> = world.listed("a.example.com").into_iter().collect();
    assert_eq!(left, ["203.0.113.1", "203.0.113.3"]);
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn an_address_of_an_instance_that_is_known_is_in_no_doubt_because_of_another() {
    let mut world = World::new(3);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Unknown);
    world.snapshot.nodes.remove("n2");
    world.settle();
    let left: Vec<String> = world.listed("a.example.com").into_iter().collect();
    assert_eq!(left, ["203.0.113.1", "203.0.113.3"]);
}

#[test]
fn while_ec2_is_silent_about_an_instance_that_may_be_an_unreadable_nodes_its_address_stays() {
    let mut world = World::new(2);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.nodes.remove("n1");
    world.snapshot.unreadable_nodes = true;
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Unknown);
    assert_eq!(world.settle(), [""; 0]);
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
}

#[test]
fn a_new_leader_takes_no_running_instance_for_one_without_a_node() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    let nodes = std::mem::take(&mut world.snapshot.nodes);
    world.observed.behind = true;
    let fresh = world.clone();
    assert_eq!(world.settle(), [""; 0]);
    // It has seen the Node, and sees that it went.
    world.observed.had_nodes.insert(InstanceId("i-00000001".into()));
    world.settle();
    assert_eq!(world.service(&key).external_ips, [""; 0]);
    // No list is of so long ago.
    world = fresh.clone();
    world.observed.behind = false;
    world.settle();
    assert_eq!(world.service(&key).external_ips, [""; 0]);
    // An instance that was stopped serves nobody, whatever Kubernetes shows.
    world = fresh.clone();
    world.instance(1).running = false;
    world.settle();
    assert_eq!(world.service(&key).external_ips, [""; 0]);
    world = fresh;
    world.snapshot.nodes = nodes;
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn an_address_stays_where_a_new_leader_does_not_know_yet_which_instance_an_unreadable_node_is() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.nodes.remove("n1");
    world.snapshot.unreadable_nodes = true;
    world.observed.instances.remove(&InstanceId("i-00000001".into()));
    world.observed.behind = true;
    assert_eq!(world.settle(), [""; 0]);
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"]);
    world.observed.behind = false;
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
}

/// Takes all steps, and looks after each one that the name lists something.
fn settle_listing(world: &mut World, name: &str) {
    for _ in 0..40 {
        let steps = world.plan().steps;
        if steps.is_empty() {
            return;
        }
        for step in &steps {
            world.take(step);
            assert!(!world.listed(name).is_empty(), "after {}", step.action);
        }
    }
    panic!("never settles");
}

#[test]
fn an_address_that_changes_while_the_firewall_is_worked_on_never_leaves_the_name_empty() {
    let mut world = World::new(1);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.add_service("b", 6316, &[("hostname", "b.example.com")]);
    for step in &world.plan().steps {
        world.take(step);
    }
    assert!(world.plan().steps.iter().any(|step| matches!(step.action, Action::Authorize { .. })));
    world.instance(1).public_ip = Some(PublicIp("198.51.100.7".parse().unwrap()));
    settle_listing(&mut world, "a.example.com");
    assert_eq!(world.listed("a.example.com"), ["198.51.100.7".to_string()].into());
}

#[test]
fn an_address_that_changes_while_a_dry_run_is_due_never_leaves_the_name_empty() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "1")]);
    world.settle();
    world.annotate(&key, "maxips", Some("2"));
    let failure = Failure {
        reason: Reason::Failed,
        message: "no".into(),
        attempts: 1,
        retry_at: world.now.after(HOUR),
        tried_for: [].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Service(key.clone()), failure);
    let serving: u8 = if world.service(&key).external_ips == ["10.0.0.1"] { 1 } else { 2 };
    world.instance(serving).public_ip = Some(PublicIp("198.51.100.7".parse().unwrap()));
    settle_listing(&mut world, "a.example.com");
    assert_eq!(world.listed("a.example.com"), ["198.51.100.7".to_string()].into());
}

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

#[test]
fn whose_dry_run_can_not_be_done_keeps_no_other_from_the_name() {
    let mut world = World::new(2);
    let first = world.add_service("a", 6315, &[("hostname", "h.example.com"), ("maxips", "1")]);
    world.settle();
    let second = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("maxips", "1")]);
    let failure = Failure {
        reason: Reason::ExternalIPsTaken,
        message: "taken".into(),
        attempts: 1,
        retry_at: world.now.after(HOUR),
        tried_for: [].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Service(second), failure);
    let gone: u8 = if world.service(&first).external_ips == ["10.0.0.1"] { 1 } else { 2 };
    let name = world.node(gone).name.clone();
    world.snapshot.nodes.remove(&name);
    world.round();
    assert_eq!(world.listed("h.example.com"), [format!("203.0.113.{}", 3 - gone)].into());
}

#[test]
fn a_name_that_goes_over_takes_nobodys_port_along() {
    for younger in [true, false] {
        let mut world = World::new(2);
        let a = world.add_service("a", 5000, &[("hostname", "h.example.com"), ("maxips", "1")]);
        world.settle();
        let at = world.service(&a).external_ips.clone();
        world.annotate(&a, "hostname", Some("old.example.com"));
        let b = world.add_service("b", 5000, &[("hostname", "h.example.com"), ("maxips", "1")]);
        world.service(&b).created = if younger { 500 } else { 1 };
        world.settle();
        assert_eq!(world.service(&a).external_ips, at, "who serves isn't driven off");
        assert_ne!(world.service(&b).external_ips, at);
        assert_eq!(world.condition(&a).unwrap().reason, "Synced");
        assert_eq!(world.condition(&b).unwrap().reason, "Synced");
    }
}

#[test]
fn a_rejected_service_that_shares_a_name_keeps_it_when_the_one_it_is_written_for_goes() {
    for (gives_up, taken) in [(None, false), (Some("other.example.com"), false), (None, true)] {
        let mut world = World::new(2);
        let a = world.add_service("a", 6315, &[("hostname", "h.example.com")]);
        let b = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("maxips", "1")]);
        world.settle();
        let serving = world.service(&b).external_ips.clone();
        if taken {
            // Somebody has set its list by hand, as it was.
            world.service(&b).external_ips_owner = FieldOwner::Other("kubectl".into());
        } else {
            world.annotate(&b, "ttl", Some("soon"));
        }
        world.settle();
        assert_eq!(world.rejected(), [b.clone()].into());
        world.annotate(&a, "hostname", gives_up);
        world.settle();
        assert_eq!(world.service(&b).external_ips, serving);
        assert_eq!(world.listed("h.example.com").len(), serving.len());
        assert_eq!(world.round(), Vec::<String>::new());
        // The one that has it now gives it up like any other.
        world.annotate(&b, "hostname", None);
        world.settle();
        assert!(world.listed("h.example.com").is_empty());
    }
}

#[test]
fn a_name_begins_in_a_new_zone_with_nobody_who_is_not_open_whatever_the_old_one_lists() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.sub.example.com")]);
    world.settle();
    world.add_zone("ZSUB", "sub.example.com");
    // Nothing lets the new port in yet, and the rule of the old one is somebody's to close.
    world.service(&key).ports = vec![Port { protocol: Protocol::Udp, number: 7000 }];
    let first = world.plan().steps;
    assert!(!first.iter().any(|step| matches!(step.action, Action::ChangeRecords(_))), "{first:?}");
    let steps = world.settle();
    let position = |wanted: &str| steps.iter().position(|step| step == wanted);
    assert!(position("authorize i-00000001") < position("change-name a.sub.example.com"), "{steps:?}");
    assert_eq!(world.listed("a.sub.example.com").len(), 2);
}

#[test]
fn what_a_name_may_list_since_an_answer_was_lost_is_not_withdrawn_below_it() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1"), ("ttl", "30")]);
    world.settle();
    let unsettled = Unsettled {
        service: key.clone(),
        public_ips: [PublicIp([203, 0, 113, 1].into())].into(),
        kept: [PublicIp([203, 0, 113, 1].into())].into(),
        before: BTreeSet::new(),
        ttl: 100,
        at: world.now,
    };
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.observed.unsettled.insert((ZoneId(ZONE.into()), "a.example.com".into()), unsettled);
    world.wait(1000);
    assert_eq!(world.round(), [""; 0]);
    world.observed.unsettled.clear();
    assert_eq!(world.round(), [""; 0]);
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"]);

    // From now on it drains, with the higher TTL.
    world.wait(100 + 60 - 1);
    assert_eq!(world.round(), [""; 0]);
    world.wait(1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn what_a_lost_change_may_not_have_taken_out_of_a_name_yet_is_not_withdrawn_below_it() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "30")]);
    world.settle();
    let place = (ZoneId(ZONE.into()), "a.example.com".to_owned());
    let [first, second] = [1, 2].map(|n| BTreeSet::from([PublicIp([203, 0, 113, n].into())]));
    let unsettled = Unsettled {
        service: key.clone(),
        public_ips: second.clone(),
        kept: second,
        before: first,
        ttl: 30,
        at: world.now,
    };
    world.observed.unsettled.insert(place.clone(), unsettled);
    world.annotate(&key, "selector", Some("odd=0"));
    // A read of before the name was made shows nothing of it.
    world.observed.records.get_mut(&place.0).unwrap().clear();
    world.plan();
    world.wait(1000);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"]);
    world.observed.unsettled.clear();
    world.round();
    world.wait(30 + 60);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn a_record_that_lost_its_twin_still_leads_to_the_nodes_that_it_lists() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "30")]);
    world.settle();
    let zone = ZoneId(ZONE.into());
    let (address, twin) = (dns::address_key("a.example.com"), dns::twin_key("a.example.com"));
    world.observed.records.get_mut(&zone).unwrap().remove(&twin).unwrap();
    assert!(world.plan().steps.is_empty(), "a record without a twin isn't ours");
    world.wait(1000);
    world.plan();
    // Now the record goes, too, and is made anew without the first node.
    world.observed.records.get_mut(&zone).unwrap().remove(&address).unwrap();
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(30 + 60 - 1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"]);
    world.wait(1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn nobody_is_published_where_a_lost_change_may_have_taken_the_address_out_of_the_name() {
    let mut world = World::new(2);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    let place = (ZoneId(ZONE.into()), "a.example.com".to_owned());
    let second: BTreeSet<PublicIp> = [PublicIp([203, 0, 113, 2].into())].into();
    let service = ServiceKey::new("games", "b");
    let before = BTreeSet::new();
    let unsettled = Unsettled { service, public_ips: second.clone(), kept: second, before, ttl: 60, at: world.now };
    world.observed.unsettled.insert(place, unsettled);
    let b = world.add_service("b", 6316, &[("hostname", "a.example.com")]);
    world.round();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.2"]);
    world.observed.unsettled.clear();
    world.round();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.2", "10.0.0.1"]);
}

#[test]
fn a_name_keeps_its_node_though_one_that_nobody_asks_for_any_more_lists_an_elder_one() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "1")]);
    world.settle();
    // Where nothing may be withdrawn, the name of before stays, and its node.
    world.settings.policy = Policy::UpsertOnly;
    world.annotate(&key, "hostname", Some("b.example.com"));
    world.node(1).ready = false;
    world.settle();
    world.node(1).ready = true;
    world.settle();
    assert_eq!(world.listed("b.example.com"), ["203.0.113.2".to_string()].into());
    world.settings.policy = Policy::Sync;
    settle_listing(&mut world, "b.example.com");
    assert_eq!(world.listed("b.example.com"), ["203.0.113.2".to_string()].into());
    world.wait(200);
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}
