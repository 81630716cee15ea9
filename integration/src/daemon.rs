//! The real daemon as a child process: how it is started, what it logged, how it is stopped, and how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::cache::Cache;
use crate::children::{Process, tied_to_us};
use crate::error::{Context, Result, fail};
use crate::eventually::{PATIENCE, within};
use crate::run_directory::RunDirectory;

/// A daemon to start: arguments and environment. Nothing of this process's environment is passed on but `PATH` and
/// `HOME`, so that a developer's own AWS settings can't leak in.
#[derive(Debug, Clone, Default)]
pub struct NewDaemon {
    /// What its log file is called.
    pub name: String,
    /// The command line.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: BTreeMap<String, OsString>,
}

impl NewDaemon {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds a flag with a value; a flag given earlier is replaced.
    pub fn flag(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let prefix = format!("--{name}=");
        self.arguments.retain(|argument| !argument.to_string_lossy().starts_with(&prefix));
        self.arg(format!("{prefix}{}", value.as_ref()))
    }

    /// Takes a flag back.
    pub fn without_flag(mut self, name: &str) -> Self {
        let prefix = format!("--{name}");
        self.arguments.retain(|argument| {
            let argument = argument.to_string_lossy();
            !(argument == prefix || argument.starts_with(&format!("{prefix}=")))
        });
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Takes an environment variable back.
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Starts the daemon, and builds it if need be.
    pub async fn start(self) -> Result<Daemon> {
        let binary = tokio::task::spawn_blocking(binary).await??;
        self.start_binary(&binary)
    }

    /// Starts another program in the daemon's place, as for tests of the harness or another version.
    pub fn start_binary(self, binary: &Path) -> Result<Daemon> {
        let directory = RunDirectory::create(&Cache::open()?, "daemon")?;
        let log = directory.file(&format!("{}.log", self.name));
        let mut command = tied_to_us(binary);
        command.args(&self.arguments).envs(&self.environment);
        let process = Process::logging_to(&self.name, command, log.clone())?;
        directory.lists(process.pid())?;
        Ok(Daemon { name: self.name, pid: process.pid(), process: Mutex::new(process), log })
    }
}

/// A daemon that was started; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    pid: u32,
    process: Mutex<Process>,
    log: PathBuf,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine(pub Value);

impl LogLine {
    /// The message.
    pub fn message(&self) -> &str {
        self.text("msg")
    }

    /// A field that is a text; empty when it isn't there.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The level as the daemon writes it.
    pub fn level(&self) -> &str {
        self.text("level")
    }
}

impl Daemon {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All it wrote, as it is: for the search for secrets.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).context(format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What it wrote from the byte `from` on, up to the end of the last whole line.
    pub fn output_from(&self, from: u64) -> Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(&self.log).context(format!("open {}", self.log.display()))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
        Ok(bytes)
    }

    /// The lines of its log that are JSON.
    pub fn logs(&self) -> Result<Vec<LogLine>> {
        let output = self.output()?;
        Ok(output.lines().filter_map(|line| serde_json::from_str(line).ok()).map(LogLine).collect())
    }

    /// The lines of its output that aren't JSON: there should be none (a panic is one).
    pub fn other_output(&self) -> Result<Vec<String>> {
        let output = self.output()?;
        let other = output.lines().filter(|line| serde_json::from_str::<Value>(line).is_err());
        Ok(other.map(str::to_owned).collect())
    }

    /// Waits (at most 30 s) for a line of the log. Fails at once when the daemon has ended without it.
    pub async fn wait_for_log(&self, what: &str, matches: impl Fn(&LogLine) -> bool) -> Result<LogLine> {
        let look = || async {
            // Asked before the log is read: what it wrote before its end counts.
            let ended = self.ended()?;
            let found = self.logs()?.into_iter().find(|line| matches(line));
            Ok((found, ended))
        };
        let (found, ended) =
            within(PATIENCE, format!("{}'s log: {what}", self.name), look, |(found, ended): &(_, Option<_>)| {
                found.is_some() || ended.is_some()
            })
            .await
            .map_err(|error| error.and(format!("its last lines:\n{}", self.last_lines())))?;
        match (found, ended) {
            (Some(line), _) => Ok(line),
            (None, ended) => {
                let status = ended.map(|status| status.to_string()).unwrap_or_default();
                fail(format!("{} ended ({status}) without logging {what}:\n{}", self.name, self.last_lines()))
            }
        }
    }

    /// The address of its probes and metrics, as its log says: `127.0.0.1:PORT`.
    pub async fn address(&self) -> Result<String> {
        let line = self.wait_for_log("listening", |line| line.message() == "listening").await?;
        Ok(line.text("address").to_owned())
    }

    /// GETs a path of its own HTTP server: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        use http_body_util::{BodyExt, Empty};
        let uri: http::Uri = format!("http://{}{path}", self.address().await?).parse()?;
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let request = http::Request::get(uri).body(Empty::<bytes::Bytes>::new())?;
        let answer = client.request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The value of a series of its metrics, as `external_ips_reconcile_total{result="success"}`; 0 when it isn't there.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let (_, page) = self.get("/metrics").await?;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or_default())
    }

    /// How many rounds it has ended well.
    pub async fn rounds(&self) -> Result<f64> {
        self.metric("external_ips_reconcile_total{result=\"success\"}").await
    }

    /// How it ended, when it has.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        self.process().ended()
    }

    /// Waits (at most 30 s) for its end.
    pub async fn end(&self) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let ended = within(PATIENCE, what, || async { self.ended() }, Option::is_some).await?;
        ended.context("it has no status")
    }

    /// Kills it, as the kernel would.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Asks it to end (SIGTERM), as Kubernetes does. [`Self::end`] waits for it.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Stops it (SIGSTOP): it doesn't run, and doesn't know.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Sends any signal.
    pub fn signal(&self, name: &str) -> Result<()> {
        if let Some(status) = self.ended()? {
            return fail(format!("SIG{name} for {}, which has ended ({status}): {}", self.name, self.last_lines()));
        }
        self.process().signal(name)
    }

    /// Resident memory in bytes.
    pub fn resident_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .context("no VmRSS: the daemon has ended")?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }

    /// Processor time used so far, in both modes.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields = stat.rsplit_once(')').context("an odd /proc/PID/stat")?.1;
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        // Linux counts them in hundredths of a second wherever people see them.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The last lines that it wrote.
    pub fn last_lines(&self) -> String {
        self.process().last_lines()
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The daemon's binary for the demo. It shares this package's build of the libraries, where [`binary`] has its own, as it
/// is deployed, which takes as long again. Blocks.
pub fn binary_like_us() -> Result<PathBuf> {
    build(&["--package", "integration"])
}

/// The daemon's binary: `EXTERNAL_IPS_BIN`, else what cargo builds for this profile. It is built once in each process
/// that asks, so that a test never runs an old one. Blocks.
pub fn binary() -> Result<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| build(&[]).map_err(|error| error.to_string()));
    match &*BUILT {
        Ok(path) => Ok(path.clone()),
        Err(message) => fail(message),
    }
}

fn build(more: &[&str]) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("EXTERNAL_IPS_BIN") {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { fail(format!("EXTERNAL_IPS_BIN: no file {}", path.display())) };
    }
    let built = crate::cargo::build_with("external-ips", &["--bin", "external-ips"], more)?;
    // A link of our own to what was built just now: a build that goes on beside the tests doesn't change it.
    let ours = RunDirectory::create(&Cache::open()?, "binary")?.file("external-ips");
    if std::fs::hard_link(&built, &ours).is_err() {
        std::fs::copy(&built, &ours).context(format!("copy {}", built.display()))?;
    }
    Ok(ours)
}
