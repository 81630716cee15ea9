//! moto: AWS's API on the loopback address, and boto3 beside it for what tests set up and look at themselves.
//!
//! moto proves that the wire format is right. It proves nothing about quotas, order or atomicity: it is laxer than
//! AWS there.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cache::Cache;
use crate::children::{Process, tied_to_us};
use crate::error::{Context, Error, Result, fail};
use crate::python::{Script, environment};
use crate::run_directory::RunDirectory;

/// A running moto. It holds any number of accounts that see nothing of each other.
#[derive(Debug)]
pub struct Moto {
    url: String,
    boto3: Arc<Mutex<Script>>,
    _server: Process,
    directory: RunDirectory,
}

/// One call by boto3.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The account of twelve digits.
    pub account: &'a str,
    /// The region; Route 53 has the account's zones in every one.
    pub region: &'a str,
    /// The service as boto3 names it: `ec2`, `route53`.
    pub service: &'a str,
    /// The method as boto3 names it: `describe_instances`.
    pub method: &'a str,
    /// Its arguments.
    pub arguments: Value,
    /// The list of the answer to return, from all pages.
    pub list: Option<&'a str>,
}

impl Moto {
    /// Makes the Python environment if it isn't there yet, and starts a moto on a free port.
    pub async fn start() -> Result<Self> {
        let python = tokio::task::spawn_blocking(|| environment(&Cache::open()?)).await??;
        let directory = RunDirectory::create(&Cache::open()?, "moto")?;
        // Port 0: the system chooses, and the log says which one it is.
        let mut command = tied_to_us(&python);
        command.args(["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", "0"]);
        let log = directory.file("moto.log");
        let mut server = Process::logging_to("moto", command, log.clone())?;
        directory.lists(server.pid())?;
        let url = listening_at(&mut server, &log).await?;

        let boto3 = Script::start(&python, "aws", &[url.as_str()], &directory)?;
        Ok(Self { url, boto3: Arc::new(Mutex::new(boto3)), _server: server, directory })
    }

    /// Where it listens. A call's account is in its header `x-moto-account-id`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The directory with its log, `moto.log`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The number of an account that no one else in this process uses.
    pub fn new_account(&self) -> String {
        format!("{:012}", 100_000_000_000_u64 + u64::from(crate::unique()))
    }

    /// Makes one call by boto3. The error holds AWS's code and message.
    pub async fn call(&self, call: Call<'_>) -> Result<Value> {
        let request = json!({
            "account": call.account, "region": call.region, "service": call.service, "method": call.method,
            "arguments": call.arguments, "list": call.list,
        });
        let boto3 = Arc::clone(&self.boto3);
        let answer = tokio::task::spawn_blocking(move || {
            boto3.lock().map_err(|_| Error::new("a lock is poisoned"))?.ask(&request)
        })
        .await?
        .context(format!("boto3 {}.{}", call.service, call.method))?;
        if let Some(error) = answer.get("error") {
            let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
            return fail(format!("{}.{}: {}: {}", call.service, call.method, text("code"), text("message")));
        }
        answer.get("ok").cloned().context("an answer of python/aws.py without a result")
    }
}

/// Waits until moto's log says where it listens.
async fn listening_at(server: &mut Process, log: &Path) -> Result<String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        server.still_running()?;
        let text = std::fs::read_to_string(log).unwrap_or_default();
        // A line that isn't whole yet has no end.
        let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        if let Some(url) = lines.find_map(|line| line.split_once("Running on ")) {
            return Ok(url.1.trim().to_owned());
        }
        if Instant::now() >= end {
            return fail(format!("moto doesn't listen: {}", server.last_lines()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
