//! The process around the daemon: from flags and the environment to sockets, clocks and signals.
//!
//! The only place that opens anything on its own; everything else gets it handed in.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use slog::{Logger, crit, info, warn};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Config;
use crate::clock::SharedClock;
use crate::daemon::{self, World};
use crate::leader::lease_service;
use crate::system::SystemRandom;

/// Time-out for a connection to the API server.
const CONNECT: Duration = Duration::from_secs(3);

/// No part of an answer of the API server may be awaited for longer: a little more than the bookmarks of a watch
/// are apart.
const SILENCE: Duration = Duration::from_secs(75);

/// Exit code of a process that was told to stop twice.
const IMPATIENT: i32 = 130;

/// Runs the daemon as this process until it is told to stop.
pub async fn run(config: Config, clock: SharedClock, log: Logger) -> ExitCode {
    match try_run(config, clock, &log).await {
        Ok(()) => {
            info!(log, "stopped");
            ExitCode::SUCCESS
        }
        Err(why) => {
            crit!(log, "{}", why);
            ExitCode::FAILURE
        }
    }
}

async fn try_run(config: Config, clock: SharedClock, log: &Logger) -> Result<(), String> {
    // Ring for every TLS connection: kube and hyper-rustls both leave the choice open. An error means that one
    // was installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = match config.listen {
        Some(address) => {
            let listener = TcpListener::bind(address).await.map_err(|e| {
                format!("can't listen on {address} for probes and metrics: {e}; choose another address with --listen")
            })?;
            let bound = listener.local_addr().map_err(|e| e.to_string())?;
            info!(log, "listening"; "address" => bound.to_string());
            Some(listener)
        }
        None => None,
    };
    let kube_config = kube_config(&config).await?;
    let unusable = |e: kube::Error| format!("can't set up the connection to the API server: {e}");
    let world = World {
        lease: lease_service(kube_config.clone()).map_err(unusable)?,
        kube: kube::Client::try_from(kube_config).map_err(unusable)?,
        aws: aws_api::http_transport(aws_api::HttpOptions::default())?,
        listener,
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>(),
        clock,
        random: Arc::new(SystemRandom::new().map_err(|e| format!("no randomness: {e}"))?),
        log: log.clone(),
    };
    let shutdown = shutdown(log.clone())?;
    daemon::run(config, world, shutdown).await
}

async fn kube_config(config: &Config) -> Result<kube::Config, String> {
    let mut kube_config = match &config.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|e| format!("can't read the kubeconfig {}: {e}", path.display()))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|e| format!("can't use the kubeconfig {}: {e}", path.display()))?
        }
        None => kube::Config::infer().await.map_err(|e| {
            format!("found no way to the API server: {e}; run inside a cluster, or name a kubeconfig with --kubeconfig or KUBECONFIG")
        })?,
    };
    // Retries below the fence would send a write after leadership has ended.
    kube_config.default_retry = false;
    kube_config.connect_timeout = Some(CONNECT);
    kube_config.read_timeout = Some(SILENCE);
    kube_config.write_timeout = Some(CONNECT);
    Ok(kube_config)
}

/// Resolves at the first SIGTERM or SIGINT; the second one ends the process at once.
fn shutdown(log: Logger) -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|e| format!("can't listen to signals: {e}"));
    let mut term = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (told, wait) = tokio::sync::oneshot::channel();
    // The process's own watch over its signals: it must also hear the second one while the daemon is stuck.
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = told.send(());
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        warn!(log, "told to stop twice: ending at once");
        drop(log);
        std::process::exit(IMPATIENT);
    });
    Ok(async {
        let _ = wait.await;
    })
}
