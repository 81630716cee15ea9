//! L8: a process whose loop doesn't move gives the Lease up, though it could renew it for ever; a standby leads.
//!
//! Every call of the daemon has a time-out, so no answer and no silence of the world outside can hold its loop up: only a
//! fault of its own could. The process here is therefore put together from the daemon's own parts, as `daemon::run` does
//! it, with its loop where it can be held.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use aws_api::{Client, ClientParts, Config, Credentials, CredentialsParts, NoObserver, Settings};
use external_ips::clock::{SharedClock, SharedRandom};
use external_ips::cloud::{Cloud, CloudSettings};
use external_ips::cluster::Cluster;
use external_ips::expose;
use external_ips::leader::{Elector, FenceLayer, LeaseSettings, fence_aws, holder_id};
use external_ips::metrics::Metrics;
use external_ips::reconcile::{CallsAreProgress, Parts, Reconciler, Timing};
use external_ips::serve::Progress;
use external_ips::system::{AwsRandom, AwsTime};
use integration::Result;
use integration::sim::aws::Policy;
use integration::sim::event::{Actor, Event};
use integration::sim::kube::User;
use integration::sim::world::{CLUSTER, FULL_SYNC};
use integration::sim::{Setting, World, simulate};
use slog::{Discard, Logger, o};
use tower::Layer;

/// No process of the world has this number.
const NUMBER: u32 = 100;
const WRITE: Duration = Duration::from_secs(5);
/// Three periods of the loop: what `LeaseSettings` calls stalled.
const STALLED: Duration = Duration::from_secs(60);

/// A process of the daemon whose loop moves only while it isn't held.
struct Holdable {
    held: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Holdable {
    async fn start(world: &World) -> Result<Holdable> {
        let log = Logger::root(Discard, o!());
        let clock: SharedClock = Arc::new(world.stage.clock.off_by(0));
        let randomness = Arc::new(world.random.fork("holdable"));
        let random: SharedRandom = randomness.clone();
        let client = || world.kube.client_in(User::daemon(NUMBER), "external-ips");
        let holder = holder_id(&format!("pod-{NUMBER}"), random.as_ref());
        let mut lease = LeaseSettings::new("external-ips", "external-ips", &holder);
        lease.write_timeout = WRITE;
        assert_eq!(lease.stalled_after, STALLED);
        let elector = Elector::new(client(), lease, clock.clone(), random.clone(), log.clone()).unwrap();
        let fence = elector.fence();

        let kube = client();
        let transport = tower::service_fn(move |request| {
            let kube = kube.clone();
            async move { kube.send(request).await }
        });
        let kube = kube::Client::new(FenceLayer::new(fence.clone(), WRITE).layer(transport), "external-ips");
        let cluster = Cluster::new(kube, None, holder, FULL_SYNC, clock.clone(), random.clone(), log.clone());

        let metrics = Arc::new(Metrics::new("external-ips"));
        let progress = Progress::new(clock.clone());
        let (key, secret) = ("AKIASIMHOLDABLE", "hushSecretOfTheHoldable");
        world.aws.add_principal(key, secret, None, Policy::of_deploy(CLUSTER)?, Actor::Replica(NUMBER));
        let environment = BTreeMap::from(
            [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let settings = Settings::load(&environment).unwrap();
        let transport = world.aws.transport(Actor::Replica(NUMBER));
        let time: Arc<dyn aws_api::TimeSource> = Arc::new(AwsTime(clock.clone()));
        let mut config = Config::resolve(&settings, None, transport.clone(), time.clone()).await.unwrap();
        config.write_timeout = WRITE;
        let parts = CredentialsParts {
            transport: transport.clone(),
            config: config.clone(),
            time: time.clone(),
            random: randomness.clone(),
            observer: Arc::new(NoObserver),
        };
        let calls = CallsAreProgress { progress: progress.clone(), next: metrics.clone(), log: log.clone() };
        let aws = Client::new(ClientParts {
            transport: fence_aws(transport, fence.clone()),
            config,
            credentials: Arc::new(Credentials::from_settings(&settings, &parts).unwrap()),
            time,
            random: Arc::new(AwsRandom(random.clone())),
            observer: Arc::new(calls),
        });
        let cloud = CloudSettings {
            cluster: CLUSTER.to_owned(),
            domains: Vec::new(),
            zone_ids: Vec::new(),
            zone_type: Default::default(),
            concurrency: 8,
        };
        let reconciler = Reconciler::new(Parts {
            cluster: cluster.clone(),
            cloud: Cloud::new(aws.clone(), aws, cloud, clock.clone(), log.clone()),
            fence,
            settings: expose::Settings { cluster: CLUSTER.to_owned(), owner: CLUSTER.to_owned(), ..Default::default() },
            timing: Timing { full_sync: FULL_SYNC, last_answers: WRITE, ..Timing::default() },
            dry_run: false,
            clock,
            random,
            metrics,
            progress: progress.clone(),
            log,
        });

        let held = Arc::<AtomicBool>::default();
        let gate = held.clone();
        let journal = world.stage.journal.clone();
        journal.record(Event::Process { replica: NUMBER, what: "starts".to_owned() });
        let task = tokio::task::spawn_local(async move {
            let mut work = pin!(reconciler.run(pending()));
            let held_loop = poll_fn(move |context| match gate.load(Ordering::Relaxed) {
                true => Poll::Pending,
                false => work.as_mut().poll(context),
            });
            let election = elector.run(move || progress.since(), pending());
            tokio::join!(held_loop, election, cluster.run());
        });
        Ok(Holdable { held, task })
    }

    fn hold(&self, world: &World) {
        world.note("the loop is held".to_owned());
        self.held.store(true, Ordering::Relaxed);
    }

    /// The loop is polled with whatever else of the process is.
    fn release(&self, world: &World) {
        world.note("the loop moves again".to_owned());
        self.held.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_process_whose_loop_is_held_gives_the_lease_up_and_a_standby_leads() {
    let mut lines = Vec::new();
    let told = simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        let holdable = Holdable::start(&world).await?;
        let soon = Duration::from_secs(60);
        world.until("it leads", soon, |world| world.leader() == Some(NUMBER)).await?;
        world.run(1)?;
        world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
        world.until("quake is served", soon, |world| world.is_ready("quake")).await?;
        world.pass(STALLED * 3).await?;
        assert_eq!(world.leader(), Some(NUMBER), "a loop that has nothing to do moves");

        holdable.hold(&world);
        let began = world.stage.clock.now();
        world.set_ports("quake", &[("UDP", 6316)])?;
        world.until("the standby leads", STALLED + Duration::from_secs(10), |world| world.leader() == Some(1)).await?;
        let writes = world.kube.look(|look| look.lease_writes().to_vec());
        let released = writes.iter().rev().find(|write| write.actor == Actor::Replica(NUMBER)).unwrap();
        assert_eq!(released.holder, "", "it isn't only left to expire");
        assert!(released.accepted > began + STALLED / 2, "and not at once: {:?}", released.accepted - began);
        // What was left undone is done, without a break of any rule.
        world.settle().await?;
        assert_eq!(world.leader(), Some(1), "it doesn't come back as long as its loop is held");
        // Nor when nobody else is left.
        world.stop_all();
        world.pass(Duration::from_secs(60)).await?;
        assert_eq!(world.leader(), Some(1), "nobody has written the Lease since");

        holdable.release(&world);
        world.until("it leads again", soon, |world| world.leader() == Some(NUMBER)).await?;
        world.set_ports("quake", &[("UDP", 6317)])?;
        world.settle().await?;
        holdable.task.abort();
        lines = world.story();
        Ok(())
    });
    if told.is_err() {
        println!("{}", lines.join("\n"));
    }
    told.unwrap();
}
