//! The checker: what must never happen, looked for after every single change of either simulator.
//!
//! It knows the invariants and nothing of the daemon's code: S1-S12 as they are listed in the project's reliability
//! notes are judged as things happen ([`Checker`]), L1-L8 when a world has come to rest or a history is over. Whose an object
//! is it knows from the simulators' private tags.
//!
//! | rule | what is judged, when |
//! |-|-|
//! | S1a | an address that we begin to list is that of a running instance, open for the Service that its twin names |
//! | S1b | an address that belongs to no instance any more leaves our records in time ([`Patience::stranger`]) |
//! | S1c, S5 | what we close, detach or unpublish is listed by no name of a Service that still asks, nor may a resolver know it |
//! | S2 | of a Service we change our addresses, annotations and condition, and nothing else |
//! | S3 | we change and delete groups and rules that are ours, and keep all other groups on an interface |
//! | S4 | we touch no record whose twin isn't ours; address and twin go together |
//! | S5 | we publish only what is listed and open, and open only what the API server would take |
//! | S6 | nothing is taken from a Service that asks, but for a reason that is true; nothing from most Services at once, but with consent |
//! | S7 | we revoke nothing that is asked for where it is served |
//! | S8 | the first AWS write of a term comes after full reads |
//! | S9 | writes are sent within a term, with time left; terms don't overlap |
//! | S10 | a Lease write without an answer counts only once a read has shown it |
//! | S11 | a record or publication of a Service that asks isn't emptied while one of its nodes lives |
//! | S12 | no secret is logged |
//! | L1 | at rest: whoever asks is served in full, or has a reason ([`settled`]) |
//! | L2 | at rest: nothing of ours is left that nobody asks for ([`settled`]) |
//! | L3 | at rest: no write though nothing is to be done, and no more reads of AWS than full ones take ([`World::settle`](crate::sim::World::settle)) |
//! | L4 | without faults: a leader soon, and the same one for as long as it lives ([`succession`]) |
//! | L5 | with one thing poisoned: all others as without it (`tests/never_isolation.rs`) |
//! | L6 | at rest: what is so follows from the last wishes, not from the way there ([`ends`]) |
//! | L7 | three writes more for each fault than without, and nothing made twice ([`counts`]); where nothing is about, each write to AWS changes something |
//! | L8 | a process whose loop doesn't move gives the Lease up (`tests/never_wedged.rs`) |

mod absence;
mod aws;
pub mod counts;
pub mod ends;
mod idle;
mod kube;
mod lease;
mod past;
pub mod settled;
pub mod succession;
pub mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sim::aws::state::Count;
use crate::sim::aws::{Aws, State};
use crate::sim::event::{Actor, Creator, Event, Seam};
use crate::sim::fault::Fault;
use crate::sim::kube::{Kube, ServiceView};
use crate::sim::rest::is_write;

use wish::Wish;

/// A Service that is served is known to whoever serves it; so old it is at least.
const FRESH: Duration = Duration::from_secs(20);

/// What the API server shows is known so soon, and what was decided by it done, where no read of it met with a fault and
/// no process stood still.
const CURRENT: Duration = Duration::from_secs(30);

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which: `S3`.
    pub rule: &'static str,
    /// When.
    pub at: Duration,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.rule, self.at.as_secs_f64(), self.what)
    }
}

/// How long the daemon may take to know of something. What is younger is held against nobody.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A wish counts once it has stood for so long, or for [`CURRENT`], if that is less, where nothing has lately kept
    /// anybody from seeing it.
    pub wish: Duration,
    /// An address that belongs to nobody may stay listed for so long; `None`: not judged here (faults may delay it
    /// without end), only at rest.
    pub stranger: Option<Duration>,
    /// What somebody else did to a node's firewall or addresses may be unknown for so long: reads show the past, and
    /// what we have written is believed for some minutes against reads that don't show it.
    pub meddling: Duration,
}

impl Patience {
    /// For histories without faults.
    pub const CALM: Patience = Patience {
        wish: Duration::from_secs(3),
        stranger: Some(Duration::from_secs(15 * 60)),
        meddling: Duration::from_secs(10),
    };
    /// For histories with faults: a view of the cluster may be two minutes old, and a round some more.
    pub const STORM: Patience =
        Patience { wish: Duration::from_secs(240), stranger: None, meddling: Duration::from_secs(400) };
}

/// What the checker is told of the daemon's configuration.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long a Lease lasts, less the margin that a leader keeps.
    pub lease: Duration,
    /// Time for one write: what must be left of the term when it is sent.
    pub write: Duration,
    /// How long a record is known to resolvers beyond its TTL.
    pub propagation: Duration,
    /// The owner in our twins.
    pub owner: String,
    /// The Lease: namespace and name.
    pub lease_name: (String, String),
    /// Secrets that must show up nowhere.
    pub secrets: Vec<String>,
    /// How much is forgiven.
    pub patience: Patience,
    /// Whether terms are judged (S8-S10). Off where two leaders are forced, or a request is delivered late.
    pub leadership: bool,
    /// Whether no read of AWS shows an older state than one before it.
    pub monotone: bool,
}

/// A Service, and since when it has asked for what it asks for.
#[derive(Clone, Debug)]
struct Known {
    view: ServiceView,
    wish: Option<Wish>,
    since: Duration,
    /// When it was made.
    born: Duration,
}

/// An address that a name listed, and that resolvers may know until then by what they were answered.
#[derive(Clone, Debug)]
struct Lingering {
    name: String,
    address: Ipv4Addr,
    until: Duration,
}

struct Memory {
    terms: Terms,
    state: State,
    services: BTreeMap<(String, String), Known>,
    lingering: Vec<Lingering>,
    /// Addresses of ours that belong to nobody, by name, since when.
    strangers: BTreeMap<(String, Ipv4Addr), Duration>,
    /// Instances that are nodes of the cluster: any other can do nothing for a Service.
    nodes: BTreeSet<String>,
    /// When an address stopped being that of a running instance.
    left: BTreeMap<Ipv4Addr, Duration>,
    /// When an instance last stopped, ended, or got another address.
    moved: BTreeMap<String, Duration>,
    /// When somebody else last took away something that was let in at an instance, or a group.
    meddled: BTreeMap<String, Duration>,
    /// When somebody else last changed a group, or the groups of an interface.
    hands: Option<Duration>,
    /// When somebody else last put a group on an interface, or took it off: interface and group.
    attached: BTreeMap<(String, String), Duration>,
    /// When somebody else last wrote a record of a name.
    rewritten: BTreeMap<String, Duration>,
    /// Dry runs of publications that are under way, by call.
    trials: BTreeMap<u64, (String, String)>,
    /// When the API server last took a Service's addresses in a dry run.
    tried: BTreeMap<(String, String), Duration>,
    /// Calls that are delivered when their sender has given up.
    late: BTreeSet<u64>,
    /// Writes under way, by call: whose they are, and when they were sent.
    writes: BTreeMap<u64, (u32, Duration)>,
    /// Reads of the API server under way.
    views: BTreeSet<u64>,
    /// Processes that stand still.
    frozen: BTreeSet<u32>,
    /// When a process last sent a write without being told what became of it, or when that took effect.
    unknown: BTreeMap<u32, Duration>,
    past: past::Past,
    lease: lease::Terms,
    idle: idle::Idle,
    /// By Service: how often an address came to its list by us, and left it.
    publications: BTreeMap<String, Count>,
    violations: Vec<Violation>,
}

/// Watches a world. Clones are the same.
#[derive(Clone)]
pub struct Checker {
    aws: Aws,
    kube: Kube,
    memory: Arc<Mutex<Memory>>,
}

impl Checker {
    /// A checker of the world as it is now. It sees nothing until it is made the journal's witness.
    pub fn new(aws: Aws, kube: Kube, terms: Terms) -> Checker {
        let memory = Memory {
            idle: idle::Idle::new(terms.monotone),
            terms,
            state: aws.look(State::clone),
            services: BTreeMap::new(),
            lingering: Vec::new(),
            strangers: BTreeMap::new(),
            nodes: BTreeSet::new(),
            left: BTreeMap::new(),
            moved: BTreeMap::new(),
            meddled: BTreeMap::new(),
            hands: None,
            attached: BTreeMap::new(),
            rewritten: BTreeMap::new(),
            trials: BTreeMap::new(),
            tried: BTreeMap::new(),
            late: BTreeSet::new(),
            writes: BTreeMap::new(),
            views: BTreeSet::new(),
            frozen: BTreeSet::new(),
            unknown: BTreeMap::new(),
            past: past::Past::default(),
            lease: lease::Terms::default(),
            publications: BTreeMap::new(),
            violations: Vec::new(),
        };
        let checker = Checker { aws, kube, memory: Arc::new(Mutex::new(memory)) };
        checker.note_nodes(Duration::ZERO);
        checker.note_services(Duration::ZERO, None);
        checker
    }

    /// When somebody last changed groups, attachments or the records of a name by hand.
    pub fn last_meddling(&self) -> Option<Duration> {
        let memory = self.memory();
        memory.hands.iter().chain(memory.rewritten.values()).max().copied()
    }

    /// When a process last sent a write without being told what became of it, or when that took effect.
    pub fn last_unknown_write(&self, replica: u32) -> Option<Duration> {
        self.memory().unknown.get(&replica).copied()
    }

    /// What was broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.memory().violations.clone()
    }

    /// Something happened.
    pub fn see(&self, at: Duration, event: &Event) {
        self.memory().judge_idle(at, event);
        match event {
            Event::Called(call) => {
                let mut memory = self.memory();
                memory.judge_upsert(at, call);
                // Those that were there from the beginning are in the first list of all.
                let patience = memory.patience(at);
                let nodes = memory.past.peopled.is_some_and(|since| since.is_zero() || since + patience <= at);
                memory.called(at, call, nodes);
                if let Actor::Replica(replica) = call.actor
                    && is_write(event)
                {
                    memory.writes.insert(call.number, (replica, at));
                }
                if call.seam == Seam::Kube && !call.mutates {
                    memory.views.insert(call.number);
                }
                if call.operation == "kube:apply services dry-run"
                    && let Some((namespace, name)) = call.target.split_once('/')
                {
                    memory.trials.insert(call.number, (namespace.to_owned(), name.to_owned()));
                }
            }
            Event::Answered { call, status, .. } => {
                let mut memory = self.memory();
                memory.lease.answered(at, *call, *status, || self.aws.shown_by(*call));
                memory.writes.remove(call);
                memory.views.remove(call);
                if let Some(service) = memory.trials.remove(call)
                    && status.is_some_and(|status| status < 300)
                {
                    memory.tried.insert(service, at);
                }
            }
            Event::Changed { call, actor, seam, what } => {
                // Nobody can judge what is delivered when its sender has long given up: it is as if somebody else
                // had done it, and must be put right.
                let late = call.is_some_and(|call| self.memory().late.contains(&call));
                // Process 0 is the version of 2018: what it did is what there is to take over.
                let actor = if late || *actor == Actor::Replica(0) { Actor::Nature } else { *actor };
                match seam {
                    Seam::Aws => {
                        let after = self.aws.look(State::clone);
                        let mut memory = self.memory();
                        let sent = call.and_then(|call| memory.writes.get(&call).copied());
                        memory.aws_changed(at, actor, sent, after);
                    }
                    Seam::Kube if what.starts_with("changed leases") => self.note_lease(),
                    Seam::Kube => {
                        self.logged(at, what);
                        self.note_nodes(at);
                        self.note_services(at, Some(actor));
                    }
                }
            }
            Event::Fault { call, fault } => {
                let mut memory = self.memory();
                memory.past.fault = Some(at);
                if memory.views.contains(call) {
                    memory.past.blind = Some(at);
                }
                if matches!(fault, Fault::Late(_)) {
                    memory.late.insert(*call);
                }
                if let Some((replica, _)) = memory.writes.get(call).copied()
                    && let Some(after) = fault.leaves_unknown()
                {
                    let until = memory.unknown.entry(replica).or_default();
                    *until = (at + after).max(*until);
                }
            }
            Event::Process { replica, what } => {
                let mut memory = self.memory();
                match what.as_str() {
                    "stands still" => _ = memory.frozen.insert(*replica),
                    "goes on" if memory.frozen.remove(replica) => memory.past.blind = Some(at),
                    _ => {}
                }
            }
            Event::Note(_) => {}
        }
    }

    /// A line was logged, or written where anybody may read it.
    pub fn logged(&self, at: Duration, line: &str) {
        let mut memory = self.memory();
        let shown = memory.terms.secrets.iter().any(|secret| line.contains(secret.as_str()));
        if shown {
            memory.broken("S12", at, format!("a secret is shown: {line}"));
        }
    }

    fn note_lease(&self) {
        let mut memory = self.memory();
        let writes = self.kube.look(|look| look.lease_writes().get(memory.lease.seen()..).unwrap_or_default().to_vec());
        for write in &writes {
            memory.lease_written(write);
        }
    }

    fn note_services(&self, at: Duration, actor: Option<Actor>) {
        self.note_lease();
        let (services, nodes) = self.kube.look(|look| {
            let memory = self.memory();
            // Most of them are as they were.
            let changed: Vec<Option<ServiceView>> = look
                .services()
                .map(|view| {
                    let known = memory.services.get(&(view.namespace.clone(), view.name.clone()));
                    let same = |known: &&Known| {
                        known.view.version == view.version && known.view.ready_nodes == view.ready_nodes
                    };
                    known.filter(same).is_none().then(|| view.into_owned())
                })
                .collect();
            let keys: Vec<(String, String)> =
                look.services().map(|view| (view.namespace.clone(), view.name.clone())).collect();
            let nodes: BTreeSet<String> = look.nodes().filter_map(wish::instance_of).map(str::to_owned).collect();
            let services: Vec<_> = keys.into_iter().zip(changed).collect();
            (services, nodes)
        });
        let mut memory = self.memory();
        memory.nodes = nodes;
        memory.services_changed(at, actor, services);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn broken(&mut self, rule: &'static str, at: Duration, what: String) {
        self.violations.push(Violation { rule, at, what });
    }

    /// Whether an instance runs and is a node.
    fn lives(&self, state: &State, instance: &str) -> bool {
        self.nodes.contains(instance) && wish::addresses(state, instance).is_some()
    }

    /// Whether somebody else closed something at the instance so lately that it needn't be known.
    fn is_meddled(&self, at: Duration, instance: &str) -> bool {
        let lately = |since: &Duration| at < *since + self.terms.patience.meddling;
        self.meddled.get(instance).is_some_and(lately) || self.has_moved(at, instance)
    }

    /// Whether somebody else wrote a record of the name so lately that it needn't be known.
    fn is_rewritten(&self, at: Duration, name: &str) -> bool {
        self.rewritten.get(name).is_some_and(|since| at < *since + self.terms.patience.meddling)
    }

    /// Whether the instance stopped or got another address so lately that a read may still show it otherwise, even
    /// when one before showed it as it is. Whoever may be gone is withdrawn at once: a stranger may have its address.
    fn has_moved(&self, at: Duration, instance: &str) -> bool {
        self.moved.get(instance).is_some_and(|since| at < *since + self.terms.patience.meddling)
    }

    /// Whether the address belonged to a running instance so lately that it may still be thought so.
    fn just_left(&self, at: Duration, address: Ipv4Addr) -> bool {
        self.left.get(&address).is_some_and(|since| at < *since + self.terms.patience.meddling)
    }

    /// How long a wish must have stood for everybody to know it.
    fn patience(&self, at: Duration) -> Duration {
        let longest = self.terms.patience.wish;
        let sees = self.past.blind.is_none_or(|blind| blind + longest <= at) && self.frozen.is_empty();
        if sees { longest.min(CURRENT) } else { longest }
    }

    /// Services that have asked for exactly the same long enough for everybody to know it.
    fn known_wishes(&self, at: Duration) -> impl Iterator<Item = (&Known, &Wish)> {
        let patience = self.patience(at);
        self.services.values().filter_map(move |known| {
            let wish = known.wish.as_ref().filter(|wish| wish.valid && known.since + patience <= at)?;
            Some((known, wish))
        })
    }

    /// What the Service has asked for all the time that anybody may still believe in: whatever was seen of it lately, by
    /// whoever acts now, it asked for that.
    fn asked_throughout(&self, at: Duration, known: &Known) -> Option<Wish> {
        let patience = self.patience(at);
        // Where it is served, somebody has known it for a while.
        let served = known.view.external_ips.iter().any(|(_, creator)| *creator == Creator::Us);
        if at < known.born + if served { FRESH.min(patience) } else { patience } {
            return None;
        }
        let mut former: Vec<Wish> = Vec::new();
        for view in self.lately(at, &known.view.namespace, &known.view.name) {
            former.push(wish::wish(view).filter(|_| view.uid == known.view.uid)?);
        }
        let now = known.wish.clone()?;
        // While it can't be understood it keeps what it has: what it asked for when it last could be.
        let last = || former.iter().rfind(|wish| wish.valid).cloned();
        let mut wish = if now.valid { now.clone() } else { last()? };
        for other in former.iter().chain([&now]) {
            wish.ports.retain(|port| other.ports.contains(port));
            if other.valid {
                wish.hostnames.retain(|name| other.hostnames.contains(name));
                wish.sources.retain(|source| other.sources.contains(source));
            }
        }
        (!wish.ports.is_empty() && !wish.sources.is_empty()).then_some(wish)
    }

    /// All that the Service asks for, and has asked for so lately that somebody may still act on it.
    fn wishes_lately(&self, at: Duration, now: Option<&ServiceView>, namespace: &str, name: &str) -> Vec<Wish> {
        let views = now.into_iter().chain(self.lately(at, namespace, name));
        views.filter_map(wish::wish).filter(|wish| wish.valid).collect()
    }

    /// The Service as it was until lately.
    fn lately<'a>(
        &'a self,
        at: Duration,
        namespace: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a ServiceView> + 'a {
        let since = at.saturating_sub(self.patience(at));
        let former = self.past.services.iter().filter(move |(until, _)| *until >= since).map(|(_, view)| view);
        former.filter(move |view| view.namespace == namespace && view.name == name)
    }

    /// Whether a name of the wish lists the address, or a resolver may still know it.
    fn named(&self, at: Duration, state: &State, wish: &Wish, address: Ipv4Addr) -> Option<String> {
        let listed = wish
            .hostnames
            .iter()
            .find(|name| wish::listed(state, name).iter().any(|(_, addresses)| addresses.contains(&address)));
        let lingers = || {
            let found = self
                .lingering
                .iter()
                .find(|one| one.address == address && at < one.until && wish.hostnames.contains(&one.name));
            found.map(|one| format!("{} (known to resolvers)", one.name))
        };
        listed.cloned().or_else(lingers)
    }
}
