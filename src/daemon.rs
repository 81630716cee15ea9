//! The composition: from a configuration and the world outside to a running daemon.
//!
//! Owns who is given what, and the order of stopping. Decides nothing. Whatever touches the outside comes in with
//! [`World`]: the process builds it from sockets and clocks, a simulation from its own.

mod aws;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slog::{Logger, info, o, warn};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::Layer;

use crate::args::Config;
use crate::clock::{SharedClock, SharedRandom};
use crate::cloud::{Cloud, CloudSettings};
use crate::cluster::Cluster;
use crate::leader::{Elector, Fence, FenceLayer, LeaseSettings, holder_id};
use crate::metrics::Metrics;
use crate::reconcile::{CallsAreProgress, Outcome, Parts, Reconciler, Timing};
use crate::serve::{self, Progress, Routes};
use crate::system::{AwsRandom, AwsTime};
use aws::{Aws, CredentialsAreTold};

/// What the daemon gets of the world outside.
pub struct World {
    /// The API server, without retries of its own: for everything but the Lease.
    pub kube: kube::Client,
    /// The API server once more, on connections of its own: for the Lease.
    pub lease: kube::Client,
    /// AWS.
    pub aws: aws_api::Transport,
    /// Where probes and metrics are asked for; `None`: nowhere.
    pub listener: Option<TcpListener>,
    /// AWS's own settings and credentials: the environment, and a profile of the shared files.
    pub aws_settings: aws_api::Settings,
    /// Both clocks.
    pub clock: SharedClock,
    /// Randomness.
    pub random: SharedRandom,
    /// Where to log.
    pub log: Logger,
}

/// How many AWS calls are under way at once.
const CONCURRENT_AWS_CALLS: usize = 8;

/// No write to AWS or to the API server is awaited for longer; a successor by expiry waits as long before its first.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// With `--once`, readiness is awaited for this much longer than a dead leader's Lease lasts, at least.
const READY: Duration = Duration::from_secs(30);

/// How long connections to the probes may take to end, once all else has.
const LINGER: Duration = Duration::from_secs(5);

/// Runs the daemon until `shutdown` resolves, then stops writing, gives the Lease up and returns. With `--once`
/// it returns after one complete reconcile.
///
/// # Errors
/// In words for the person who started it: what is wrong with the configuration, or what could not be done.
pub async fn run(config: Config, world: World, shutdown: impl Future<Output = ()>) -> Result<(), String> {
    let World { kube, lease: lease_client, aws, listener, aws_settings, clock, random, log } = world;
    let holder = holder_id(config.pod_name.as_deref().unwrap_or("external-ips"), random.as_ref());
    let namespace = config.lease.namespace.clone().unwrap_or_else(|| lease_client.default_namespace().to_owned());
    let mut lease = LeaseSettings::new(&namespace, &config.lease.name, &holder).with_duration(config.lease.duration);
    lease.write_timeout = lease.write_timeout.min(LONGEST_WRITE);
    lease.check()?;
    info!(log, "starting"; "version" => env!("CARGO_PKG_VERSION"), "cluster" => &config.settings.cluster,
        "identity" => &holder, "lease" => format!("{namespace}/{}", config.lease.name));

    let write_timeout = lease.write_timeout;
    let lease_name = config.lease.name.clone();
    let elector = Elector::new(lease_client, lease, clock.clone(), random.clone(), log.new(o!("part" => "lease")))?;
    let fence = elector.fence();
    let kube_namespace = kube.default_namespace().to_owned();
    let transport = tower::service_fn(move |request| {
        let kube = kube.clone();
        async move { kube.send(request).await }
    });
    let kube = kube::Client::new(FenceLayer::new(fence.clone(), write_timeout).layer(transport), kube_namespace);
    let cluster = Cluster::new(
        kube,
        config.settings.namespace.clone(),
        holder,
        config.full_sync,
        clock.clone(),
        random.clone(),
        log.new(o!("part" => "cluster")),
    );

    let metrics = Arc::new(Metrics::new(&lease_name).with_process(crate::system::process_stats));
    let progress = Progress::new(clock.clone());
    // The probes answer from the first moment on, also while the region is still being asked for.
    let (stop, stopped) = watch::channel(Stage::Running);
    let routes = routes(&cluster, &metrics, &progress);
    let server = async {
        match listener {
            Some(listener) => serve::serve(listener, routes, reached(stopped.clone(), Stage::Stopped)).await,
            None => reached(stopped.clone(), Stage::Stopped).await,
        }
    };
    let work = async {
        let result = async {
            let time: Arc<dyn aws_api::TimeSource> = Arc::new(AwsTime(clock.clone()));
            let aws_log = log.new(o!("part" => "aws"));
            let calls =
                Arc::new(CallsAreProgress { progress: progress.clone(), next: metrics.clone(), log: aws_log.clone() });
            let credentials =
                Arc::new(CredentialsAreTold { next: metrics.clone(), log: aws_log.clone(), failing: Mutex::default() });
            let aws = Aws::connect(aws::Parts {
                settings: &aws_settings,
                region: config.region.as_deref(),
                dns_role: config.dns_role.as_ref(),
                write_timeout,
                transport: aws,
                fence: &fence,
                time,
                random: Arc::new(AwsRandom(random.clone())),
                calls,
                credentials,
                log: &log,
            })
            .await?;
            let credentials = aws.credentials();
            let cloud_settings = CloudSettings {
                cluster: config.settings.cluster.clone(),
                domains: config.filters.domains.clone(),
                zone_ids: config.filters.zone_ids.clone(),
                zone_type: config.filters.zone_type,
                concurrency: CONCURRENT_AWS_CALLS,
            };
            let cloud = Cloud::new(aws.ec2, aws.dns, cloud_settings, clock.clone(), aws_log);
            let reconciler = Reconciler::new(Parts {
                cluster: cluster.clone(),
                cloud,
                fence: fence.clone(),
                settings: config.settings.clone(),
                timing: Timing {
                    full_sync: config.full_sync,
                    last_answers: write_timeout,
                    // Who holds the Lease may be dead, and is replaced then.
                    ready: Timing::default().ready.max(config.lease.duration + READY),
                    ..Timing::default()
                },
                dry_run: config.dry_run,
                clock: clock.clone(),
                random: random.clone(),
                metrics: metrics.clone(),
                progress: progress.clone(),
                log: log.clone(),
            });
            tokio::select! {
                biased;
                result = lead(&config, reconciler, elector, &progress, &stop, &stopped) => result,
                () = Aws::keep_fresh(credentials) => Err("the credentials ended".into()),
            }
        }
        .await;
        stop.send_replace(Stage::Stopped);
        result
    };
    let signal = async {
        shutdown.await;
        info!(log, "stopping: no new writes; the Lease is released when those under way are answered");
        stop.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Stopping;
            }
            running
        });
        std::future::pending::<()>().await
    };
    let state = async {
        // A dry run is neither leader nor candidate.
        let leadership = async {
            if !config.dry_run {
                follow_leadership(&fence, &metrics).await
            }
        };
        tokio::join!(leadership, count_watch_errors(&cluster, &metrics))
    };
    tokio::pin!(work, server);
    tokio::select! {
        biased;
        result = &mut work => {
            // Whoever asked for a probe or the metrics just now still gets an answer.
            if tokio::time::timeout(LINGER, server).await.is_err() {
                warn!(log, "a probe's connection did not end in time");
            }
            result
        }
        () = &mut server => work.await,
        () = cluster.clone().run() => Err("the view of the cluster ended".into()),
        () = signal => Err("stopped".into()),
        _ = state => Err("the lease ended".into()),
    }
}

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Stopping,
    Stopped,
}

async fn reached(mut stage: watch::Receiver<Stage>, at_least: Stage) {
    // An error means that nobody can stop us any more in an orderly way: stop as well.
    let _ = stage.wait_for(|stage| *stage >= at_least).await;
}

/// Runs the loop and the election next to each other, and ends them in order.
async fn lead(
    config: &Config,
    reconciler: Reconciler,
    elector: Elector,
    progress: &Progress,
    stop: &watch::Sender<Stage>,
    stopped: &watch::Receiver<Stage>,
) -> Result<(), String> {
    let stopping = || reached(stopped.clone(), Stage::Stopping);
    let election = async {
        if config.dry_run {
            // A dry run never leads, so that the lowest layers would refuse a write.
            stopping().await;
        } else {
            let progress = progress.clone();
            elector.run(move || progress.since(), stopping()).await;
        }
    };
    if !config.once {
        tokio::join!(reconciler.run(stopping()), election);
        return Ok(());
    }
    let once = async {
        let outcome = reconciler.once(stopping()).await;
        stop.send_replace(Stage::Stopping);
        outcome
    };
    let (outcome, ()) = tokio::join!(once, election);
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Incomplete(problems) => Err(problems.join("\n")),
        Outcome::Interrupted => Err("interrupted before the reconcile was complete".into()),
    }
}

fn routes(cluster: &Arc<Cluster>, metrics: &Arc<Metrics>, progress: &Progress) -> Routes {
    let cluster = cluster.clone();
    let ready = move || match () {
        () if cluster.is_current() => Ok(()),
        () if cluster.synced() => {
            Err("the API server has been silent for too long: the view of the cluster is old".into())
        }
        () => Err(format!("the lists of {} are not complete yet", cluster.missing().join(", "))),
    };
    Routes { progress: progress.clone(), ready: Arc::new(ready), metrics: metrics.clone() }
}

async fn follow_leadership(fence: &Fence, metrics: &Metrics) {
    let mut leadership = fence.subscribe();
    loop {
        metrics.leading(fence.is_leader());
        if leadership.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Carries what the watches counted into the metrics.
async fn count_watch_errors(cluster: &Cluster, metrics: &Metrics) {
    loop {
        metrics.watch_errors(&cluster.counters().read());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
