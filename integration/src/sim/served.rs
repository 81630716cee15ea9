//! A simulated world for daemons that are processes of their own: both simulators on the loopback address, on this
//! machine's time, with the checker over all that happens.
//!
//! Run it on a runtime of one thread: what a request changes is then judged before anything else happens, which is how
//! the checker knows who did it.

mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cache::Cache;
use crate::daemon::NewDaemon;
use crate::error::{Context, Error, Result};
use crate::run_directory::RunDirectory;
use crate::sim::aws::{self, Aws, NewInstance, Policy};
use crate::sim::chaos::Fates;
use crate::sim::check::{Checker, Patience, Terms, Violation, settled, wish};
use crate::sim::event::{Actor, Event};
use crate::sim::kube::{self, Kube, Resource, User};
use crate::sim::world::{LEASE, give_up_lease};
use crate::sim::{Clock, Stage};

pub use tally::{Met, Tally};

/// The region of the account.
pub const REGION: &str = "eu-west-1";

/// What no secret of a daemon is without: nobody may ever show it.
const SECRET: &str = "not-to-be-shown";
/// A request is sent a little before it arrives: this machine may be busy.
const ON_ITS_WAY: Duration = Duration::from_millis(800);
/// The longest that the daemon waits for a write.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// Events that are kept.
const EVENTS: usize = 200_000;

/// How a world is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What ids and the like are drawn from.
    pub seed: u64,
    /// The cluster's name, which is also the owner in the twins.
    pub cluster: String,
    /// The hosted zone.
    pub domain: String,
    /// A namespace for Services.
    pub namespace: String,
    /// How long the Lease lasts; whole seconds, at least 5.
    pub lease: Duration,
    /// TTL of the records where a Service doesn't say.
    pub ttl: Duration,
    /// How long the daemon thinks that a record takes to reach all servers.
    pub propagation: Duration,
    /// How often the daemon reads everything anew; at least 10 s.
    pub full_sync: Duration,
    /// What the checker forgives.
    pub patience: Patience,
}

/// A world that is served.
pub struct ServedWorld {
    /// How it was set up.
    pub setup: Setup,
    /// What the simulators share.
    pub stage: Stage,
    /// The account.
    pub aws: Aws,
    /// The cluster.
    pub kube: Kube,
    /// Watches both.
    pub checker: Checker,
    /// Decides about faults.
    pub fates: Fates,
    /// What has happened, counted.
    pub tally: Tally,
    /// The id of the hosted zone.
    pub zone: String,
    vpc: String,
    births: u32,
    aws_server: aws::Server,
    kube_server: kube::Served,
    files: RunDirectory,
}

impl ServedWorld {
    /// A world with a hosted zone, and a Lease that was given up: without nodes, Services and daemons.
    ///
    /// # Errors
    /// There is no port, or a manifest or policy of the repository can't be read.
    pub async fn new(setup: Setup) -> Result<ServedWorld> {
        let stage = Stage::new(Clock::real());
        stage.journal.keep(EVENTS);
        let options =
            aws::Options { seed: setup.seed, propagation: Duration::from_millis(500), ..aws::Options::default() };
        let aws = Aws::new(stage.clone(), options);
        let mut options = kube::Options::deployed()?;
        options.latency = Duration::ZERO;
        options.namespaces.push(setup.namespace.clone());
        let kube = Kube::new(stage.clone(), options);
        let vpc = aws.create_vpc(Actor::Person, false);
        let zone = aws.create_zone(Actor::Person, &setup.domain, false)?;
        let checker = Checker::new(aws.clone(), kube.clone(), terms(&setup));
        let tally = Tally::default();
        let (witness, counted) = (checker.clone(), tally.clone());
        stage.journal.set_witness(move |at, event| {
            counted.see(at, event);
            witness.see(at, event);
        });
        let fates = Fates::default();
        stage.set_chaos(fates.clone());
        give_up_lease(&kube)?;
        aws.add_principal("demo", "demo", None, Policy::anything(), Actor::Person);
        // kubectl sends no token without TLS: whoever has none is the person before the screen.
        kube.add_user("", User::admin(Actor::Person));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a port of 127.0.0.1")?;
        let aws_server = aws.serve_on(listener, Actor::Person)?;
        let kube_server = kube.serve().await?;
        let files = RunDirectory::create(&Cache::open()?, "world")?;
        Ok(ServedWorld {
            setup,
            stage,
            aws,
            kube,
            checker,
            fates,
            tally,
            zone,
            vpc,
            births: 0,
            aws_server,
            kube_server,
            files,
        })
    }

    /// Where AWS answers, with all of its services.
    pub fn aws_url(&self) -> String {
        self.aws_server.url()
    }

    /// Where the API server answers.
    pub fn kube_url(&self) -> &str {
        self.kube_server.url()
    }

    /// A kubeconfig file for the person before the screen, who may do everything.
    ///
    /// # Errors
    /// It can't be written.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.write_kubeconfig("person", "")
    }

    fn write_kubeconfig(&self, whose: &str, token: &str) -> Result<PathBuf> {
        let path = self.files.file(&format!("kubeconfig-{whose}"));
        let content = self.kube_server.kubeconfig(token);
        std::fs::write(&path, content).context(format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A node on a new instance, ready, with the labels that are given. Returns the instance.
    ///
    /// # Errors
    /// When there can't be one.
    pub fn add_node(&self, name: &str, zone: &str, labels: &[(&str, &str)]) -> Result<String> {
        let zone = format!("{REGION}{zone}");
        let new = NewInstance { zone: zone.clone(), ..NewInstance::in_vpc(&self.vpc) };
        let instance = self.aws.run_instance(Actor::Nature, new)?;
        let mut all = BTreeMap::from([
            ("kubernetes.io/hostname", name),
            ("topology.kubernetes.io/zone", zone.as_str()),
            ("topology.kubernetes.io/region", REGION),
        ]);
        all.extend(labels.iter().copied());
        let node = json!({
            "metadata": {"name": name, "labels": all}, "spec": {"providerID": format!("aws:///{zone}/{instance}")},
        });
        self.kube.by(Actor::Nature).create(Resource::Nodes, node).map_err(|status| said(&status))?;
        self.show_addresses(name)?;
        self.set_ready(name, true)?;
        Ok(instance)
    }

    /// The Node's status shows its instance's addresses, as the cloud controller writes them.
    ///
    /// # Errors
    /// There is no such node.
    pub fn show_addresses(&self, node: &str) -> Result<()> {
        let addresses = self.instance(node).and_then(|id| self.aws.look(|state| wish::addresses(state, &id)));
        let texts: Vec<(&str, String)> = match addresses {
            Some((private, public)) => {
                vec![("InternalIP", private.to_string()), ("ExternalIP", public.to_string())]
            }
            None => Vec::new(),
        };
        let texts: Vec<(&str, &str)> = texts.iter().map(|(kind, address)| (*kind, address.as_str())).collect();
        self.kube.by(Actor::Nature).set_addresses(node, &texts).map(drop).map_err(|status| said(&status))
    }

    /// The condition Ready of a node.
    ///
    /// # Errors
    /// There is no such node.
    pub fn set_ready(&self, node: &str, ready: bool) -> Result<()> {
        self.kube.by(Actor::Nature).set_ready(node, ready).map(drop).map_err(|status| said(&status))
    }

    /// The instance of a node.
    pub fn instance(&self, node: &str) -> Option<String> {
        self.kube.look(|look| wish::instance_of(look.node(node)?).map(str::to_owned))
    }

    /// A person applies a Service (server-side, field manager `kubectl`).
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply(&self, service: &Value) -> Result<()> {
        let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let client = self.kube.client_in(User::admin(Actor::Person), &self.setup.namespace);
        let namespace = if namespace.is_empty() { &self.setup.namespace } else { &namespace };
        let services: ::kube::Api<k8s_openapi::api::core::v1::Service> = ::kube::Api::namespaced(client, namespace);
        let parameters = ::kube::api::PatchParams::apply("kubectl");
        services
            .patch(&name, &parameters, &::kube::api::Patch::Apply(service))
            .await
            .context(format!("apply {name}"))?;
        Ok(())
    }

    /// A daemon that isn't started yet, with an identity of its own in the cluster and in the account: the rights of
    /// `deploy/`, and no more. `name` is the pod's. Returns its number too.
    ///
    /// # Errors
    /// A policy can't be read, or the kubeconfig not be written.
    pub fn daemon(&mut self, name: &str) -> Result<(u32, NewDaemon)> {
        self.births += 1;
        let number = self.births;
        let (token, key) = (format!("token-{SECRET}-{number}"), format!("AKIADEMO{number:012}"));
        let secret = format!("key-{SECRET}-{number}");
        self.kube.add_user(&token, User::daemon(number));
        let policy = Policy::of_deploy(&self.setup.cluster)?;
        self.aws.add_principal(&key, &secret, None, policy, Actor::Replica(number));
        let kubeconfig = self.write_kubeconfig(name, &token)?;
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        let daemon = NewDaemon { name: name.to_owned(), ..NewDaemon::default() }
            .arg("run")
            .flag("cluster-name", &self.setup.cluster)
            .flag("lease-namespace", LEASE.0)
            .flag("lease-duration", seconds(self.setup.lease))
            .flag("default-ttl", seconds(self.setup.ttl))
            .flag("dns-propagation", seconds(self.setup.propagation))
            .flag("full-sync-interval", seconds(self.setup.full_sync))
            .flag("kubeconfig", kubeconfig.to_string_lossy())
            .flag("pod-name", name)
            .flag("listen", "127.0.0.1:0")
            .flag("log-format", "json")
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL", self.aws_url())
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // The profiles of whoever runs this are theirs.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        Ok((number, daemon))
    }

    /// How many daemons there were.
    pub fn births(&self) -> u32 {
        self.births
    }

    /// Something about a daemon's process, for the record.
    pub fn note(&self, number: u32, what: &str) {
        self.stage.journal.record(Event::Process { replica: number, what: what.to_owned() });
    }

    /// A line that a daemon logged: it must show no secret.
    pub fn logged(&self, line: &str) {
        self.checker.logged(self.stage.clock.now(), line);
    }

    /// The holder that the Lease names; empty when nobody holds it.
    pub fn holder(&self) -> String {
        self.kube.look(|look| look.lease(LEASE.0, LEASE.1).map(|lease| lease.holder.clone())).unwrap_or_default()
    }

    /// What was broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.checker.violations()
    }

    /// What isn't as it should be in a world at rest (L1, L2).
    pub fn flaws(&self) -> Vec<settled::Flaw> {
        settled::flaws(&self.aws, &self.kube, &self.setup.cluster, &self.setup.cluster)
    }
}

/// What the checker is told: the daemon's times, less what a request takes until it is seen here.
fn terms(setup: &Setup) -> Terms {
    let usable = setup.lease - setup.lease / 5;
    // As the daemon reckons: its margin is a fifth, it renews after two fifteenths.
    let write = (usable - setup.lease * 2 / 15).min(LONGEST_WRITE);
    Terms {
        lease: usable,
        write: write.saturating_sub(ON_ITS_WAY),
        propagation: setup.propagation,
        owner: setup.cluster.clone(),
        lease_name: (LEASE.0.to_owned(), LEASE.1.to_owned()),
        secrets: vec![SECRET.to_owned()],
        patience: setup.patience,
        leadership: true,
        // Nothing is eventual there.
        monotone: true,
    }
}

/// A refusal of the API server, in its words.
fn said(status: &kube::Status) -> Error {
    Error::new(format!("{} {}: {}", status.code, status.reason, status.message))
}
