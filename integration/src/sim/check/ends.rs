//! L6: the end state of a world in a form that two worlds can be compared by. What follows from the wishes alone is in
//! it; which of several good nodes serves, and ids, are not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::sim::aws::state::{Group, RuleKey};
use crate::sim::aws::{Aws, State};
use crate::sim::event::Creator;
use crate::sim::kube::{Kube, NodeView, ServiceView};
use crate::sim::world::World;

use super::aws::twin_of;
use super::kube::CONDITION;
use super::wish::{self, PREFIX};

/// What a world has come to, as far as the daemon made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndState {
    /// By Service (`namespace/name`; empty: nobody's): words for what is so, and how often.
    pub of: BTreeMap<String, BTreeMap<String, usize>>,
}

impl EndState {
    /// The end state of a world as it is now.
    pub fn of(aws: &Aws, kube: &Kube) -> EndState {
        let (services, nodes): (Vec<ServiceView>, Vec<NodeView>) =
            kube.look(|look| (look.services().map(Cow::into_owned).collect(), look.nodes().cloned().collect()));
        let state = aws.look(State::clone);
        let mut end = EndState::default();
        for service in &services {
            end.service(&state, service);
        }
        end.records(&state);
        end.groups(&state, &services, &nodes);
        end
    }

    /// The same without what is a Service's.
    pub fn without(mut self, service: &str) -> EndState {
        self.of.remove(service);
        self
    }

    /// In words, what `other` has or has not and this doesn't or does.
    pub fn differences(&self, other: &EndState) -> Vec<String> {
        let none = BTreeMap::new();
        let services: BTreeSet<&String> = self.of.keys().chain(other.of.keys()).collect();
        let mut differences = Vec::new();
        for service in services {
            let (one, two) = (self.of.get(service).unwrap_or(&none), other.of.get(service).unwrap_or(&none));
            let words: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for words in words.into_iter().filter(|words| one.get(*words) != two.get(*words)) {
                let count = |side: &BTreeMap<String, usize>| side.get(words).copied().unwrap_or_default();
                differences.push(format!("{service}: {words}: {} and {}", count(one), count(two)));
            }
        }
        differences
    }

    fn note(&mut self, service: &str, words: String, times: usize) {
        *self.of.entry(service.to_owned()).or_default().entry(words).or_default() += times;
    }

    /// Condition, annotations and addresses, and what is open for it where it is published.
    fn service(&mut self, state: &State, service: &ServiceView) {
        let name = format!("{}/{}", service.namespace, service.name);
        for condition in service.conditions.iter().filter(|condition| condition.kind == CONDITION) {
            self.note(&name, format!("is {} {}", condition.status, condition.reason), 1);
        }
        for ours in ["assigned", "addresses"] {
            if let Some(list) = service.annotations.get(&format!("{PREFIX}{ours}")) {
                self.note(&name, format!("annotated with {ours}"), list.split(',').count());
            }
        }
        let own: Vec<&String> =
            service.external_ips.iter().filter(|(_, creator)| *creator == Creator::Us).map(|(ip, _)| ip).collect();
        if !own.is_empty() {
            self.note(&name, "addresses".to_owned(), own.len());
        }
        let Some(wish) = wish::wish(service) else { return };
        for instance in state.instances.keys() {
            let private = wish::addresses(state, instance).map(|(private, _)| private.to_string());
            if !own.iter().any(|ip| Some(*ip) == private.as_ref()) {
                continue;
            }
            let rules: Vec<&RuleKey> = own_groups(state, instance).flat_map(|group| group.rules.keys()).collect();
            for (protocol, port) in &wish.ports {
                for source in &wish.sources {
                    let open = rules.iter().any(|rule| covers(rule, protocol, *port) && rule.source == *source);
                    self.note(&name, format!("{protocol}/{port} open for {source:?}"), usize::from(open));
                }
            }
        }
    }

    /// Our records, each at the Service that its twin names.
    fn records(&mut self, state: &State) {
        for zone in state.zones.values() {
            for (key, record) in zone.records.iter().filter(|(_, record)| record.creator == Creator::Us) {
                let name = key.plain_name().trim_end_matches('.').to_owned();
                let hostname = if key.kind() == "TXT" { name.strip_prefix("a-").unwrap_or(&name) } else { &name };
                let service = twin_of(zone, hostname).and_then(|twin| twin.service);
                let service = service.map(|(namespace, name)| format!("{namespace}/{name}")).unwrap_or_default();
                let ttl = record.ttl.unwrap_or_default();
                let (words, times) = match key.kind() {
                    "A" => ("addresses".to_owned(), record.values.len()),
                    kind => (format!("{kind} {}", record.values.join(" ")), 1),
                };
                self.note(&service, format!("{name} in {}, for {ttl} s: {words}", zone.name), times);
            }
        }
    }

    /// Groups and rules of ours that no Service needs where they are, or not yet.
    fn groups(&mut self, state: &State, services: &[ServiceView], nodes: &[NodeView]) {
        let mut used = 0;
        let mut attached = BTreeSet::new();
        for instance in nodes.iter().filter_map(wish::instance_of) {
            let private = wish::addresses(state, instance).map(|(private, _)| private.to_string());
            let served: Vec<_> = services
                .iter()
                .filter(|service| service.external_ips.iter().any(|(ip, _)| Some(ip) == private.as_ref()))
                .filter_map(wish::wish)
                .collect();
            used += usize::from(!served.is_empty());
            for group in own_groups(state, instance) {
                attached.insert(&group.id);
                for rule in group.rules.keys() {
                    let needed = |port: i32| {
                        served.iter().any(|wish| {
                            let mut ports = wish.ports.iter();
                            ports.any(|(protocol, own)| i32::from(*own) == port && rule.protocol == *protocol)
                                && wish.sources.contains(&rule.source)
                        })
                    };
                    for port in (rule.from..=rule.to).filter(|port| !needed(*port)) {
                        let waits = services.iter().find(|service| {
                            let wish = wish::wish(service);
                            let mut ports = wish.iter().flat_map(|wish| &wish.ports);
                            ports.any(|(protocol, own)| i32::from(*own) == port && rule.protocol == *protocol)
                        });
                        let whose = waits.map(|service| format!("{}/{}", service.namespace, service.name));
                        let words =
                            format!("{}/{port} open for {:?} where it isn't served", rule.protocol, rule.source);
                        self.note(&whose.unwrap_or_default(), words, 1);
                    }
                }
            }
        }
        let ours = state.groups.values().filter(|group| group.creator == Creator::Us);
        let (there, elsewhere): (Vec<_>, Vec<_>) = ours.partition(|group| attached.contains(&group.id));
        self.note("", "groups on nodes without a Service, or several on one".to_owned(), there.len().abs_diff(used));
        self.note("", "groups on no node".to_owned(), elsewhere.len());
    }
}

impl World {
    /// What the world has come to, to be compared with what another has.
    pub fn end_state(&self) -> EndState {
        EndState::of(&self.aws, &self.kube)
    }
}

/// The groups of ours on an instance's primary interface.
fn own_groups<'a>(state: &'a State, instance: &str) -> impl Iterator<Item = &'a Group> {
    let groups = state.primary(instance).map(|interface| interface.groups.keys().cloned().collect::<Vec<_>>());
    let groups = groups.unwrap_or_default().into_iter().filter_map(|id| state.groups.get(&id));
    groups.map(AsRef::as_ref).filter(|group| group.creator == Creator::Us)
}

fn covers(rule: &RuleKey, protocol: &str, port: u16) -> bool {
    rule.protocol == protocol && (rule.from..=rule.to).contains(&i32::from(port))
}
