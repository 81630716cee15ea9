//! All that an account is made of, behind one lock: what there is, what there was, who may do what, and what was
//! counted. Knows nothing of requests on the wire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::sim::Random;
use crate::sim::event::{Actor, Creator};

use super::answer::{Refusal, Result};
use super::buckets::Buckets;
use super::identity::Identities;
use super::options::Options;
use super::policy::{Facts, Policy};
use super::state::{Count, Shelf, State};

/// The account.
pub(super) struct World {
    pub options: Options,
    /// The time of day at the beginning.
    pub began: SystemTime,
    pub state: State,
    /// What it was from when on; the last entry is what it is.
    past: VecDeque<(Duration, State)>,
    pub counts: BTreeMap<(Creator, String), Count>,
    pub identities: Identities,
    pub buckets: Buckets,
    /// When batches were accepted, by the change's id.
    pub changes: BTreeMap<String, Duration>,
    /// When each zone last accepted one.
    pub busy: BTreeMap<String, Duration>,
    /// By how many seconds the servers' clocks are wrong.
    pub clock_off: i64,
    /// For what ids and addresses are made of.
    made: u64,
    pub random: Random,
    /// What has changed since it was last taken.
    pub news: Vec<String>,
    /// The groups on interfaces that the complete listing of instances shows which is being answered.
    pub showing: Vec<(String, String)>,
    /// The same of the last ones, by call.
    pub shown: BTreeMap<u64, Vec<(String, String)>>,
}

/// Who asks, and what it gets to see.
pub(super) struct Caller {
    pub actor: Actor,
    pub policy: Arc<Policy>,
    pub arn: String,
    pub now: Duration,
    /// The moment that is shown: reads may be old.
    pub shown: Duration,
    /// Some things are shown as they are all the same.
    pub patchy: bool,
    pub spoil: Spoil,
}

/// What a listing shows of each thing: how it is, or how it was.
pub(super) struct View {
    now: State,
    then: State,
    patchy: bool,
    random: Random,
}

impl View {
    /// The moment at which the next thing is shown.
    pub fn draw(&self) -> &State {
        if self.patchy && self.random.percent(50) { &self.now } else { &self.then }
    }

    /// The ids of all that was there at either moment.
    pub fn ids<T>(&self, of: impl Fn(&State) -> &Shelf<T>) -> Vec<String> {
        let (now, then) = (of(&self.now), of(&self.then));
        if !self.patchy {
            return then.keys().cloned().collect();
        }
        now.keys()
            .chain(then.keys().filter(|id| !now.contains_key(*id)))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// What is wrong with a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spoil {
    /// One thing is left out.
    pub omits: bool,
    /// Nothing is there.
    pub empty: bool,
    /// The token of the page has expired.
    pub page_expired: bool,
    /// The next page is this one again.
    pub page_repeats: bool,
}

impl World {
    pub fn new(options: Options, began: SystemTime) -> World {
        let random = Random::new(options.seed).fork("aws");
        World {
            began,
            state: State::default(),
            past: VecDeque::from([(Duration::ZERO, State::default())]),
            counts: BTreeMap::new(),
            identities: Identities::default(),
            buckets: Buckets::default(),
            changes: BTreeMap::new(),
            busy: BTreeMap::new(),
            clock_off: 0,
            made: 0,
            random,
            news: Vec::new(),
            showing: Vec::new(),
            shown: BTreeMap::new(),
            options,
        }
    }

    /// The state has changed: it is remembered, and told.
    pub fn changed(&mut self, now: Duration, what: impl Into<String>) {
        self.news.push(what.into());
        match self.past.back_mut() {
            Some((at, last)) if *at == now => *last = self.state.clone(),
            _ => self.past.push_back((now, self.state.clone())),
        }
        let reach = self.options.memory.max(self.options.ec2_lag).max(self.options.route53_lag);
        let oldest = now.saturating_sub(reach);
        while self.past.get(1).is_some_and(|(at, _)| *at <= oldest) {
            self.past.pop_front();
        }
    }

    /// What was so at a moment.
    pub fn at(&self, moment: Duration) -> State {
        let after = self.past.partition_point(|(at, _)| *at <= moment);
        match self.past.get(after.saturating_sub(1)) {
            Some((_, state)) => state.clone(),
            None => self.state.clone(),
        }
    }

    /// What a listing shows to the caller.
    pub fn view(&self, caller: &Caller) -> View {
        let then = self.at(caller.shown);
        View { now: self.state.clone(), then, patchy: caller.patchy, random: self.random.clone() }
    }

    /// How old an answer is.
    pub fn age(&self, lag: Duration) -> Duration {
        if self.options.steady_lag {
            return lag;
        }
        if lag.is_zero() || !self.random.percent(self.options.lag_percent) {
            return Duration::ZERO;
        }
        self.draw(lag)
    }

    /// A time up to `most`, in whole milliseconds.
    pub fn draw(&self, most: Duration) -> Duration {
        let milliseconds = usize::try_from(most.as_millis()).unwrap_or(usize::MAX - 1);
        Duration::from_millis(self.random.below(milliseconds + 1) as u64)
    }

    /// `sg-0a3f1000000000007`: drawn in front, so that their order means nothing, and counted at the end.
    pub fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        let drawn = self.random.next() & 0xffff;
        format!("{prefix}-0{drawn:04x}{:012x}", self.made)
    }

    /// A number that wasn't used before.
    pub fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A public address that nobody has had yet.
    pub fn public_address(&mut self) -> Ipv4Addr {
        let number = self.number();
        // 198.18.0.0/15 is for tests (RFC 2544).
        Ipv4Addr::from(0xc612_0000 + u32::try_from(number % 0x1_ffff).unwrap_or(0))
    }

    pub fn made(&mut self, creator: Creator, what: String) {
        self.counts.entry((creator, what)).or_default().creates += 1;
    }

    pub fn gone(&mut self, creator: Creator, what: String) {
        self.counts.entry((creator, what)).or_default().deletes += 1;
    }

    pub fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ec2:{}:{}:{resource}", self.options.region, self.options.account)
    }
}

impl Caller {
    pub fn creator(&self) -> Creator {
        self.actor.creator()
    }

    /// Whether the caller may.
    pub fn may(&self, action: &str, resource: &str, facts: &Facts) -> Result<()> {
        if self.policy.allows(action, resource, facts) {
            return Ok(());
        }
        let who = &self.arn;
        Err(if action.starts_with("ec2:") {
            Refusal::new(
                403,
                "UnauthorizedOperation",
                format!(
                    "You are not authorized to perform this operation. User: {who} is not authorized to perform: \
                     {action} on resource: {resource} because no identity-based policy allows the {action} action. \
                     Encoded authorization failure message: c2ltdWxhdGVk"
                ),
            )
        } else {
            Refusal::new(
                403,
                "AccessDenied",
                format!(
                    "User: {who} is not authorized to perform: {action} on resource: {resource} because no \
                     identity-based policy allows the {action} action"
                ),
            )
        })
    }
}
