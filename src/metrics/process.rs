//! The process's own accounts, as all Prometheus clients name them.

use std::fmt;

use prometheus_client::collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::help;

#[cfg(test)]
mod tests;

/// What the kernel knows of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessStats {
    /// Processor time used, in user and system mode, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// When it started, in Unix seconds.
    pub start_seconds: f64,
}

/// Ticks per second in `/proc`: `USER_HZ`, 100 on every architecture that Linux runs on today.
const TICKS: f64 = 100.0;

/// Reads `/proc/self/stat`, `/proc/self/status` and `/proc/stat`; `None` when they aren't as proc(5) says.
pub fn parse_process(stat: &str, status: &str, boot: &str, open_fds: u64) -> Option<ProcessStats> {
    // The second field is the command in parentheses, and may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let field = |n: usize| rest.split_whitespace().nth(n.checked_sub(3)?)?.parse::<u64>().ok();
    let (user, system, start) = (field(14)?, field(15)?, field(22)?);
    let resident_kb: u64 = value(status, "VmRSS:")?.parse().ok()?;
    let boot: u64 = value(boot, "btime")?.parse().ok()?;
    Some(ProcessStats {
        cpu_seconds: user.saturating_add(system) as f64 / TICKS,
        resident_bytes: resident_kb.saturating_mul(1024),
        open_fds,
        start_seconds: boot as f64 + start as f64 / TICKS,
    })
}

/// The first word after `key` on the line that begins with it.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()
}

type Read = dyn Fn() -> Option<ProcessStats> + Send + Sync;

pub(super) struct Collector(Box<Read>);

impl Collector {
    pub(super) fn new(read: impl Fn() -> Option<ProcessStats> + Send + Sync + 'static) -> Collector {
        Collector(Box::new(read))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(stats) = (self.0)() else { return Ok(()) };
        let mut add = |name: &str, stem: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(stem, &format!("{}.", help(name)), unit, metric.metric_type())?)
        };
        let (bytes, seconds) = (Some(&Unit::Bytes), Some(&Unit::Seconds));
        add("process_cpu_seconds_total", "process_cpu", seconds, &ConstCounter::new(stats.cpu_seconds))?;
        add("process_resident_memory_bytes", "process_resident_memory", bytes, &ConstGauge::new(stats.resident_bytes))?;
        add("process_open_fds", "process_open_fds", None, &ConstGauge::new(stats.open_fds))?;
        add("process_start_time_seconds", "process_start_time", seconds, &ConstGauge::new(stats.start_seconds))
    }
}
