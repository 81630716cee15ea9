//! What a Service's owner is told: the condition that says what is so, worked out from what is observed and never
//! from what was planned.

use std::collections::BTreeSet;

use super::firewall::MAKE_ROOM;
use super::nodes::Alive;
use super::plan::Desired;
use super::{Condition, Exposure, Failure, Memory, Reason, Service, Target, dns};

/// The condition that a Service ought to carry; `None` for one that doesn't ask.
pub fn condition(service: &Service, desired: &Desired<'_>, memory: &Memory) -> Option<Condition> {
    if let Some(rejection) = desired.rejections.get(&service.key) {
        let kept = match service.external_ips.is_empty() || !service.owns_fields {
            true => "",
            false => "; what was published before is left as it is",
        };
        return Some(Condition::new(false, rejection.reason, format!("{}{kept}", rejection.message)));
    }
    let exposure = desired.exposures.get(&service.key)?;
    Some(of_exposure(service, exposure, desired, memory))
}

fn of_exposure(service: &Service, exposure: &Exposure, desired: &Desired<'_>, memory: &Memory) -> Condition {
    let published = |node: &Alive<'_>| service.external_ips.contains(&node.private_ip.to_string());
    let is_serving = |node: &&Alive<'_>| {
        published(node)
            && desired.is_open(exposure, &node.instance.id)
            && desired.is_listed_everywhere(exposure, node.public_ip)
    };
    let chosen: Vec<&Alive<'_>> = desired.placed(&service.key).collect();
    let serving: Vec<&Alive<'_>> = chosen.iter().copied().filter(is_serving).collect();
    let names = join(exposure.hostnames.iter());
    let addresses = join(serving.iter().map(|n| format!("{} (node {}, {})", n.public_ip, n.node.name, n.private_ip)));
    let served = format!("{names} -> {addresses}");
    // What is served counts when Route 53's servers have the record, whatever else is missing; and then it stays so.
    let on_the_way = exposure.hostnames.iter().any(|name| memory.unsynced.contains(name));
    let ready = !on_the_way || service.ready.as_ref().is_some_and(|condition| condition.ready);

    if let Some(failure) = failure(exposure, &chosen, desired, memory) {
        return match serving.is_empty() {
            true => Condition::new(false, failure.reason, failure.message.clone()),
            false => Condition::new(ready, Reason::Degraded, format!("{served}; but: {}", failure.message)),
        };
    }
    let full = chosen.iter().copied().filter(|node| desired.lacks_room(exposure, &node.instance.id));
    let full = join(full.map(|node| &node.node.name));
    if !full.is_empty() {
        let why = format!("no room for its rules in the security groups of {full}; {MAKE_ROOM}");
        return match serving.is_empty() {
            true => Condition::new(false, Reason::SecurityGroupLimit, why),
            false => Condition::new(ready, Reason::Degraded, format!("{served}; but: {why}")),
        };
    }
    if serving.is_empty() {
        return Condition::new(false, Reason::Progressing, format!("opening {} node(s) for {names}", chosen.len()));
    }
    if serving.len() < chosen.len() {
        let message = format!("{served}; {} more node(s) on the way", chosen.len() - serving.len());
        return Condition::new(ready, Reason::Progressing, message);
    }
    if on_the_way {
        let message = format!("{served}; Route 53 is still bringing the record to its servers");
        return Condition::new(ready, Reason::Progressing, message);
    }
    match desired.placement.degraded.get(&service.key) {
        Some(why) => Condition::new(true, Reason::Degraded, format!("{served}; {why}")),
        None => Condition::new(true, Reason::Synced, served),
    }
}

/// The failure that stands most in the way of an exposure: on its own fields, its names, or one of its nodes.
fn failure<'m>(
    exposure: &Exposure,
    chosen: &[&Alive<'_>],
    desired: &Desired<'_>,
    memory: &'m Memory,
) -> Option<&'m Failure> {
    let names: BTreeSet<&str> = exposure
        .hostnames
        .iter()
        .map(dns::Hostname::as_str)
        .chain(desired.names_of(&exposure.service).map(|name| name.name.as_str()))
        .collect();
    let concerns = |target: &Target, failure: &Failure| match target {
        Target::Service(key) => *key == exposure.service,
        Target::Name(_, name) => names.contains(name.as_str()),
        // What is refused to others only is no concern of who has all that it needs.
        Target::Firewall(id) => {
            let others = failure.is_of_others(std::slice::from_ref(&exposure.service));
            chosen.iter().any(|node| node.instance.id == *id) && !others
        }
        // Who has all that it needs doesn't need the group.
        Target::NewGroup(id) => chosen.iter().any(|node| node.instance.id == *id) && !desired.is_open(exposure, id),
        Target::Group(_) => false,
    };
    memory.failures.iter().find(|(target, failure)| concerns(target, failure)).map(|(_, failure)| failure)
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
