//! The text forms, and which of them a scraper gets.

use prometheus_client::encoding::{prometheus_text, text};

use super::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// The answer to a scrape with that `Accept` header: content type and text. OpenMetrics 1.0 for whoever asks
    /// for it, the Prometheus text format 0.0.4 for everybody else.
    pub fn render(&self, accept: Option<&str>) -> (&'static str, String) {
        let mut body = String::new();
        // Writing to a String can't fail.
        if wants_open_metrics(accept.unwrap_or_default()) {
            let _ = text::encode(&mut body, &self.registry);
            (OPEN_METRICS, body)
        } else {
            let _ = prometheus_text::encode(&mut body, &self.registry);
            (prometheus_text::CONTENT_TYPE, body)
        }
    }
}

/// Whether a version of OpenMetrics that is spoken here is named, and liked no less than plain text. A wildcard
/// names nothing.
fn wants_open_metrics(accept: &str) -> bool {
    let mut open_metrics: f32 = 0.0;
    let mut plain: f32 = 0.0;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (mut quality, mut version) = (1.0, "1.0.0");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = value.trim().trim_matches('"'),
                _ => {}
            }
        }
        if media.eq_ignore_ascii_case("application/openmetrics-text") && version == "1.0.0" {
            open_metrics = open_metrics.max(quality);
        } else if media.eq_ignore_ascii_case("text/plain") {
            plain = plain.max(quality);
        }
    }
    open_metrics > 0.0 && open_metrics >= plain
}
