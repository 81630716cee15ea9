//! The process around the daemon: from flags and the environment to sockets, clocks and signals.
//!
//! The only place that opens anything on its own; everything else gets it handed in.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use slog::{Logger, crit, info, warn};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
const IMPATIENT: u8 = 130;

/// Runs the daemon as this process until it is told to stop.
pub async fn run(config: Config, clock: SharedClock, log: Logger) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(why) => {
            crit!(log, "{}", why);
            return ExitCode::FAILURE;
        }
    };
    let (told, wait) = tokio::sync::oneshot::channel();
    let shutdown = async {
        let _ = wait.await;
    };
    let result = tokio::select! {
        biased;
        () = signals.twice(told) => {
            warn!(log, "told to stop twice: ending at once");
            return ExitCode::from(IMPATIENT);
        }
        result = try_run(config, clock, &log, shutdown) => result,
    };
    match result {
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

async fn try_run(
    config: Config,
    clock: SharedClock,
    log: &Logger,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
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
    let aws_settings = aws_api::Settings::load(&aws_api::system::environment()).map_err(|e| e.to_string())?;
    let aws = aws_transport(&aws_settings, log)?;
    let (kube_config, in_cluster) = kube_config(&config).await?;
    if let Some(warning) = doubt_about_lease(&config, in_cluster, &kube_config.default_namespace) {
        warn!(log, "{warning}");
    }
    let unusable = |e: kube::Error| format!("can't set up the connection to the API server: {e}");
    let world = World {
        lease: lease_service(kube_config.clone()).map_err(unusable)?,
        kube: kube::Client::try_from(kube_config).map_err(unusable)?,
        aws,
        listener,
        aws_settings,
        clock,
        random: Arc::new(SystemRandom::new().map_err(|e| format!("no randomness: {e}"))?),
        log: log.clone(),
    };
    daemon::run(config, world, shutdown).await
}

/// How AWS is reached: through which proxies, and whom to trust.
fn aws_transport(settings: &aws_api::Settings, log: &Logger) -> Result<aws_api::Transport, String> {
    let http = aws_api::HttpOptions::from_settings(settings).map_err(|e| e.to_string())?;
    if !http.proxies.is_none() {
        info!(log, "AWS is asked through proxies, the API server directly"; "proxies" => http.proxies.to_string());
    }
    if let Some(bundle) = &http.ca_bundle {
        let file = bundle.file.display().to_string();
        info!(log, "only the authorities in a file are trusted at AWS"; "file" => file, "setting" => &bundle.setting);
    }
    aws_api::http_transport(http)
}

/// How the API server is reached, and whether that is the way of a pod in its cluster.
async fn kube_config(config: &Config) -> Result<(kube::Config, bool), String> {
    let options = KubeConfigOptions::default();
    let (mut kube_config, in_cluster) = match &config.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .map_err(|e| format!("can't read the kubeconfig {}: {e}", path.display()))?;
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|e| format!("can't use the kubeconfig {}: {e}", path.display()))?;
            (config, false)
        }
        None => match kube::Config::from_kubeconfig(&options).await {
            Ok(config) => (config, false),
            Err(kubeconfig) => match kube::Config::incluster() {
                Ok(config) => (config, true),
                Err(in_cluster) => {
                    return Err(format!(
                        "found no way to the API server: neither a kubeconfig ({kubeconfig}) nor a pod's service account \
                     ({in_cluster}); run inside a cluster, or name a kubeconfig with --kubeconfig or KUBECONFIG"
                    ));
                }
            },
        },
    };
    settle_proxy(&mut kube_config, |name| std::env::var(name).ok())?;
    // Retries below the fence would send a write after leadership has ended.
    kube_config.default_retry = false;
    kube_config.connect_timeout = Some(CONNECT);
    kube_config.read_timeout = Some(SILENCE);
    kube_config.write_timeout = Some(CONNECT);
    Ok((kube_config, in_cluster))
}

/// The API server is asked directly, whatever the environment says: where HTTPS_PROXY is set, NO_PROXY has the API
/// server in practice. The library takes the former without heeding the latter, and then its error would quote the URL
/// with the password in it.
fn settle_proxy(kube_config: &mut kube::Config, env: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let Some(proxy) = kube_config.proxy_url.take() else { return Ok(()) };
    let from_env = ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .filter_map(|name| env(name)?.parse::<http::Uri>().ok())
        .any(|uri| uri == proxy);
    if from_env {
        return Ok(());
    }
    Err("the kubeconfig names a proxy (proxy-url), and the API server can only be asked directly: use a kubeconfig \
         without it"
        .into())
}

/// Who runs outside the cluster has no namespace of its own, and with that of the kubeconfig it may contend for
/// another Lease than the pods do: two would lead.
fn doubt_about_lease(config: &Config, in_cluster: bool, namespace: &str) -> Option<String> {
    if in_cluster || config.dry_run || config.lease.namespace.is_some() {
        return None;
    }
    Some(format!(
        "the Lease is {namespace}/{}, since the kubeconfig says so: replicas in the cluster that use another namespace \
         (deploy/base: external-ips) don't see it, and two processes would lead. Name theirs with --lease-namespace",
        config.lease.name
    ))
}

/// The signals that tell a process to stop.
struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, String> {
        let listen = |kind| signal(kind).map_err(|e| format!("can't listen to signals: {e}"));
        Ok(Signals { term: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Tells of the first SIGTERM or SIGINT; resolves at the second one.
    async fn twice(mut self, told: tokio::sync::oneshot::Sender<()>) {
        self.one().await;
        // An error means that the daemon has ended already.
        let _ = told.send(());
        self.one().await;
    }
}

#[cfg(test)]
mod tests;
