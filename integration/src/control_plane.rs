//! The real control plane: etcd and kube-apiserver on free ports of the loopback address, and ways to talk to it.
//!
//! There are no controllers: nothing fills EndpointSlices, deletes namespaces' contents or schedules Pods.

pub mod build;
mod kubeconfig;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use kube::Client;
use serde_json::json;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::children::{Process, tied_to_us};
use crate::control_plane::build::{Program, built};
use crate::error::{Context, Result, fail};
use crate::ports::free_ports;
use crate::run_directory::RunDirectory;

/// What a control plane is started with, besides what every one has.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Admission plugins to enable, as `DenyServiceExternalIPs`.
    pub admission_plugins: Vec<String>,
    /// More arguments of kube-apiserver.
    pub arguments: Vec<String>,
}

/// A running control plane. It ends when dropped, and with this process.
#[derive(Debug)]
pub struct ControlPlane {
    url: String,
    directory: RunDirectory,
    kubectl: PathBuf,
    admin_token: String,
    servers: Mutex<Servers>,
}

/// In the order in which they are to end: the API server before its database.
#[derive(Debug)]
struct Servers {
    apiserver: Process,
    etcd: Process,
}

/// How long a control plane may take to become ready; 4 s are usual, a loaded machine takes longer.
const READY_WITHIN: Duration = Duration::from_secs(90);

impl ControlPlane {
    /// Builds what isn't built yet, starts both servers and waits until they are ready.
    pub async fn start(options: Options) -> Result<Self> {
        crate::install_crypto();
        let programs = tokio::task::spawn_blocking(|| Programs::build(&Cache::open()?)).await??;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::attempt(&programs, &options).await {
                // Between the look for a free port and its use somebody else may have taken it.
                Err(error) if attempts < 5 && error.message().contains("address already in use") => {}
                done => return done,
            }
        }
    }

    async fn attempt(programs: &Programs, options: &Options) -> Result<Self> {
        let cache = Cache::open()?;
        let directory = RunDirectory::create(&cache, "control-plane")?;
        let [client_port, peer_port, port] = free_ports()?;
        let etcd = start_etcd(programs, &directory, client_port, peer_port)?;
        let admin_token = write_secrets(programs, &directory)?;
        let apiserver = start_apiserver(programs, &directory, client_port, port, options)?;
        let started = Self {
            url: format!("https://127.0.0.1:{port}"),
            directory,
            kubectl: programs.kubectl.clone(),
            admin_token,
            servers: Mutex::new(Servers { apiserver, etcd }),
        };
        started.until_ready().await?;
        Ok(started)
    }

    async fn until_ready(&self) -> Result<()> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            {
                let mut servers = self.servers.lock().map_err(|_| crate::Error::new("a lock is poisoned"))?;
                servers.etcd.still_running()?;
                servers.apiserver.still_running()?;
            }
            let ready = async {
                let request = http::Request::get("/readyz").body(Vec::new())?;
                let answer = self.admin().await?.request_text(request).await?;
                Ok::<_, crate::Error>(answer)
            };
            match ready.await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => {
                    return Err(error.and(format!("the API server wasn't ready within {READY_WITHIN:?}")));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The API server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PEM file with which the API server's certificate is verified.
    pub fn certificate(&self) -> PathBuf {
        self.directory.file("certificates/apiserver.crt")
    }

    /// The token of a user in `system:masters`.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The directory with its logs: `etcd.log`, `kube-apiserver.log`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id of kube-apiserver, to stop and continue it ([`crate::children::signal`]).
    pub fn apiserver_pid(&self) -> Result<u32> {
        Ok(self.servers.lock().map_err(|_| crate::Error::new("a lock is poisoned"))?.apiserver.pid())
    }

    /// A client that may do everything. It belongs to the runtime that asks for it: each test takes its own.
    pub async fn admin(&self) -> Result<Client> {
        self.client(&self.admin_token).await
    }

    /// A client with the rights of a token.
    pub async fn client(&self, token: &str) -> Result<Client> {
        kubeconfig::client(&self.url, &self.certificate(), Some(token)).await
    }

    /// A client that adds no token, for those who pass on another's.
    pub async fn client_without_token(&self) -> Result<Client> {
        kubeconfig::client(&self.url, &self.certificate(), None).await
    }

    /// A kubeconfig file for a token, which talks to this API server.
    pub fn kubeconfig_for(&self, token: &str) -> Result<PathBuf> {
        self.kubeconfig_through(&self.url, token)
    }

    /// A kubeconfig file for a token, which talks to `server` (a [`crate::kube_gate::KubeGate`]'s URL).
    pub fn kubeconfig_through(&self, server: &str, token: &str) -> Result<PathBuf> {
        kubeconfig::write(self.directory.path(), server, &self.certificate(), token)
    }

    /// A token of a ServiceAccount that exists, by a TokenRequest, as a Pod of it gets one. It lasts an hour.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": 3600}
        });
        let request =
            http::Request::post(path).header("content-type", "application/json").body(serde_json::to_vec(&body)?)?;
        let answer: TokenRequest =
            self.admin().await?.request(request).await.context(format!("token of {namespace}/{name}"))?;
        answer.status.map(|status| status.token).context("a TokenRequest without a token")
    }

    /// Where the kubectl that belongs to it is.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// Runs kubectl as the admin and returns what it printed; its exit code must be 0.
    pub async fn kubectl<S: AsRef<str>>(&self, arguments: &[S]) -> Result<String> {
        let kubeconfig = self.kubeconfig_for(&self.admin_token)?;
        let mut command = tied_to_us(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--cache-dir")
            .arg(self.directory.file("kubectl-cache"))
            .args(arguments.iter().map(AsRef::as_ref));
        let shown = arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let output = tokio::task::spawn_blocking(move || command.output()).await?.context("run kubectl")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            return fail(format!("kubectl {shown}: {}: {errors}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Applies a YAML file, a directory of them, or a directory with a `kustomization.yaml`, server-side.
    pub async fn apply_yaml(&self, path: &Path) -> Result<String> {
        let kind = if path.join("kustomization.yaml").is_file() { "--kustomize" } else { "--filename" };
        self.kubectl(&["apply", "--server-side", kind, &path.to_string_lossy()]).await
    }
}

/// The built programs.
#[derive(Debug)]
struct Programs {
    etcd: PathBuf,
    apiserver: PathBuf,
    kubectl: PathBuf,
    keygen: PathBuf,
}

impl Programs {
    fn build(cache: &Cache) -> Result<Self> {
        Ok(Self {
            keygen: built(cache, Program::Keygen)?,
            etcd: built(cache, Program::Etcd)?,
            kubectl: built(cache, Program::Kubectl)?,
            apiserver: built(cache, Program::KubeApiserver)?,
        })
    }
}

/// Makes the key of ServiceAccount tokens and the file of fixed tokens; returns the admin's token.
fn write_secrets(programs: &Programs, directory: &RunDirectory) -> Result<String> {
    let status = tied_to_us(&programs.keygen).arg(directory.file("service-account.key")).status()?;
    if !status.success() {
        return fail(format!("keygen: {status}"));
    }
    // A token of a server that only this machine reaches and that ends with the test: unique is enough.
    let token = format!("admin-{}-{}", std::process::id(), crate::unique());
    std::fs::write(directory.file("tokens.csv"), format!("{token},admin,admin,\"system:masters\"\n"))?;
    Ok(token)
}

fn start_etcd(programs: &Programs, directory: &RunDirectory, client: u16, peer: u16) -> Result<Process> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    let mut command = tied_to_us(&programs.etcd);
    command
        .arg("--data-dir")
        .arg(directory.file("etcd"))
        .args(["--name", "default", "--unsafe-no-fsync", "--log-level", "warn"])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .arg("--initial-cluster")
        .arg(format!("default={peer}"));
    let process = Process::logging_to("etcd", command, directory.file("etcd.log"))?;
    directory.lists(process.pid())?;
    Ok(process)
}

fn start_apiserver(
    programs: &Programs,
    directory: &RunDirectory,
    etcd: u16,
    port: u16,
    options: &Options,
) -> Result<Process> {
    let file = |name: &str| directory.file(name).to_string_lossy().into_owned();
    let mut command = tied_to_us(&programs.apiserver);
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--cert-dir={}", file("certificates")))
        .arg(format!("--secure-port={port}"))
        .arg("--bind-address=127.0.0.1")
        // The Endpoints of the Service "kubernetes" may not be loopback, and nothing here needs them.
        .args(["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .arg(format!("--token-auth-file={}", file("tokens.csv")))
        .arg(format!("--service-account-key-file={}", file("service-account.key")))
        .arg(format!("--service-account-signing-key-file={}", file("service-account.key")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--authorization-mode=RBAC")
        .arg("--service-cluster-ip-range=10.96.0.0/16")
        // No controller makes the default ServiceAccounts that this plugin asks for.
        .arg("--disable-admission-plugins=ServiceAccount")
        .arg("--profiling=false");
    if !options.admission_plugins.is_empty() {
        command.arg(format!("--enable-admission-plugins={}", options.admission_plugins.join(",")));
    }
    command.args(&options.arguments);
    let process = Process::logging_to("kube-apiserver", command, directory.file("kube-apiserver.log"))?;
    directory.lists(process.pid())?;
    Ok(process)
}
