//! What the replicas do, as it happens: one line a step, with its time since the chapter began.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;

use super::say;
use crate::daemon::{Daemon, LogLine};
use crate::error::Result;

/// How often the logs are looked at.
const TICK: Duration = Duration::from_millis(50);

/// The replicas that are followed.
pub(super) struct Live {
    replicas: Vec<(Arc<Daemon>, usize)>,
    chapter: u32,
    began: SystemTime,
}

impl Default for Live {
    fn default() -> Self {
        Self { replicas: Vec::new(), chapter: 0, began: SystemTime::now() }
    }
}

impl Live {
    /// Shows what this replica does, too.
    pub(super) fn follow(&mut self, replica: Arc<Daemon>) {
        self.replicas.push((replica, 0));
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
        for (replica, shown) in &mut self.replicas {
            let logs = replica.logs()?;
            for line in logs.iter().skip(*shown) {
                if let Some(text) = story_line(line) {
                    let at: Option<Timestamp> = line.text("ts").parse().ok();
                    lines.push((at.map(SystemTime::from), replica.name().to_owned(), text));
                }
            }
            *shown = logs.len();
        }
        lines.sort();
        for (at, name, text) in lines {
            let since = at.and_then(|at| at.duration_since(self.began).ok()).unwrap_or_default();
            say(&format!("  {:>7.3} s  {name}  {text}", since.as_secs_f64()));
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
