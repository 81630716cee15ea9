//! What the daemon does to Services: S2, S5, S11.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::sim::aws::State;
use crate::sim::aws::state::RecordSet;
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::ServiceView;

use super::aws::twin;
use super::wish::{self, PREFIX};
use super::{Known, Memory};

/// Our condition.
pub(super) const CONDITION: &str = "external-ips.alpha.openfresh.github.io/Ready";

/// Annotations that are ours to write.
const OURS: [&str; 2] = ["assigned", "addresses"];

type Key = (String, String);

impl Memory {
    /// `services`: all that there are, with those that have changed.
    pub(super) fn services_changed(
        &mut self,
        at: Duration,
        actor: Option<Actor>,
        services: Vec<(Key, Option<ServiceView>)>,
    ) {
        let ours = matches!(actor, Some(Actor::Replica(_)));
        let mut changes = Vec::new();
        let mut before = std::mem::take(&mut self.services);
        for (key, view) in services {
            let old = before.remove(&key);
            let Some(view) = view else {
                // Not changed, so it was known.
                self.services.extend(old.map(|old| (key, old)));
                continue;
            };
            let wish = wish::wish(&view);
            if let (true, Some(old)) = (ours, &old) {
                self.judge_change(at, old, &view);
                self.count_publication(&old.view, &view);
            }
            let since = match &old {
                Some(old) if old.wish == wish && old.view.uid == view.uid => old.since,
                _ => at,
            };
            let born = old.as_ref().filter(|old| old.view.uid == view.uid).map_or(at, |old| old.born);
            let known = Known { view, wish, since, born };
            match old {
                Some(old) => changes.push((old, known.view.clone())),
                None => self.past.service_made(&known),
            }
            self.services.insert(key, known);
        }
        for old in before.values() {
            self.past.service_changed(at, old.clone(), None);
        }
        for (old, new) in changes {
            let known = self.services.get(&(new.namespace.clone(), new.name.clone()));
            self.past.service_changed(at, old.clone(), known);
            if let Some(actor @ Actor::Replica(_)) = actor {
                self.judge_unpublished(at, actor, &old, &new);
            }
        }
        if ours && let Some((key, _)) = before.first_key_value() {
            self.broken("S2", at, format!("the Service {}/{} was deleted", key.0, key.1));
        }
    }

    fn judge_change(&mut self, at: Duration, old: &Known, new: &ServiceView) {
        let name = format!("{}/{}", new.namespace, new.name);
        if old.view.uid != new.uid {
            self.broken("S2", at, format!("the Service {name} was made anew"));
        }
        if essence(&old.view) != essence(new) {
            self.broken("S2", at, format!("more of {name} was changed than is ours: {:?} {:?}", old.view, new));
        }
        let foreign = |view: &ServiceView| -> Vec<String> {
            let theirs = view.external_ips.iter().filter(|(_, creator)| *creator != Creator::Us);
            theirs.map(|(address, _)| address.clone()).collect()
        };
        if foreign(&old.view) != foreign(new) {
            self.broken("S2", at, format!("addresses of others on {name} were changed"));
        }
        let set = |view: &ServiceView| -> BTreeSet<Ipv4Addr> {
            view.external_ips.iter().filter_map(|(address, _)| address.parse().ok()).collect()
        };
        let (was, is) = (set(&old.view), set(new));
        let wishes = self.wishes_lately(at, Some(&old.view), &new.namespace, &new.name);
        let state = self.state.clone();
        let instances = || state.instances.keys().filter_map(|id| Some((id, wish::addresses(&state, id)?)));
        for address in is.difference(&was) {
            let Some((id, (_, public))) = instances().find(|(_, (private, _))| private == address) else {
                if self.just_left(at, *address) {
                    continue;
                }
                self.broken("S5", at, format!("{address} was published on {name}: it belongs to no running instance"));
                continue;
            };
            if wishes.is_empty() {
                continue;
            }
            if !wishes.iter().any(|wish| wish::open(&state, id, wish)) && !self.is_meddled(at, id) {
                self.broken("S5", at, format!("{address} was published on {name} before {id} is open"));
            }
            // Who takes over may be shown a record that the one before it has just taken out: people are led there still.
            let named = wishes.iter().any(|wish| self.named(at, &state, wish, public).is_some());
            // A name that it asks for no more leads to it until its others do.
            let led = || ours_lists(&state, (&new.namespace, &new.name), public);
            // Where its address has just changed, the names still list the one before.
            let mut names = wishes.iter().flat_map(|wish| &wish.hostnames);
            // Nor is it known at once that somebody has taken it out of a name that is still its own, asked for or not.
            let taken_out =
                || self.lingering.iter().any(|one| one.address == public && self.is_rewritten(at, &one.name));
            let rewritten = names.any(|name| self.is_rewritten(at, name)) || taken_out();
            if !named && !self.is_meddled(at, id) && !rewritten && !led() {
                self.broken("S5", at, format!("{address} was published on {name} before a name lists {public}"));
            }
        }
        let staying: BTreeSet<&String> =
            instances().map(|(id, _)| id).filter(|id| self.nodes.contains(*id) && !self.has_moved(at, id)).collect();
        let nodes = || instances().filter(|(id, _)| staying.contains(id));
        let asked = self.asked_throughout(at, old);
        for address in was.difference(&is) {
            let Some((_, (_, public))) = nodes().find(|(_, (private, _))| private == address) else { continue };
            let Some(wish) = &asked else { break };
            if let Some(hostname) = self.named(at, &state, wish, public) {
                self.broken("S1c", at, format!("{address} left {name} while {hostname} lists {public}"));
            }
        }
        let settled = old.since + self.patience(at) <= at && old.wish.as_ref().is_some_and(|wish| wish.valid);
        if settled && is.is_empty() && was.iter().any(|address| nodes().any(|(_, (private, _))| private == *address)) {
            self.broken("S11", at, format!("{name} has no address any more, though it asks and a node of it lives"));
        }
    }
}

/// All of a Service that isn't ours.
fn essence(view: &ServiceView) -> ServiceView {
    let mut view = view.clone();
    view.version = 0;
    view.external_ips.clear();
    view.external_ips_managers.clear();
    view.conditions.retain(|condition| condition.kind != CONDITION);
    let ours = |name: &str| name.strip_prefix(PREFIX).is_some_and(|name| OURS.contains(&name));
    let annotations: BTreeMap<String, String> = view.annotations.into_iter().filter(|(name, _)| !ours(name)).collect();
    view.annotations = annotations;
    view
}

/// Whether a name whose twin says that it is the Service's lists the address.
fn ours_lists(state: &State, service: (&str, &str), address: Ipv4Addr) -> bool {
    let is_its = |record: &RecordSet| {
        let twin = twin(record).and_then(|twin| twin.service);
        twin.is_some_and(|(namespace, name)| (namespace.as_str(), name.as_str()) == service)
    };
    let twins = state.zones.values().flat_map(|zone| zone.records.iter());
    let names = twins.filter(|(key, record)| key.kind() == "TXT" && is_its(record)).map(|(key, _)| key.plain_name());
    let lists = |name: &str| wish::listed(state, name).iter().any(|(_, addresses)| addresses.contains(&address));
    names
        .filter_map(|name| name.strip_prefix("a-").map(|name| name.trim_end_matches('.').to_owned()))
        .any(|name| lists(&name))
}
