//! What libraries log, carried into slog: kube speaks `tracing`, kube-leader-election and rustls speak `log`.
//!
//! Each line carries the library's module as the key `module`. Spans are ignored: nothing here reads them.

use std::fmt;

use slog::{Drain, KV, Level, Logger, Record, Serializer, b};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// From now on, for the whole process, what libraries log goes to `logger`.
///
/// # Errors
/// When another logger was installed before.
pub fn install_facades(logger: &Logger) -> Result<(), String> {
    log::set_boxed_logger(Box::new(LogFacade(logger.clone())))
        .map_err(|_| "the `log` facade has another logger already".to_owned())?;
    log::set_max_level(max_log_level(logger));
    tracing::subscriber::set_global_default(TracingFacade::new(logger.clone()))
        .map_err(|_| "the `tracing` facade has another subscriber already".to_owned())
}

/// The `log` crate's end of it.
pub(super) struct LogFacade(pub(super) Logger);

impl log::Log for LogFacade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.0.is_enabled(from_log(metadata.level()))
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = if is_noise(record) { Level::Debug } else { from_log(record.level()) };
        if self.0.is_enabled(level) {
            let place = slog::record_static!(level, "");
            self.0.log(&Record::new(&place, record.args(), b!("module" => record.target())));
        }
    }

    fn flush(&self) {}
}

/// A candidate is told every few seconds that somebody else leads: no news.
fn is_noise(record: &log::Record<'_>) -> bool {
    record.target().split("::").next() == Some("kube_leader_election")
        && record.level() == log::Level::Info
        && record.args().to_string().starts_with("lease is held by")
}

fn from_log(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warning,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

/// The most detailed level that `logger` writes.
fn max_log_level(logger: &Logger) -> log::LevelFilter {
    log::Level::iter()
        .filter(|level| logger.is_enabled(from_log(*level)))
        .last()
        .map_or(log::LevelFilter::Off, |level| level.to_level_filter())
}

/// The `tracing` crate's end of it.
pub(super) struct TracingFacade {
    logger: Logger,
    max: LevelFilter,
}

impl TracingFacade {
    pub(super) fn new(logger: Logger) -> TracingFacade {
        let max = match max_log_level(&logger) {
            log::LevelFilter::Off => LevelFilter::OFF,
            log::LevelFilter::Error => LevelFilter::ERROR,
            log::LevelFilter::Warn => LevelFilter::WARN,
            log::LevelFilter::Info => LevelFilter::INFO,
            log::LevelFilter::Debug => LevelFilter::DEBUG,
            log::LevelFilter::Trace => LevelFilter::TRACE,
        };
        TracingFacade { logger, max }
    }
}

impl Subscriber for TracingFacade {
    /// Asked once for each place in the code: one that isn't wanted costs nothing from then on.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.max
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let place = slog::record_static!(level, "");
        let Fields { message, others } = &fields;
        let pairs = b!("module" => metadata.target(), Pairs(others));
        self.logger.log(&Record::new(&place, &format_args!("{message}"), pairs));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event's fields, as text: the message apart from the others.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }
}

struct Pairs<'a>(&'a [(&'static str, String)]);

impl KV for Pairs<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        self.0.iter().try_for_each(|(name, value)| serializer.emit_str(name, value))
    }
}
