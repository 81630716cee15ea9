//! What stands between exposures and each node, and the words for it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::firewall::MAKE_ROOM;
use super::super::nodes::{Alive, Joined};
use super::super::quote::quoted;
use super::super::{Exposure, InstanceId, Port, Reason, Rule, ServiceKey, Snapshot, firewall};
use super::Scheduler;

/// Exposures that are placed on the same nodes.
#[derive(Clone, Default)]
pub(super) struct Unit<'a> {
    /// The eldest first.
    pub(super) members: Vec<&'a Exposure>,
    /// All their rules.
    pub(super) rules: BTreeSet<Rule>,
}

impl<'a> Unit<'a> {
    pub(super) fn with(&self, exposure: &'a Exposure) -> Unit<'a> {
        let mut larger = self.clone();
        larger.members.push(exposure);
        larger.rules.extend(firewall::rules(exposure));
        larger
    }

    /// Both together.
    pub(super) fn and(mut self, other: &Unit<'a>) -> Unit<'a> {
        self.members.extend(&other.members);
        self.members.sort_by_key(|member| super::age(member));
        self.rules.extend(other.rules.iter().cloned());
        self
    }

    pub(super) fn any(&self, holds: impl Fn(&ServiceKey) -> bool) -> bool {
        self.members.iter().any(|member| holds(&member.service))
    }

    /// The least of what its members allow.
    pub(super) fn max_nodes(&self) -> usize {
        self.members.iter().filter_map(|member| member.max_nodes).min().unwrap_or(usize::MAX)
    }

    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.members.iter().all(|member| member.selector.matches(labels))
    }

    /// Whether all have a ready endpoint there; or may have one, where they are `served`.
    fn has_endpoints_on(&self, node: &str, served: bool) -> bool {
        self.members.iter().all(|member| {
            let known = member.local_nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
            known || served && member.unread_endpoints.is_some()
        })
    }

    /// Why it isn't known where all endpoints are.
    pub(super) fn unread_endpoints(&self) -> Option<String> {
        self.members.iter().find_map(|member| member.unread_endpoints.clone())
    }
}

/// What ties a Service to another's nodes, in words that fit behind `this Service `.
fn tie(exposure: &Exposure, elder: &Exposure) -> String {
    let through = if exposure.hostnames.is_disjoint(&elder.hostnames) { " through others" } else { "" };
    format!("shares a hostname with {}{through}, and so its nodes", elder.service)
}

/// Why an exposure can't be on the same nodes as those with which it shares hostnames, wherever that is: two want one
/// port.
pub(super) fn clash(tied: &[&Unit<'_>], exposure: &Exposure) -> Option<(Reason, String)> {
    let common = |one: &Exposure, other: &Exposure| one.ports.intersection(&other.ports).next().copied();
    let own = tied.iter().flat_map(|unit| &unit.members).find_map(|elder| {
        let port = common(elder, exposure)?;
        let (elder_key, tie) = (&elder.service, tie(exposure, elder));
        Some(format!("port {port} is taken by {elder_key}: this Service {tie}; use another port or another hostname"))
    });
    let pairs = || tied.iter().enumerate().flat_map(|(n, one)| tied.iter().skip(n + 1).map(move |other| (one, other)));
    let members = || {
        pairs().flat_map(|(one, other)| {
            one.members.iter().flat_map(|one| other.members.iter().map(move |other| (one, other)))
        })
    };
    let theirs = || {
        members().find_map(|(one, other)| {
            let (port, one, other) = (common(one, other)?, &one.service, &other.service);
            Some(format!(
                "its hostnames tie this Service to the nodes of {one} and of {other}, which can't be the same: both \
                 use port {port}; use other hostnames"
            ))
        })
    };
    own.or_else(theirs).map(|message| (Reason::PortConflict, message))
}

/// How good the nodes are that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quality {
    /// There are none.
    None,
    /// Only nodes that serve now and would not be chosen anew.
    Serving,
    /// Nodes that may be chosen.
    Fit,
}

/// What was found for a unit.
#[derive(Default)]
pub(super) struct Survey<'a> {
    /// Nodes that may be chosen.
    pub(super) fit: Vec<&'a Alive<'a>>,
    /// Nodes that serve now, match and can be reached, but would not be chosen anew.
    pub(super) unfit_serving: Vec<&'a Alive<'a>>,
    /// Why the matching nodes that aren't fit are not, with the number of nodes.
    obstacles: BTreeMap<String, usize>,
    /// Why those of `unfit_serving` are not.
    serving_obstacles: BTreeMap<String, usize>,
    /// A port that somebody has, who, and the node.
    taken: Option<(Port, &'a ServiceKey, &'a str)>,
    /// Some node lacks nothing but room in its security groups.
    full: bool,
}

impl<'a> Scheduler<'a> {
    /// Why a node must not be chosen anew for the unit, whoever has its ports. `serves`: it does so already.
    pub(super) fn unfit_for(&self, unit: &Unit<'_>, alive: &Alive<'_>, serves: bool) -> Option<String> {
        let without_endpoint = || Some("without a ready endpoint of the Service".to_owned());
        match self.unfit.get(&alive.instance.id) {
            Some(why) => Some(why.clone()),
            None if !unit.has_endpoints_on(&alive.node.name, serves) => without_endpoint(),
            None => None,
        }
    }

    /// Looks at every node for a unit.
    pub(super) fn survey(&self, unit: &Unit<'a>) -> Survey<'a> {
        let mut survey = Survey::default();
        let serving: BTreeSet<&InstanceId> =
            unit.members.iter().filter_map(|member| self.serving.nodes.get(&member.service)).flatten().collect();
        for (id, alive) in &self.joined.alive {
            if !unit.matches(&alive.node.labels) {
                continue;
            }
            let serves = serving.contains(id);
            let taken = self.claims.holders(id).and_then(|holders| {
                unit.members.iter().flat_map(|member| &member.ports).find_map(|port| {
                    let holder = *holders.get(port)?;
                    (!unit.any(|key| key == holder)).then_some((*port, holder))
                })
            });
            let why = if let Some(why) = self.unfit_for(unit, alive, serves) {
                if serves && taken.is_none() {
                    survey.unfit_serving.push(alive);
                    *survey.serving_obstacles.entry(why.clone()).or_default() += 1;
                }
                why
            } else if let Some((port, holder)) = taken {
                survey.taken.get_or_insert((port, holder, &alive.node.name));
                "where another Service has the port".into()
            } else if !self.rooms.fits(id, &unit.rules) {
                let why = "without room in its security groups".to_owned();
                survey.full = true;
                if serves {
                    survey.unfit_serving.push(alive);
                    *survey.serving_obstacles.entry(why.clone()).or_default() += 1;
                }
                why
            } else {
                survey.fit.push(alive);
                continue;
            };
            *survey.obstacles.entry(why).or_default() += 1;
        }
        survey
    }
}

impl Survey<'_> {
    pub(super) fn quality(&self) -> Quality {
        match (self.fit.is_empty(), self.unfit_serving.is_empty()) {
            (false, _) => Quality::Fit,
            (true, false) => Quality::Serving,
            (true, true) => Quality::None,
        }
    }

    /// The sentence for those who are served only by nodes that would not be chosen anew.
    pub(super) fn degradation(&self) -> Option<String> {
        (self.quality() == Quality::Serving).then(|| {
            let why = counts(&self.serving_obstacles);
            format!("no node is fit to serve it, so it stays where it is ({why})")
        })
    }

    /// Why the youngest of the unit finds no node.
    pub(super) fn refusal(mut self, unit: &Unit<'_>, joined: &Joined<'_>, snapshot: &Snapshot) -> (Reason, String) {
        for (name, why) in &joined.skipped {
            if snapshot.nodes.get(name).is_some_and(|node| unit.matches(&node.labels)) {
                *self.obstacles.entry(why.clone()).or_default() += 1;
            }
        }
        let matching = self.fit.len() + self.obstacles.values().sum::<usize>();
        let selector = unit.members.last().map(|member| member.selector.to_string()).unwrap_or_default();
        let found = match (matching, selector.is_empty()) {
            (0, true) => "there is no node".to_owned(),
            (0, false) => format!("no node matches the selector {}", quoted(&selector)),
            (1, true) => format!("there is 1 node: {}", counts(&self.obstacles)),
            (n, true) => format!("there are {n} nodes: {}", counts(&self.obstacles)),
            (1, false) => format!("1 node matches the selector: {}", counts(&self.obstacles)),
            (n, false) => format!("{n} nodes match the selector: {}", counts(&self.obstacles)),
        };
        let elders = match unit.members.split_last() {
            Some((youngest, [eldest, ..])) => format!("; it {}", tie(youngest, eldest)),
            _ => String::new(),
        };
        match self.taken {
            Some((port, holder, node)) => {
                (Reason::PortConflict, format!("port {port} is taken by {holder} on node {node}; {found}{elders}"))
            }
            None if self.full => (Reason::SecurityGroupLimit, format!("{found}{elders}; {MAKE_ROOM}")),
            None => (Reason::NoEligibleNodes, format!("{found}{elders}")),
        }
    }
}

/// `2 not Ready, 1 without a public address`: the most frequent first, and not more than a person wants to read.
fn counts(obstacles: &BTreeMap<String, usize>) -> String {
    const SHOWN: usize = 4;
    let mut sorted: Vec<(&String, &usize)> = obstacles.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1));
    let rest: usize = sorted.iter().skip(SHOWN).map(|(_, count)| **count).sum();
    let mut parts: Vec<String> = sorted.iter().take(SHOWN).map(|(why, count)| format!("{count} {why}")).collect();
    if rest > 0 {
        parts.push(format!("{rest} for other reasons"));
    }
    parts.join(", ")
}
