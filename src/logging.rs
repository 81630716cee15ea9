//! Where log lines go and what they look like.
//!
//! Owns the formats, the level and the two adapters that carry what libraries log into the same place. Lines are
//! written by one thread of slog-async; when it can't keep up, whoever logs waits: a lost line would be the one
//! that is needed.

mod facades;
mod line;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

use slog::{Drain, FnValue, Level, LevelFilter, Logger, PushFnValue, Record, o};
use slog_async::{Async, OverflowStrategy};

use crate::clock::SharedClock;
use line::Lines;

pub use facades::install_facades;

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people: time, level, message, keys and values.
    #[default]
    Text,
    /// For machines: one JSON object per line with `ts`, `level`, `msg` and the keys.
    Json,
}

/// Dropped at the end of the process, it waits until everything that was logged is written.
pub type Guard = slog_async::AsyncGuard;

/// How many lines may wait to be written.
const QUEUE: usize = 1024;

/// A logger that writes lines of at least `level` to `out`. Their time is the wall clock's when they are written.
/// What can't be written is dropped: there is nobody left to tell.
pub fn logger(format: Format, level: Level, clock: SharedClock, out: impl Write + Send + 'static) -> (Logger, Guard) {
    let out = Lines::new(out);
    // Reading a clock leaves nothing half done that a panic could reveal.
    let clock = AssertUnwindSafe(clock);
    let (drain, guard) = match format {
        Format::Text => {
            let drain = slog_term::FullFormat::new(slog_term::PlainDecorator::new(out))
                .use_custom_timestamp(move |out: &mut dyn Write| write!(out, "{}", timestamp(clock.wall())))
                .use_original_order()
                .build();
            queue(drain.ignore_res())
        }
        Format::Json => {
            let drain = slog_json::Json::new(out)
                .set_flush(true)
                .add_key_value(o!(
                    "msg" => PushFnValue(|record: &Record<'_>, serializer| serializer.emit(record.msg())),
                    "level" => FnValue(|record: &Record<'_>| name(record.level())),
                    "ts" => FnValue(move |_: &Record<'_>| timestamp(clock.wall())),
                ))
                .build();
            queue(drain.ignore_res())
        }
    };
    (Logger::root(LevelFilter::new(drain, level).ignore_res(), o!()), guard)
}

fn queue(drain: impl Drain<Ok = (), Err = slog::Never> + Send + 'static) -> (Async, Guard) {
    Async::new(drain)
        .chan_size(QUEUE)
        .overflow_strategy(OverflowStrategy::Block)
        .thread_name("log".into())
        .build_with_guard()
}

/// A level as it is spelled on the command line and in JSON.
fn name(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(wall: SystemTime) -> String {
    jiff::Timestamp::try_from(wall).map_or_else(|_| "-".into(), |ts| format!("{ts:.3}"))
}
