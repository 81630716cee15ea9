//! A whole world for one history: an account, a cluster with nodes on its instances, processes of the daemon, and the
//! checker over all of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Context, Result, fail};
use crate::sim::aws::{self, Aws, NewInstance, Policy};
use crate::sim::chaos::Fates;
use crate::sim::check::{Checker, Patience, Terms, wish};
use crate::sim::event::{Actor, Event};
use crate::sim::fault::Calm;
use crate::sim::kube::{self, Kube, Resource, User};
use crate::sim::replica::{Birth, Replica};
use crate::sim::rest::Counted;
use crate::sim::{Clock, Random, Stage};

/// The cluster's name, which is also the owner in the twins.
pub const CLUSTER: &str = "sim";
/// The namespace of the Services of histories.
pub const NAMESPACE: &str = "games";
/// The zone that names are in.
pub const DOMAIN: &str = "example.com";
/// The Lease: namespace and name, as `deploy/` has them.
pub const LEASE: (&str, &str) = ("external-ips", "external-ips");
/// TTL of the records where a Service doesn't say.
pub const TTL: Duration = Duration::from_secs(10);
/// TTL of the records that others write, in seconds.
pub const OTHERS_TTL: u32 = 300;
/// How long the daemon thinks that a record takes to reach all servers.
pub const PROPAGATION: Duration = Duration::from_secs(5);
/// How often the daemon reads everything anew where a history doesn't say.
pub const FULL_SYNC: Duration = Duration::from_secs(40);

/// How a world is set up.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Decides everything.
    pub seed: u64,
    /// Nodes from the beginning, `n1` and so on.
    pub nodes: u32,
    /// Every so many nodes one has two interfaces; 0: none.
    pub two_interfaces: u32,
    /// AWS.
    pub aws: aws::Options,
    /// What the checker forgives.
    pub patience: Patience,
    /// Whether the checker judges who may write when.
    pub leadership: bool,
    /// Whether a process that has ended is replaced.
    pub restart: bool,
    /// How long the Lease lasts; whole seconds.
    pub lease: Duration,
    /// How often the daemon reads everything anew; whole seconds, at least 10.
    pub full_sync: Duration,
    /// When a world is taken for one at rest.
    pub vigil: Vigil,
}

/// For how long a world is watched before it is taken for one at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vigil {
    /// Until a full read and a drain have passed without a write.
    Short,
    /// As long, and until no process takes what became of a write for unknown any more.
    Usual,
    /// As long, and until nothing that the daemon has written is believed any more against reads that don't show it.
    Long,
}

impl Setting {
    /// A calm world of three nodes.
    pub fn calm(seed: u64) -> Setting {
        let aws = aws::Options {
            seed,
            travel: Duration::from_millis(20),
            propagation: Duration::from_secs(3),
            ..aws::Options::default()
        };
        Setting {
            seed,
            nodes: 3,
            two_interfaces: 2,
            aws,
            patience: Patience::CALM,
            leadership: true,
            restart: true,
            lease: Duration::from_secs(15),
            full_sync: FULL_SYNC,
            vigil: Vigil::Usual,
        }
    }
}

/// Runs a history to its end, on paused time. What it leaves running is dropped with it.
///
/// # Errors
/// What the history ends with.
pub fn simulate<T, F: Future<Output = Result<T>>>(history: impl FnOnce() -> F) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().context("a runtime")?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, history())
}

/// A world.
pub struct World {
    /// What the simulators share.
    pub stage: Stage,
    /// The account.
    pub aws: Aws,
    /// The cluster.
    pub kube: Kube,
    /// Watches both.
    pub checker: Checker,
    /// For what a history draws.
    pub random: Random,
    /// Decides about faults.
    pub fates: Fates,
    /// The VPC.
    pub vpc: String,
    /// The id of the zone of [`DOMAIN`].
    pub zone: String,
    /// Lines that were logged: the last ones.
    pub lines: Arc<Mutex<Vec<String>>>,
    /// The processes, the living ones and those that have ended.
    pub replicas: Vec<Replica>,
    /// By how many seconds the clocks of processes are wrong that start from now on.
    pub clock_off: i64,
    /// More arguments of processes that start from now on.
    pub arguments: Vec<String>,
    wanted: usize,
    births: u32,
    nodes: u32,
    restart: bool,
    /// How long the Lease lasts.
    pub(super) lease: Duration,
    pub(super) full_sync: Duration,
    pub(super) vigil: Vigil,
    pub(super) counted: Cell<Counted>,
}

const LINES_KEPT: usize = 400;

/// The longest histories have some thousand calls.
const MOST_CALLS: u64 = 50_000;

impl World {
    /// A world with nodes and a zone, without Services and processes.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(setting: &Setting) -> Result<World> {
        let stage = Stage::new(Clock::simulated());
        let aws = Aws::new(stage.clone(), setting.aws.clone());
        let kube = Kube::new(stage.clone(), kube::Options::deployed()?);
        let vpc = aws.create_vpc(Actor::Person, false);
        let zone = aws.create_zone(Actor::Person, DOMAIN, false)?;
        let random = Random::new(setting.seed);
        let terms = Terms {
            // A leader keeps a fifth of it.
            lease: setting.lease - setting.lease / 5,
            write: Duration::from_secs(5),
            propagation: PROPAGATION,
            owner: CLUSTER.to_owned(),
            lease_name: (LEASE.0.to_owned(), LEASE.1.to_owned()),
            secrets: vec![SECRET.to_owned()],
            patience: setting.patience,
            leadership: setting.leadership,
            monotone: setting.aws.is_monotone(),
        };
        let checker = Checker::new(aws.clone(), kube.clone(), terms);
        let witness = checker.clone();
        stage.journal.set_witness(move |at, event| witness.see(at, event));
        let fates = Fates::default();
        fates.bound(MOST_CALLS);
        stage.set_chaos(fates.clone());
        let mut world = World {
            stage,
            aws,
            kube,
            checker,
            random,
            fates,
            vpc,
            zone,
            lines: Arc::default(),
            replicas: Vec::new(),
            clock_off: 0,
            arguments: Vec::new(),
            wanted: 0,
            births: 0,
            nodes: 0,
            restart: setting.restart,
            lease: setting.lease,
            full_sync: setting.full_sync,
            vigil: setting.vigil,
            counted: Cell::default(),
        };
        for n in 1..=setting.nodes {
            let interfaces = if setting.two_interfaces > 0 && n % setting.two_interfaces == 0 { 2 } else { 1 };
            world.add_node(interfaces)?;
        }
        Ok(world)
    }

    /// A new node on a new instance: its name.
    ///
    /// # Errors
    /// When there can't be one.
    pub fn add_node(&mut self, interfaces: usize) -> Result<String> {
        self.nodes += 1;
        let n = self.nodes;
        let zone = ["eu-west-1a", "eu-west-1b", "eu-west-1c"].get(n as usize % 3).copied().unwrap_or("eu-west-1a");
        let new = NewInstance { zone: zone.to_owned(), interfaces, ..NewInstance::in_vpc(&self.vpc) };
        let instance = self.aws.run_instance(Actor::Person, new)?;
        let name = format!("n{n}");
        let node = json!({
            "metadata": {"name": name, "labels": {
                "pool": if n.is_multiple_of(2) { "even" } else { "odd" },
                "topology.kubernetes.io/zone": zone,
            }},
            "spec": {"providerID": format!("aws:///{zone}/{instance}")},
        });
        self.kube.by(Actor::Nature).create(Resource::Nodes, node).map_err(|status| said(&status))?;
        self.kube.by(Actor::Nature).set_ready(&name, true).map_err(|status| said(&status))?;
        self.show_addresses(&name)?;
        Ok(name)
    }

    /// The Node's status shows its instance's addresses, as the cloud controller writes them.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn show_addresses(&self, node: &str) -> Result<()> {
        let addresses = self.instance(node).and_then(|id| self.aws.look(|state| wish::addresses(state, &id)));
        let texts: Vec<(&str, String)> = match addresses {
            Some((private, public)) => {
                vec![("InternalIP", private.to_string()), ("ExternalIP", public.to_string())]
            }
            None => Vec::new(),
        };
        let texts: Vec<(&str, &str)> = texts.iter().map(|(kind, address)| (*kind, address.as_str())).collect();
        self.kube.by(Actor::Nature).set_addresses(node, &texts).map_err(|status| said(&status))?;
        Ok(())
    }

    /// The instance of a node.
    pub fn instance(&self, node: &str) -> Option<String> {
        self.kube.look(|look| wish::instance_of(look.node(node)?).map(str::to_owned))
    }

    /// A running node's addresses: private and public.
    pub fn addresses(&self, node: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let id = self.instance(node)?;
        self.aws.look(|state| wish::addresses(state, &id))
    }

    /// Names of the nodes, as they are now.
    pub fn node_names(&self) -> Vec<String> {
        self.kube.look(|look| look.nodes().map(|node| node.name.clone()).collect())
    }

    /// A Service of [`NAMESPACE`]: port, and annotations without their prefix.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn add_service(&self, name: &str, ports: &[(&str, u16)], annotations: &[(&str, &str)]) -> Result<()> {
        self.add_service_in(NAMESPACE, name, false, ports, annotations)
    }

    /// A Service of any namespace: whether `externalTrafficPolicy` is `Local`, ports, and annotations without their
    /// prefix.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn add_service_in(
        &self,
        namespace: &str,
        name: &str,
        local: bool,
        ports: &[(&str, u16)],
        annotations: &[(&str, &str)],
    ) -> Result<()> {
        let mut spec = json!({"ports": spec_ports(ports), "selector": {"app": name}});
        if local {
            spec["type"] = "LoadBalancer".into();
            spec["externalTrafficPolicy"] = "Local".into();
        }
        let annotations: BTreeMap<String, &str> =
            annotations.iter().map(|(name, value)| (format!("{}{name}", wish::PREFIX), *value)).collect();
        let service =
            json!({"metadata": {"name": name, "namespace": namespace, "annotations": annotations}, "spec": spec});
        self.kube.by(Actor::Person).create(Resource::Services, service).map_err(|status| said(&status))?;
        Ok(())
    }

    /// The Service's endpoints as the endpoint controller shows them, in two EndpointSlices: one on each node, ready on
    /// those of these names.
    ///
    /// # Errors
    /// When it can't be shown.
    pub fn show_endpoints(&self, namespace: &str, service: &str, ready: &BTreeSet<String>) -> Result<()> {
        let nature = self.kube.by(Actor::Nature);
        let names = self.node_names();
        for half in 0..2 {
            let its = names.iter().skip(half).step_by(2);
            let endpoint = |node: &String| {
                let conditions = json!({"ready": ready.contains(node)});
                json!({"nodeName": node, "addresses": ["10.1.0.1"], "conditions": conditions})
            };
            let endpoints: Vec<Value> = its.map(endpoint).collect();
            let name = format!("{service}-{half}");
            let shown = match self.kube.look(|look| look.raw(Resource::EndpointSlices, namespace, &name).is_some()) {
                true => nature.patch(Resource::EndpointSlices, namespace, &name, &json!({"endpoints": endpoints})),
                false => nature.create(
                    Resource::EndpointSlices,
                    json!({
                        "metadata": {
                            "name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service},
                        },
                        "addressType": "IPv4", "endpoints": endpoints, "ports": [],
                    }),
                ),
            };
            shown.map_err(|status| said(&status))?;
        }
        Ok(())
    }

    /// Changes annotations, without their prefix.
    ///
    /// # Errors
    /// When there is no such Service.
    pub fn annotate(&self, service: &str, changes: &[(&str, Option<&str>)]) -> Result<()> {
        let named: Vec<(String, Option<&str>)> =
            changes.iter().map(|(name, value)| (format!("{}{name}", wish::PREFIX), *value)).collect();
        let changes: Vec<(&str, Option<&str>)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.kube.by(Actor::Person).annotate(NAMESPACE, service, &changes).map_err(|status| said(&status))?;
        Ok(())
    }

    /// Sets a Service's ports.
    ///
    /// # Errors
    /// When there is no such Service.
    pub fn set_ports(&self, service: &str, ports: &[(&str, u16)]) -> Result<()> {
        let change = json!({"spec": {"ports": spec_ports(ports)}});
        let person = self.kube.by(Actor::Person);
        person.patch(Resource::Services, NAMESPACE, service, &change).map_err(|status| said(&status))?;
        Ok(())
    }

    /// Deletes a Service.
    ///
    /// # Errors
    /// When there is no such Service.
    pub fn delete_service(&self, service: &str) -> Result<()> {
        self.kube.by(Actor::Person).delete(Resource::Services, NAMESPACE, service).map_err(|status| said(&status))?;
        Ok(())
    }

    /// From now on so many processes run.
    ///
    /// # Errors
    /// When one can't be started.
    pub fn run(&mut self, processes: usize) -> Result<()> {
        self.wanted = processes;
        while self.living() < processes {
            self.start()?;
        }
        Ok(())
    }

    /// From now on so many processes run; those that are too many are told to stop, the youngest first.
    ///
    /// # Errors
    /// When one can't be started.
    pub fn run_at_most(&mut self, processes: usize) -> Result<()> {
        let surplus = self.living().saturating_sub(processes);
        let living = self.replicas.iter_mut().rev().filter(|replica| !replica.has_ended() && !replica.is_doomed());
        living.take(surplus).for_each(Replica::terminate);
        self.run(processes)
    }

    /// SIGKILL for all processes; none is started before [`World::run`].
    pub fn stop_all(&mut self) {
        self.wanted = 0;
        self.replicas.iter_mut().for_each(Replica::kill);
    }

    /// How many processes run.
    pub fn living(&self) -> usize {
        self.replicas.iter().filter(|replica| !replica.has_ended() && !replica.is_doomed()).count()
    }

    /// Starts a process: its number.
    ///
    /// # Errors
    /// When it can't be.
    pub fn start(&mut self) -> Result<u32> {
        self.births += 1;
        let number = self.births;
        let key = format!("AKIASIM{number:09}");
        let secret = secret(number);
        self.aws.add_principal(&key, &secret, None, Policy::of_deploy(CLUSTER)?, Actor::Replica(number));
        let mut arguments: Vec<String> =
            ["run", "--cluster-name=sim", "--lease-namespace=external-ips", "--log-level=debug"]
                .map(str::to_owned)
                .into();
        arguments.push(format!("--pod-name=pod-{number}"));
        arguments.push(format!("--default-ttl={}s", TTL.as_secs()));
        arguments.push(format!("--dns-propagation={}s", PROPAGATION.as_secs()));
        arguments.push(format!("--full-sync-interval={}s", self.full_sync.as_secs()));
        arguments.push(format!("--lease-duration={}s", self.lease.as_secs()));
        arguments.extend(self.arguments.iter().cloned());
        if arguments.iter().any(|argument| argument == "--allow-mass-delete") {
            self.checker.consents_to_mass_deletion(number);
        }
        let environment = BTreeMap::from(
            [
                ("AWS_REGION", "eu-west-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let client = || self.kube.client_in(User::daemon(number), LEASE.0);
        let birth = Birth {
            number,
            arguments,
            environment,
            kube: [client(), client()],
            aws: self.aws.transport(Actor::Replica(number)),
            clock_off: self.clock_off,
        };
        let (lines, checker, clock) = (Arc::clone(&self.lines), self.checker.clone(), self.stage.clock.clone());
        let note = Arc::new(move |number: u32, line: &str| {
            checker.logged(clock.now(), line);
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= LINES_KEPT {
                lines.drain(..LINES_KEPT / 2);
            }
            lines.push(format!("{:.3} replica {number}: {line}", clock.now().as_secs_f64()));
        });
        let replica = Replica::start(&self.stage, birth, &self.random, note)?;
        self.fates.born(number, replica.doom());
        self.replicas.push(replica);
        Ok(number)
    }

    /// The process that leads, by the Lease.
    pub fn leader(&self) -> Option<u32> {
        let holder = self.kube.look(|look| Some(look.lease(LEASE.0, LEASE.1)?.holder.clone()))?;
        let pod = holder.strip_prefix("pod-")?;
        pod.split('_').next()?.parse().ok()
    }

    /// A process that runs.
    pub fn replica(&mut self, number: u32) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.number() == number)
    }

    /// Time passes. Whoever has ended meanwhile is replaced within a second.
    ///
    /// # Errors
    /// When a process can't be started, or processes go round in circles.
    pub async fn pass(&mut self, time: Duration) -> Result<()> {
        const SLICE: Duration = Duration::from_secs(1);
        let mut left = time;
        while !left.is_zero() {
            let slice = left.min(SLICE);
            tokio::time::sleep(slice).await;
            left -= slice;
            if self.stage.journal.calls() > MOST_CALLS {
                return fail(format!("processes go round in circles: more than {MOST_CALLS} calls"));
            }
            if self.restart {
                self.run(self.wanted)?;
            }
        }
        Ok(())
    }

    /// Time passes until `done`, at most `limit`.
    ///
    /// # Errors
    /// When it doesn't come.
    pub async fn until(&mut self, what: &str, limit: Duration, done: impl Fn(&World) -> bool) -> Result<()> {
        let end = self.stage.clock.now() + limit;
        while !done(self) {
            if self.stage.clock.now() >= end {
                return fail(format!("not within {} s: {what}", limit.as_secs()));
            }
            self.pass(Duration::from_millis(100)).await?;
        }
        Ok(())
    }

    /// Whether a Service is served, by its condition.
    pub fn is_ready(&self, service: &str) -> bool {
        self.kube.look(|look| {
            look.service(NAMESPACE, service)
                .is_some_and(|view| view.conditions.iter().any(|condition| condition.status == "True"))
        })
    }

    /// The last lines that processes logged.
    pub fn logged(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The history so far as a story for people: who did what, what went wrong, what was logged.
    pub fn story(&self) -> Vec<String> {
        let mut lines: Vec<(Duration, String)> = Vec::new();
        let mut calls: BTreeMap<u64, String> = BTreeMap::new();
        for (at, event) in self.stage.journal.events() {
            let line = match event {
                Event::Called(call) => {
                    let words = format!("{} {} {}", call.actor, call.operation, call.target);
                    if !call.mutates || call.operation.contains(" leases") {
                        calls.insert(call.number, words);
                        continue;
                    }
                    calls.insert(call.number, words.clone());
                    format!("#{} {words}", call.number)
                }
                Event::Fault { call, fault } => {
                    format!("    fault: {fault:?} for #{call} {}", calls.get(&call).map_or("", String::as_str))
                }
                Event::Changed { call: Some(call), what, actor, .. } => {
                    let about = calls.get(&call).map_or("", String::as_str);
                    if about.contains(" leases") || about.contains(" events") {
                        continue;
                    }
                    format!("    #{call} {actor}: {what}")
                }
                Event::Changed { call: None, what, actor, .. } => format!("{actor}: {what}"),
                Event::Answered { call, status, code } => match (status, code) {
                    (Some(status), Some(code)) if status >= 400 => {
                        format!(
                            "    #{call} is answered {status} {code}: {}",
                            calls.get(&call).map_or("", String::as_str)
                        )
                    }
                    _ => continue,
                },
                Event::Process { replica, what } => format!("replica {replica} {what}"),
                Event::Note(what) => format!("-- {what}"),
            };
            lines.push((at, line));
        }
        lines.into_iter().map(|(at, line)| format!("{:9.3} {line}", at.as_secs_f64())).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Both hold the world that holds them: it would never be freed.
        self.stage.journal.dismiss_witness();
        self.stage.set_chaos(Calm);
    }
}

/// The Lease is there, given up by a process of former times: whoever takes it may write at once, where whoever makes
/// one has to wait for a leader that it might not know of.
///
/// # Errors
/// When there is one.
pub fn give_up_lease(kube: &Kube) -> Result<()> {
    let lease = json!({
        "metadata": {"namespace": LEASE.0, "name": LEASE.1},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    kube.by(Actor::Person).create(Resource::Leases, lease).map_err(|status| said(&status))?;
    Ok(())
}

/// `spec.ports` of a Service.
pub(super) fn spec_ports(ports: &[(&str, u16)]) -> Vec<Value> {
    let port = |(protocol, port): &(&str, u16)| json!({"name": format!("p{port}"), "protocol": protocol, "port": port});
    ports.iter().map(port).collect()
}

/// What each process's secret key contains, and nothing else.
pub const SECRET: &str = "SecretOfTheSimulation";

fn secret(number: u32) -> String {
    format!("hush{number:04}{SECRET}/{number:04}")
}

/// A refusal of the API server, in its words.
pub(super) fn said(status: &kube::Status) -> crate::error::Error {
    crate::error::Error::new(format!("{} {}: {}", status.code, status.reason, status.message))
}
