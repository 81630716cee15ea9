#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::Log;
use serde_json::Value;
use slog::{debug, error, info, warn};
use tracing::Subscriber;

use super::facades::{LogFacade, TracingFacade};
use super::*;
use crate::clock::Clock;

/// Half past noon on a Friday.
struct Friday;

impl Clock for Friday {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_296_200_007)
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Written {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(buf.to_vec());
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().concat()).unwrap()
    }
}

/// What `work` logs.
fn logged(format: Format, level: Level, work: impl FnOnce(Logger)) -> Written {
    let written = Written::default();
    let (logger, guard) = logger(format, level, Arc::new(Friday), written.clone());
    work(logger);
    drop(guard);
    written
}

fn objects(written: &Written) -> Vec<Value> {
    written.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json(level: Level, work: impl FnOnce(Logger)) -> Vec<Value> {
    objects(&logged(Format::Json, level, work))
}

#[test]
fn text_lines_begin_with_the_time_in_utc_and_keep_the_order_of_keys() {
    let written = logged(Format::Text, Level::Info, |log| info!(log, "opened"; "port" => 53, "node" => "a"));
    assert_eq!(written.text(), "2024-03-01T12:30:00.007Z INFO opened, port: 53, node: a\n");
}

#[test]
fn json_lines_are_objects_with_time_level_message_and_keys() {
    let lines = json(Level::Info, |log| {
        let log = log.new(o!("part" => "loop"));
        warn!(log, "a \"{}\"", "b"; "port" => 53, "ok" => true);
    });
    let expected = serde_json::json!({
        "ts": "2024-03-01T12:30:00.007Z", "level": "warn", "msg": "a \"b\"", "port": 53, "ok": true, "part": "loop",
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn what_is_less_important_than_the_level_is_not_written() {
    let lines = json(Level::Warning, |log| {
        debug!(log, "no");
        info!(log, "no");
        warn!(log, "yes");
        error!(log, "yes too");
    });
    assert_eq!(lines.iter().map(|line| line["msg"].clone()).collect::<Vec<_>>(), ["yes", "yes too"]);
}

#[test]
fn a_record_is_one_line_and_one_write_whatever_is_in_it() {
    for format in [Format::Text, Format::Json] {
        let written = logged(format, Level::Info, |log| {
            info!(log, "forged\n2024 INFO line"; "key" => "\u{1b}[31mred\r\u{9b}", "name" => "wörter");
        });
        let writes = written.0.lock().unwrap().len();
        let text = written.text();
        assert_eq!((writes, text.lines().count()), (1, 1), "{text}");
        let body = text.strip_suffix('\n').unwrap();
        assert!(!body.contains(char::is_control) && body.contains("wörter"), "{text}");
    }
}

#[test]
fn no_line_is_lost_when_the_queue_overflows() {
    let lines = json(Level::Info, |log| (0..3 * QUEUE).for_each(|n| info!(log, "{n}")));
    assert_eq!(lines.len(), 3 * QUEUE);
}

#[test]
fn an_output_that_fails_does_not_end_the_process() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in [Format::Text, Format::Json] {
        let (logger, guard) = logger(format, Level::Info, Arc::new(Friday), Broken);
        info!(logger, "into the void");
        drop(guard);
        info!(logger, "after the end");
    }
}

fn through_log(logger: Logger, level: log::Level, target: &str, message: &str) {
    let facade = LogFacade(logger);
    let metadata = log::Metadata::builder().level(level).target(target).build();
    if facade.enabled(&metadata) {
        facade.log(&log::Record::builder().metadata(metadata).args(format_args!("{message}")).build());
    }
}

#[test]
fn a_line_of_the_log_facade_keeps_its_level_and_module() {
    for (level, name) in [
        (log::Level::Error, "error"),
        (log::Level::Warn, "warn"),
        (log::Level::Info, "info"),
        (log::Level::Debug, "debug"),
    ] {
        let lines = json(Level::Debug, |log| through_log(log, level, "rustls::conn", "hello"));
        let expected = serde_json::json!({"ts": "2024-03-01T12:30:00.007Z", "level": name, "msg": "hello", "module": "rustls::conn"});
        assert_eq!(lines, [expected]);
    }
}

#[test]
fn that_somebody_else_leads_is_no_news() {
    let target = "kube_leader_election::lease";
    let held = "lease is held by other and has not yet expired";
    assert!(json(Level::Info, |log| through_log(log, log::Level::Info, target, held)).is_empty());
    let lines = json(Level::Debug, |log| through_log(log, log::Level::Info, target, held));
    assert_eq!(lines.iter().map(|line| line["level"].clone()).collect::<Vec<_>>(), ["debug"]);
    let acquired = "successfully acquired lease x";
    assert_eq!(json(Level::Info, |log| through_log(log, log::Level::Info, target, acquired)).len(), 1);
    assert_eq!(json(Level::Info, |log| through_log(log, log::Level::Info, "other", held)).len(), 1);
}

fn through_tracing(logger: Logger, work: impl FnOnce()) {
    tracing::subscriber::with_default(TracingFacade::new(logger), work);
}

#[test]
fn an_event_of_tracing_keeps_its_level_module_message_and_fields() {
    let lines = json(Level::Debug, |log| {
        through_tracing(log, || {
            let cause = io::Error::other("refused");
            let cause: &(dyn std::error::Error + 'static) = &cause;
            let list = [1, 2];
            tracing::error!(target: "kube::client", cause, count = 3, name = "x", ?list, "failed {}", "twice");
            tracing::debug!(target: "kube::watch", "no fields");
        });
    });
    let expected = [
        serde_json::json!({
            "ts": "2024-03-01T12:30:00.007Z", "level": "error", "msg": "failed twice", "module": "kube::client",
            "cause": "refused", "count": "3", "name": "x", "list": "[1, 2]",
        }),
        serde_json::json!({
            "ts": "2024-03-01T12:30:00.007Z", "level": "debug", "msg": "no fields", "module": "kube::watch",
        }),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn tracing_below_the_level_is_not_even_evaluated() {
    let mut evaluated = 0;
    let lines = json(Level::Info, |log| {
        through_tracing(log, || {
            let mut count = || {
                evaluated += 1;
                evaluated
            };
            tracing::debug!(n = count(), "no");
            tracing::info!(n = count(), "yes");
        });
    });
    assert_eq!((evaluated, lines.len()), (1, 1));
}

#[test]
fn tracing_is_told_the_level_and_spans_are_never_made() {
    let hint = |level| {
        let mut hint = None;
        logged(Format::Json, level, |log| hint = TracingFacade::new(log).max_level_hint());
        hint.unwrap()
    };
    assert_eq!(hint(Level::Error), tracing::level_filters::LevelFilter::ERROR);
    assert_eq!(hint(Level::Info), tracing::level_filters::LevelFilter::INFO);
    assert_eq!(hint(Level::Debug), tracing::level_filters::LevelFilter::DEBUG);
    let lines = json(Level::Debug, |log| {
        through_tracing(log, || {
            let span = tracing::info_span!("request", secret = "x");
            assert!(span.is_disabled());
            span.in_scope(|| tracing::info!("inside"));
        });
    });
    assert_eq!(lines.iter().map(|line| line["msg"].clone()).collect::<Vec<_>>(), ["inside"]);
}

/// The only test that touches what is global to the process.
#[test]
fn both_facades_end_in_the_installed_logger_and_are_installed_once() {
    let written = logged(Format::Json, Level::Info, |log| {
        install_facades(&log).unwrap();
        log::info!(target: "one", "through log");
        log::debug!(target: "one", "too detailed");
        tracing::info!(target: "two", "through tracing");
        assert!(install_facades(&log).is_err());
    });
    let modules: Vec<Value> = objects(&written)
        .into_iter()
        .filter(|line| line["msg"].as_str().unwrap().starts_with("through") || line["msg"] == "too detailed")
        .map(|line| line["module"].clone())
        .collect();
    assert_eq!(modules, ["one", "two"]);
}
