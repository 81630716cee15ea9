//! S6: absence needs proof. What a Service has is taken from it only for a reason that is true: a list that is empty,
//! short, old or unreadable is none. And when most Services stop asking at once, a person must have said that this is
//! meant.
//!
//! Judged by the truth: a Service that has asked for the same for a while ([`Patience::wish`](super::Patience::wish))
//! keeps each node that is still good for it. A node is no more when its Node or its instance says so, when another
//! Service is in its way there, or when there are more nodes than the Service asks for. What somebody else has changed
//! at a node's instance lately excuses everything there. What is open where a Service is listed or published is judged
//! by S1c and S7.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::sim::aws::State;
use crate::sim::aws::state::Source;
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::{NodeView, ServiceView};

use super::aws::twin_of;
use super::past::Key;
use super::wish::{self, Wish};
use super::{Known, Memory};

/// A plan that is being carried out may be so much older than what is known.
const PLANNED: Duration = Duration::from_secs(30);

/// So many Services may always stop asking at once.
const HANDFUL: usize = 5;

/// Services that are placed together, and what all of them ask for.
struct Family<'a> {
    members: Vec<(&'a ServiceView, Wish)>,
}

impl Family<'_> {
    fn has(&self, view: &ServiceView) -> bool {
        self.members.iter().any(|(member, _)| member.namespace == view.namespace && member.name == view.name)
    }

    fn max(&self) -> usize {
        self.members.iter().filter_map(|(_, wish)| wish.max).min().unwrap_or(usize::MAX)
    }

    fn ports(&self) -> BTreeSet<&(String, u16)> {
        self.members.iter().flat_map(|(_, wish)| &wish.ports).collect()
    }

    /// Whether the node is good for all of them.
    fn likes(&self, state: &State, node: &NodeView) -> bool {
        self.members.iter().all(|(_, wish)| wish::eligible(state, node, wish))
    }
}

/// Whether groups of ours let in at the instance all that is asked for.
fn open_by_us(state: &State, instance: &str, wish: &Wish) -> bool {
    let Some(interface) = state.primary(instance) else { return false };
    let groups = interface.groups.keys().filter_map(|id| state.groups.get(id));
    let rules: Vec<_> =
        groups.filter(|group| group.creator == Creator::Us).flat_map(|group| group.rules.keys()).collect();
    let open = |protocol: &str, port: u16, source: &Source| {
        rules.iter().any(|rule| {
            rule.protocol == protocol && (rule.from..=rule.to).contains(&i32::from(port)) && rule.source == *source
        })
    };
    wish.ports.iter().all(|(protocol, port)| wish.sources.iter().all(|source| open(protocol, *port, source)))
}

impl Memory {
    /// All Services as they are and as they were until lately.
    fn views(&self) -> impl Iterator<Item = &ServiceView> {
        let former = self.past.services.iter().map(|(_, view)| view);
        self.services.values().map(|known| &known.view).chain(former)
    }

    /// The Services that are placed together with this one; `None` where that can't be told exactly.
    fn family<'a>(&'a self, known: &'a Known, wish: &Wish) -> Option<Family<'a>> {
        let asking: Vec<(&ServiceView, Wish)> =
            self.views().filter_map(|view| Some((view, wish::wish(view)?))).filter(|(_, wish)| wish.valid).collect();
        let neighbours = asking.iter().filter(|(view, _)| view.namespace == known.view.namespace);
        let names = wish::tied(&wish.hostnames, neighbours.map(|(_, wish)| &wish.hostnames));
        let members: Vec<_> = asking.into_iter().filter(|(_, wish)| !wish.hostnames.is_disjoint(&names)).collect();
        // Who else asks for a name may have it; and somebody else's list is not ours to place.
        let plain = members.iter().all(|(view, _)| {
            view.namespace == known.view.namespace
                && view.external_ips.iter().all(|(_, creator)| *creator == Creator::Us)
        });
        plain.then_some(Family { members })
    }

    /// Whether nothing that is so, or was until lately, speaks against the node that has served the family.
    fn is_good(&self, at: Duration, state: &State, family: &Family<'_>, instance: &str) -> bool {
        let Some((private, public)) = wish::addresses(state, instance) else { return false };
        let private = private.to_string();
        let ports = family.ports();
        // Whose a name is, who asks for it or not, is told by its twin.
        let lists = |view: &ServiceView, name: &String, service: &Key| {
            (&service.0, &service.1) == (&view.namespace, &view.name) && listed(state, name).contains(&public)
        };
        let in_the_way = |view: &ServiceView| {
            let takes = wish::ports(view).iter().any(|port| ports.contains(port));
            let names = || wish::wish(view).map(|wish| wish.hostnames).unwrap_or_default();
            let there = view.external_ips.iter().any(|(address, _)| *address == private)
                || names().iter().any(|name| listed(state, name).contains(&public))
                || served_names(state).any(|(name, service)| lists(view, &name, &service));
            // One of them that can't be understood any more keeps what it has, and makes no room for the others.
            let is_apart = !family.has(view) || wish::wish(view).is_some_and(|wish| !wish.valid);
            takes && is_apart && there
        };
        self.past.is_calm(at, instance)
            && self.past.nodes_of(instance).all(|node| family.likes(state, node))
            && family.members.iter().all(|(_, wish)| open_by_us(state, instance, wish))
            && !self.views().any(in_the_way)
    }

    /// How many of the addresses are, or were until lately, good for the family.
    fn good_among(&self, at: Duration, state: &State, family: &Family<'_>, addresses: &BTreeSet<Ipv4Addr>) -> usize {
        let good = |address: &&Ipv4Addr| match state.instance_of(**address) {
            Some(one) => self.past.nodes_of(&one.id).any(|node| family.likes(state, node)),
            None => self.past.was_a_nodes(at, **address),
        };
        addresses.iter().filter(good).count()
    }

    /// We have changed records, or what is open.
    pub(super) fn judge_absence(&mut self, at: Duration, actor: Actor, before: &State, after: &State) {
        self.past.forget(at, self.terms.patience.wish);
        let (mut broken, mut replaced) = (BTreeSet::new(), Vec::new());
        if !super::aws::changed(&before.zones, &after.zones).is_empty() {
            for known in self.services.values() {
                let Some(wish) = &known.wish else { continue };
                let is_known = known.since + self.patience(at) <= at;
                let key = (known.view.namespace.clone(), known.view.name.clone());
                for name in &wish.hostnames {
                    let (was, is) = (listed(before, name), listed(after, name));
                    replaced.extend(is.iter().map(|address| (key.clone(), *address, false)));
                    if was.is_subset(&is) {
                        continue;
                    }
                    let family = if wish.valid { self.family(known, wish) } else { None };
                    if family.as_ref().is_some_and(|family| self.has_enough(at, before, family, &was, &is)) {
                        replaced.extend(was.difference(&is).map(|address| (key.clone(), *address, true)));
                        continue;
                    }
                    broken.extend(match family {
                        _ if !is_known => Vec::new(),
                        Some(family) => self.unlisted(at, before, &family, name, &was - &is),
                        None if wish.valid => Vec::new(),
                        None => self.thawed(at, before, known, name, &was - &is),
                    });
                }
            }
        }
        for (key, address, others_stand_in) in replaced {
            match others_stand_in {
                true => self.past.replaced.insert((key, address)),
                false => self.past.replaced.remove(&(key, address)),
            };
        }
        broken.extend(self.taken_without_consent(at, actor, before, after));
        self.note_closed(after);
        for what in broken {
            self.broken("S6", at, what);
        }
    }

    /// Whether the name had more good nodes than the Service asks for, and still has enough.
    fn has_enough(
        &self,
        at: Duration,
        before: &State,
        family: &Family<'_>,
        was: &BTreeSet<Ipv4Addr>,
        is: &BTreeSet<Ipv4Addr>,
    ) -> bool {
        let max = family.max();
        self.good_among(at, before, family, was) > max && self.good_among(at, before, family, is) >= max
    }

    /// What left a name of a Service though it is good.
    fn unlisted(
        &self,
        at: Duration,
        before: &State,
        family: &Family<'_>,
        name: &str,
        gone: BTreeSet<Ipv4Addr>,
    ) -> Vec<String> {
        let good = gone.into_iter().filter_map(|address| {
            let instance = before.instance_of(address)?;
            self.is_good(at, before, family, &instance.id).then(|| {
                format!("{name} no longer lists {address}, where {} is as good as ever for who asks", instance.id)
            })
        });
        good.collect()
    }

    /// What left a name of a Service that can't be understood, and keeps what it has.
    fn thawed(&self, at: Duration, before: &State, known: &Known, name: &str, gone: BTreeSet<Ipv4Addr>) -> Vec<String> {
        let own = (known.view.namespace.clone(), known.view.name.clone());
        let its =
            before.zones.values().filter_map(|zone| twin_of(zone, name)).any(|twin| twin.service == Some(own.clone()));
        let others = self.views().filter(|view| view.uid != known.view.uid);
        let asked = others.filter_map(wish::wish).any(|wish| wish.hostnames.contains(name));
        if !its || asked {
            return Vec::new();
        }
        let there = gone
            .into_iter()
            .filter(|address| before.instance_of(*address).is_some_and(|instance| self.past.is_calm(at, &instance.id)));
        there
            .map(|address| format!("{name} no longer lists {address}, though {}/{} only can't be read", own.0, own.1))
            .collect()
    }

    /// We have changed a Service.
    pub(super) fn judge_unpublished(&mut self, at: Duration, actor: Actor, old: &Known, new: &ServiceView) {
        self.past.forget(at, self.terms.patience.wish);
        let set = |view: &ServiceView| -> BTreeSet<Ipv4Addr> {
            let own = view.external_ips.iter().filter(|(_, creator)| *creator == Creator::Us);
            own.filter_map(|(address, _)| address.parse().ok()).collect()
        };
        let gone = &set(&old.view) - &set(new);
        if gone.is_empty() {
            return;
        }
        let name = format!("{}/{}", new.namespace, new.name);
        let state = &self.state;
        let instances = state.instances.keys().filter_map(|id| Some((id, wish::addresses(state, id)?)));
        // What left a name that had enough others was judged then, whatever became of these since.
        let key = (new.namespace.clone(), new.name.clone());
        let gone: Vec<(&String, Ipv4Addr)> = instances
            .filter(|(_, (private, public))| {
                gone.contains(private) && !self.past.replaced.contains(&(key.clone(), *public))
            })
            .map(|(id, (private, _))| (id, private))
            .collect();
        let settled = old.since + self.patience(at) <= at;
        let broken: Vec<String> = match &old.wish {
            Some(wish) if settled && wish.valid => {
                let Some(family) = self.family(old, wish) else { return };
                // The names have others already: this one was judged when it left them.
                let replaced = wish
                    .hostnames
                    .iter()
                    .all(|name| self.good_among(at, state, &family, &listed(state, name)) >= family.max());
                let good = gone.into_iter().filter(|(id, _)| !replaced && self.is_good(at, state, &family, id));
                good.map(|(id, private)| format!("{private} left {name}, where {id} is as good as ever")).collect()
            }
            Some(_) if settled => {
                let there = gone.into_iter().filter(|(id, _)| self.past.is_calm(at, id));
                there.map(|(_, private)| format!("{private} left {name}, which only can't be understood")).collect()
            }
            Some(_) => Vec::new(),
            None => {
                let own = (new.namespace.clone(), new.name.clone());
                let leaving = self.held(at, actor, state, Some(&own));
                let its = leaving.contains(&own);
                let there = gone.into_iter().filter(|(id, _)| its && self.past.is_calm(at, id));
                there.map(|(_, private)| format!("{private} left {name}, {}", unasked(leaving.len()))).collect()
            }
        };
        for what in broken {
            self.broken("S6", at, what);
        }
    }

    /// The Services of which nothing may go: they don't ask any more, and are so many that a person must agree to
    /// their removal, when nobody did. `released` is among them, and has lost what it had just now.
    fn held(&self, at: Duration, actor: Actor, state: &State, released: Option<&Key>) -> BTreeSet<Key> {
        if matches!(actor, Actor::Replica(replica) if self.past.consents.contains(&replica)) {
            return BTreeSet::new();
        }
        let mut exposed: BTreeSet<Key> = BTreeSet::new();
        for zone in state.zones.values() {
            let twins = zone
                .records
                .iter()
                .filter(|(key, _)| key.kind() == "TXT")
                .filter_map(|(_, record)| super::aws::twin(record));
            exposed.extend(twins.filter(|twin| twin.owner == self.terms.owner).filter_map(|twin| twin.service));
        }
        let ours = ["assigned", "addresses"].map(|name| format!("{}{name}", wish::PREFIX));
        let has = |view: &ServiceView| {
            view.external_ips.iter().any(|(_, creator)| *creator == Creator::Us)
                || ours.iter().any(|name| view.annotations.contains_key(name))
        };
        exposed.extend(self.services.iter().filter(|(_, known)| has(&known.view)).map(|(key, _)| key.clone()));
        exposed.extend(released.cloned());
        let asks = |key: &&Key| self.services.get(*key).is_some_and(|known| known.wish.is_some());
        let since = |key: &Key| self.past.stopped.get(key).map(|stopped| stopped.since);
        let gone: Vec<(&Key, Option<Duration>)> =
            exposed.iter().filter(|key| !asks(key)).map(|key| (key, since(key))).collect();

        let patience = self.terms.patience.wish + PLANNED;
        let known = |since: Option<Duration>| since.is_none_or(|since| since + patience <= at);
        let leaving: BTreeSet<Key> =
            gone.iter().filter(|(_, since)| known(*since)).map(|(key, _)| (*key).clone()).collect();
        if leaving.len() > HANDFUL && leaving.len() * 2 > exposed.len() {
            return leaving;
        }
        // Whoever has met with no fault for long knows at once: when it was planned to take something from one, those
        // that had stopped with it or before were known. That most of them did isn't a matter of what else was known.
        let calm_since = self.past.fault.map_or(Duration::ZERO, |fault| fault + patience);
        let with_it = |since: Option<Duration>| gone.iter().filter(|(_, other)| *other <= since).count();
        let at_once = |since: Option<Duration>| {
            let count = with_it(since);
            since.is_some_and(|since| calm_since <= since) && count > HANDFUL && count * 4 > exposed.len() * 3
        };
        gone.iter().filter(|(_, since)| at_once(*since)).map(|(key, _)| (*key).clone()).collect()
    }

    /// Remembers what isn't open for the Services that don't ask any more.
    fn note_closed(&mut self, state: &State) {
        if self.past.stopped.is_empty() {
            return;
        }
        for (name, service) in served_names(state) {
            let Some(stopped) = self.past.stopped.get_mut(&service) else { continue };
            let Some(wish) = &stopped.last else { continue };
            let instances = listed(state, &name).into_iter().filter_map(|address| state.instance_of(address));
            let closed = instances.filter(|instance| !open_by_us(state, &instance.id, wish));
            stopped.closed.extend(closed.map(|instance| instance.id.clone()));
        }
    }

    /// What was taken from so many Services at once that a person must agree.
    fn taken_without_consent(&self, at: Duration, actor: Actor, before: &State, after: &State) -> Vec<String> {
        let leaving = self.held(at, actor, before, None);
        let mut broken = Vec::new();
        if leaving.is_empty() {
            return broken;
        }
        let ask = |view: &ServiceView, name: &str| wish::wish(view).is_some_and(|wish| wish.hostnames.contains(name));
        for (name, service) in served_names(before) {
            let is_other = |view: &&ServiceView| (&view.namespace, &view.name) != (&service.0, &service.1);
            if !leaving.contains(&service) || self.views().filter(is_other).any(|view| ask(view, &name)) {
                continue;
            }
            let gone = &listed(before, &name) - &listed(after, &name);
            let there = gone.into_iter().filter(|address| {
                before.instance_of(*address).is_some_and(|instance| self.past.is_calm(at, &instance.id))
            });
            broken.extend(there.map(|address| format!("{name} no longer lists {address}, {}", unasked(leaving.len()))));
            let Some(stopped) = self.past.stopped.get(&service) else { continue };
            let Some(mut wish) = stopped.last.clone() else { continue };
            if let Some(view) = self.views().find(|view| !is_other(view)) {
                // Nobody is reached by a port that it has itself given up since.
                let kept = wish::ports(view);
                wish.ports.retain(|port| kept.contains(port));
            }
            for instance in listed(before, &name).iter().filter_map(|address| before.instance_of(*address)) {
                let closed = open_by_us(before, &instance.id, &wish) && !open_by_us(after, &instance.id, &wish);
                let others = stopped.closed.contains(&instance.id);
                if closed && !others && self.past.is_calm(at, &instance.id) {
                    let (namespace, service) = &service;
                    let what = format!("{} was closed for {namespace}/{service}", instance.id);
                    broken.push(format!("{what}, {}", unasked(leaving.len())));
                }
            }
        }
        broken
    }
}

/// The names with addresses, each with the Service that its twin tells of.
fn served_names(state: &State) -> impl Iterator<Item = (String, (String, String))> {
    state.zones.values().flat_map(|zone| {
        let names = zone.records.keys().filter(|key| key.kind() == "A").map(|key| key.plain_name());
        names.filter_map(|name| {
            let name = name.trim_end_matches('.').to_owned();
            let service = twin_of(zone, &name)?.service?;
            Some((name, service))
        })
    })
}

fn unasked(leaving: usize) -> String {
    format!("though {leaving} Services stopped asking at once and nobody said that this is meant")
}

/// What all zones together list under a name.
fn listed(state: &State, name: &str) -> BTreeSet<Ipv4Addr> {
    wish::listed(state, name).into_iter().flat_map(|(_, addresses)| addresses).collect()
}
