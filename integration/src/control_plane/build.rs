//! Builds the control plane's programs with Go, once: the module `integration/control-plane` pins their versions.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::children::find_program;
use crate::error::{Context, Result, fail};

/// The version that the programs say they are; go.mod holds the same.
pub const KUBERNETES_VERSION: &str = "v1.37.2";

/// A program of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The database.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The command line.
    Kubectl,
    /// The data path of a node; only the data-path test and the demo need it.
    KubeProxy,
    /// Makes the key that signs ServiceAccount tokens.
    Keygen,
}

impl Program {
    /// Its name, also of its directory under `cmd/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
            Self::KubeProxy => "kube-proxy",
            Self::Keygen => "keygen",
        }
    }

    fn first_time(self) -> &'static str {
        match self {
            Self::KubeApiserver => "about 7 minutes on two cores",
            Self::Keygen => "seconds",
            Self::Etcd | Self::Kubectl | Self::KubeProxy => "about a minute",
        }
    }
}

/// The path of `program`, built if it isn't in the cache. Blocks.
pub fn built(cache: &Cache, program: Program) -> Result<PathBuf> {
    let module = crate::directory().join("control-plane");
    let name = program.name();
    let inputs = [module.join("go.mod"), module.join("go.sum"), module.join("cmd").join(name)];
    let directory = cache.built(name, &inputs, |directory| build(&module, program, directory))?;
    Ok(directory.join(name))
}

fn build(module: &Path, program: Program, directory: &Path) -> Result<()> {
    let name = program.name();
    let Some(go) = find_program("go") else {
        return fail(format!(
            "building {name} needs Go 1.26 or newer in PATH, from https://go.dev/dl/ or your distribution"
        ));
    };
    eprintln!("integration: building {name}, {} the first time", program.first_time());
    let mut command = Command::new(go);
    command
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-ldflags"])
        .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"))
        .arg("-o")
        .arg(directory.join(name))
        .arg(format!("./cmd/{name}"));
    run_with_progress(command, &format!("building {name}"))
}

/// Runs a long command to its end, with a line on stderr every ten seconds. Its own output is shown only when it fails.
pub(crate) fn run_with_progress(mut command: Command, what: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context(format!("start {program}"))?;
    let errors = child.stderr.take().context("its error output")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(std::io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut last_lines = VecDeque::new();
    let mut shown = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                if last_lines.len() == 30 {
                    last_lines.pop_front();
                }
                last_lines.push_back(line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if shown.elapsed() > Duration::from_secs(10) {
            eprintln!("integration: {what} ... {} s", started.elapsed().as_secs());
            shown = Instant::now();
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    fail(format!("{what} failed ({status}):\n{}", last_lines.into_iter().collect::<Vec<_>>().join("\n")))
}
