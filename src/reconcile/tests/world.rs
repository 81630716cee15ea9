//! Everything around the loop: an API server, a Lease, AWS, and one journal of what happened at all of them.

use crate::clock::SharedClock;
use crate::cloud::tests::aws::Aws;
use crate::cloud::{Cloud, CloudSettings, ZoneType};
use crate::cluster::Cluster;
use crate::cluster::tests::api::Api;
use crate::cluster::tests::world::{Lines, instance, millis, node, secs};
use crate::expose::Settings;
use crate::leader::tests::api::{Api as Leases, NAME, NAMESPACE};
use crate::leader::tests::world::{TestClock, TestRandom};
use crate::leader::{Elector, Fence, FenceLayer, LeaseSettings, fence_aws};
use crate::metrics::Metrics;
use crate::reconcile::{CallsAreProgress, Outcome, Parts, Reconciler, Timing};
use crate::serve::Progress;
use crate::system::{AwsRandom, AwsTime};
use aws_api::{Attempt, ClientParts, Config, Credentials, Keys, NoObserver, Transport, TransportError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::ServiceExt;

pub(super) const READS: [&str; 4] =
    ["DescribeInstances", "DescribeSecurityGroups", "ListHostedZones", "ListResourceRecordSets"];

pub(super) struct World {
    pub api: Api,
    pub aws: Aws,
    pub leases: Leases,
    pub lines: Lines,
    /// AWS calls that have been sent, answered or not.
    sent: Arc<Mutex<Vec<(&'static str, Instant)>>>,
    slow: Arc<Mutex<BTreeMap<&'static str, Duration>>>,
    /// AWS calls so far that change something; and whose answer is lost, after or before its effect.
    writes: Arc<Mutex<usize>>,
    lose: Arc<Mutex<Option<(usize, bool)>>>,
    /// Whether accepted changes reach Route 53's servers at once.
    pub insync: Arc<Mutex<bool>>,
}

impl World {
    /// Nodes 1 to `nodes` on their instances, the zone of example.com, and these Services.
    pub fn new(nodes: u8, services: &[Value]) -> World {
        let (api, aws) = (Api::new(), Aws::default());
        api.edit(|objects| {
            (1..=nodes).for_each(|n| objects.put("nodes", node(n)));
            services.iter().for_each(|service| objects.put("services", service.clone()));
        });
        (1..=nodes).for_each(|n| aws.instance(&instance(n), n));
        aws.zone("Z1", "example.com.");
        World {
            api,
            aws,
            leases: Leases::new(),
            lines: Lines::default(),
            sent: Arc::default(),
            slow: Arc::default(),
            writes: Arc::default(),
            lose: Arc::default(),
            insync: Arc::new(Mutex::new(true)),
        }
    }

    /// Answers to this AWS call take so long from now on.
    pub fn slow_down(&self, operation: &'static str, time: Duration) {
        self.slow.lock().unwrap().insert(operation, time);
    }

    /// The answer to the `n`th write to AWS is lost, after or before its effect.
    pub fn lose(&self, n: usize, after: bool) {
        *self.lose.lock().unwrap() = Some((n, after));
    }

    /// How many writes to AWS have been sent.
    pub fn aws_writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }

    /// AWS, with a journal.
    pub fn transport(&self) -> Transport {
        let (aws, journal, sent, slow) =
            (self.aws.clone(), self.api.journal.clone(), self.sent.clone(), self.slow.clone());
        let (insync, writes, lose) = (self.insync.clone(), self.writes.clone(), self.lose.clone());
        Transport::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
            let (inner, aws, journal) = (aws.transport(), aws.clone(), journal.clone());
            let Attempt { operation, mutates, .. } = *request.extensions().get::<Attempt>().unwrap();
            let count = {
                let mut writes = writes.lock().unwrap();
                *writes += usize::from(mutates);
                *writes
            };
            let lost = lose.lock().unwrap().filter(|(n, _)| mutates && *n == count).map(|(_, after)| after);
            sent.lock().unwrap().push((operation, Instant::now()));
            let wait = slow.lock().unwrap().get(operation).copied().unwrap_or_default();
            let insync = insync.clone();
            // What is sent arrives, whether or not somebody waits for the answer.
            let handled = tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                if lost == Some(false) {
                    return Err(TransportError::Lost("reset".into()));
                }
                let mut answer = inner.oneshot(request).await;
                if lost == Some(true) {
                    answer = Err(TransportError::Lost("reset".into()));
                }
                if *insync.lock().unwrap() {
                    aws.state().route53.changes.values_mut().for_each(|done| *done = true);
                }
                journal.lock().unwrap().push(operation.to_owned());
                answer
            });
            async move { handled.await.unwrap() }
        }))
    }

    /// What happened since this was last asked.
    pub fn journal(&self) -> Vec<String> {
        std::mem::take(&mut *self.api.journal.lock().unwrap())
    }

    /// What was changed since the journal was last asked; Events and trials don't count.
    pub fn changes(&self) -> Vec<String> {
        let mut all = self.journal();
        let counts = |line: &str| {
            let read = READS.contains(&line) || line == "GetChange";
            !read && !line.starts_with("Event") && !line.starts_with("DryRun")
        };
        all.retain(|line| counts(line));
        all
    }

    /// How often AWS was asked to do this.
    pub fn sent(&self, operation: &str) -> usize {
        self.sent.lock().unwrap().iter().filter(|(sent, _)| *sent == operation).count()
    }

    /// When AWS was first asked to do this.
    pub fn sent_at(&self, operation: &str) -> Instant {
        self.sent.lock().unwrap().iter().find(|(sent, _)| *sent == operation).unwrap().1
    }

    pub async fn until(&self, what: &str, so: impl Fn() -> bool) {
        let start = Instant::now();
        while !so() {
            assert!(
                start.elapsed() < secs(900),
                "not within 15 minutes: {what}\n{:#?}\n{:#?}",
                self.lines.all(),
                self.api.journal.lock().unwrap()
            );
            tokio::time::sleep(millis(10)).await;
        }
    }

    /// Waits until all is as it should be, looking seldom.
    pub async fn brought(&self, about: impl Fn(&World) -> bool) {
        for _ in 0..900 {
            self.pass(secs(1)).await;
            if about(self) {
                return;
            }
        }
        panic!("not within 15 minutes\n{:#?}", self.lines.all());
    }

    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Our condition on a Service; null if there is none.
    pub fn condition(&self, name: &str) -> Value {
        let service = self.api.service("games", name);
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|c| c["type"].as_str().unwrap().ends_with("/Ready")).unwrap_or_default()
    }

    pub fn synced(&self, name: &str) -> bool {
        self.condition(name)["reason"] == "Synced"
    }

    pub fn ips(&self, name: &str) -> Value {
        self.api.service("games", name)["spec"]["externalIPs"].clone()
    }

    /// Something that concerns nobody, but that the core could see.
    pub fn nudge(&self) {
        let version = self.api.edit(|objects| objects.version());
        self.api.edit(|objects| {
            objects.change("nodes", "", "node-1", |n| n["metadata"]["labels"] = json!({"nudge": version.to_string()}));
        });
    }

    pub fn process(&self, who: &str) -> Process {
        self.process_with(who, |parts| parts)
    }

    /// A process that has yet to be started.
    pub fn process_with(&self, who: &str, change: impl FnOnce(Parts) -> Parts) -> Process {
        let clock: SharedClock = TestClock::new(secs(1000), 0, 1000);
        let random = TestRandom::new(who.bytes().map(u64::from).sum());
        let lease = LeaseSettings::new(NAMESPACE, NAME, who);
        let write_timeout = lease.write_timeout;
        let log = self.lines.log();
        let elector = Elector::new(self.leases.client(who), lease, clock.clone(), random.clone(), log.clone()).unwrap();
        let fence = elector.fence();
        let transport = tower::Layer::layer(&FenceLayer::new(fence.clone(), write_timeout), self.api.clone());
        let client = kube::Client::new(transport, "default");
        let cluster =
            Cluster::new(client, None, who, Duration::from_secs(600), clock.clone(), random.clone(), log.clone());
        let progress = Progress::new(clock.clone());
        let time = Arc::new(AwsTime(clock.clone()));
        let aws_random = Arc::new(AwsRandom(random.clone()));
        let keys = Keys::new("AKID", "secret", None, None).unwrap();
        let aws = aws_api::Client::new(ClientParts {
            transport: fence_aws(self.transport(), fence.clone()),
            config: Config::new("eu-west-1").unwrap(),
            credentials: Arc::new(Credentials::fixed(keys, time.clone(), aws_random.clone())),
            time,
            random: aws_random,
            observer: Arc::new(CallsAreProgress {
                progress: progress.clone(),
                next: Arc::new(NoObserver),
                log: log.clone(),
            }),
        });
        let cloud_settings = CloudSettings {
            cluster: "c1".into(),
            domains: Vec::new(),
            zone_ids: Vec::new(),
            zone_type: ZoneType::Public,
            concurrency: 4,
        };
        let parts = change(Parts {
            cluster: cluster.clone(),
            cloud: Cloud::new(aws.clone(), aws, cloud_settings, clock.clone(), log.clone()),
            fence: fence.clone(),
            settings: Settings { cluster: "c1".into(), owner: "c1".into(), ..Settings::default() },
            timing: Timing::default(),
            dry_run: false,
            clock,
            random,
            metrics: Arc::new(Metrics::new(NAME)),
            progress: progress.clone(),
            log,
        });
        let elector = (!parts.dry_run).then_some(elector);
        let metrics = parts.metrics.clone();
        Process { cluster, fence, progress, metrics, parts: Some(parts), elector, stop: None, tasks: Vec::new() }
    }

    /// A process that leads and has brought these Services about; the journal is empty.
    pub async fn converged(&self, services: &[&str]) -> Process {
        let process = self.process("a").run();
        self.brought(|world| services.iter().all(|name| world.synced(name))).await;
        self.pass(secs(5)).await;
        self.journal();
        process
    }
}

pub(super) struct Process {
    pub cluster: Arc<Cluster>,
    pub fence: Fence,
    pub progress: Progress,
    pub metrics: Arc<Metrics>,
    parts: Option<Parts>,
    elector: Option<Elector>,
    stop: Option<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Process {
    fn around(&mut self) -> Reconciler {
        self.tasks.push(tokio::spawn(self.cluster.clone().run()));
        if let Some(elector) = self.elector.take() {
            let progress = self.progress.clone();
            self.tasks.push(tokio::spawn(elector.run(move || progress.since(), std::future::pending())));
        }
        Reconciler::new(self.parts.take().unwrap())
    }

    pub fn run(mut self) -> Process {
        let reconciler = self.around();
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.tasks.push(tokio::task::spawn_local(reconciler.run(async move {
            let _ = stopped.await;
        })));
        self
    }

    pub async fn once(mut self, shutdown: impl Future<Output = ()>) -> Outcome {
        self.around().once(shutdown).await
    }

    /// Whether the loop has ended.
    pub fn ended(&self) -> bool {
        self.tasks.last().unwrap().is_finished()
    }
}
