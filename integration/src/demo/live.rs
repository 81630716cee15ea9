//! What the replicas do, as it happens: one line a step, with its time since the chapter began.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::screen::say;
use crate::daemon::{Daemon, LogLine};
use crate::error::{Result, fail};

/// How often the logs are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Reads what a replica writes, bit by bit.
pub(super) struct Reader {
    replica: Arc<Daemon>,
    read: u64,
}

impl Reader {
    pub(super) fn new(replica: Arc<Daemon>) -> Self {
        Self { replica, read: 0 }
    }

    /// The whole lines that it has written since it was last asked.
    pub(super) fn lines(&mut self) -> Result<Vec<String>> {
        let bytes = self.replica.output_from(self.read)?;
        self.read += bytes.len() as u64;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }
}

/// Is shown each line that a replica writes.
type Listener = Box<dyn Fn(&str)>;

/// The replicas that are followed.
pub(super) struct Live {
    replicas: Vec<Reader>,
    listener: Listener,
    chapter: u32,
    began: SystemTime,
}

impl Live {
    /// `listener` is shown each line that a replica writes, as it is.
    pub(super) fn new(listener: impl Fn(&str) + 'static) -> Self {
        Self { replicas: Vec::new(), listener: Box::new(listener), chapter: 0, began: SystemTime::now() }
    }

    /// Shows what this replica does, too.
    pub(super) fn follow(&mut self, replica: Arc<Daemon>) {
        self.replicas.push(Reader::new(replica));
    }

    /// A new part of the story.
    pub(super) fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        self.began = SystemTime::now();
        say(&format!("\n{}. {title}", self.chapter));
    }

    /// A line of the narrator's.
    pub(super) fn say(&self, line: &str) {
        let since = self.began.elapsed().unwrap_or_default();
        say(&format!("  {:>7.3} s     {line}", since.as_secs_f64()));
    }

    /// Shows what the replicas do until `event` has come.
    pub(super) async fn during<T>(&mut self, event: impl Future<Output = Result<T>>) -> Result<T> {
        let mut event = std::pin::pin!(event);
        loop {
            tokio::select! {
                result = &mut event => {
                    self.show()?;
                    return result;
                }
                () = tokio::time::sleep(TICK) => self.show()?,
            }
        }
    }

    fn show(&mut self) -> Result<()> {
        let mut lines = Vec::new();
        for reader in &mut self.replicas {
            for text in reader.lines()? {
                (self.listener)(&text);
                let line = serde_json::from_str::<Value>(&text).ok().map(LogLine);
                if let Some((line, text)) = line.and_then(|line| story_line(&line).map(|text| (line, text))) {
                    let at: Option<Timestamp> = line.text("ts").parse().ok();
                    lines.push((at.map(SystemTime::from), reader.replica.name().to_owned(), text));
                }
            }
        }
        lines.sort();
        for (at, name, text) in lines {
            let since = at.and_then(|at| at.duration_since(self.began).ok()).unwrap_or_default();
            say(&format!("  {:>7.3} s  {name}  {text}", since.as_secs_f64()));
        }
        self.no_one_left()
    }

    /// Fails when a replica has ended by itself: whoever is killed has no exit code.
    fn no_one_left(&self) -> Result<()> {
        for Reader { replica, .. } in &self.replicas {
            if let Some(status) = replica.ended()?.filter(|status| status.code().is_some()) {
                let (name, lines) = (replica.name(), replica.last_lines());
                return fail(format!("the replica {name} ended by itself ({status}). It wrote last:\n{lines}"));
            }
        }
        Ok(())
    }
}

/// A line of the log as a line of the story; `None` for what only an operator wants to know.
fn story_line(line: &LogLine) -> Option<String> {
    let message = line.message();
    let (reason, service) = (line.text("reason"), line.text("service"));
    if line.0.get("ready").is_some() {
        return Some(format!("{service} is {reason}: {message}"));
    }
    if !reason.is_empty() {
        return Some(format!("{message}   ({reason})"));
    }
    match (line.text("part"), line.level()) {
        ("lease", "info") => Some(format!("the Lease: {message}")),
        (_, "warn" | "error" | "crit") => Some(format!("{}: {message}", line.level())),
        _ => None,
    }
}
