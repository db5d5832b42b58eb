//! What the exporter counts of itself.

use metrics::{Counter, Gauge, counter, gauge};
use sluice_pipeline::component::ComponentId;

use super::store::Refusal;

/// Data points that were refused, by `exporter` and `reason` (see [`Refusal`]).
const REFUSED: &str = "sluice_prometheus_refused_points";
/// Resources for which there was no room in `target_info`, by `exporter` and `reason`.
const REFUSED_TARGETS: &str = "sluice_prometheus_refused_targets";
/// Series held, by `exporter`.
const SERIES: &str = "sluice_prometheus_series";
/// Bytes that the series take, by `exporter`.
const BYTES: &str = "sluice_prometheus_series_bytes";
/// Series that were not updated for `metric_expiration`, by `exporter`.
const EXPIRED: &str = "sluice_prometheus_expired_series";
/// Answered scrapes, by `exporter` and `format`: `text`, `openmetrics`, `protobuf`.
const SCRAPES: &str = "sluice_prometheus_scrapes";
/// Scrapes for which there was no room, by `exporter`.
const REFUSED_SCRAPES: &str = "sluice_prometheus_refused_scrapes";

/// The counters of one exporter.
pub(super) struct Counters {
    id: String,
    series: Gauge,
    bytes: Gauge,
    expired: Counter,
}

impl Counters {
    pub(super) fn new(id: &ComponentId) -> Self {
        let id = id.to_string();
        Self {
            series: gauge!(SERIES, "exporter" => id.clone()),
            bytes: gauge!(BYTES, "exporter" => id.clone()),
            expired: counter!(EXPIRED, "exporter" => id.clone()),
            id,
        }
    }

    pub(super) fn refused(&self, reason: Refusal, points: u64) {
        counter!(REFUSED, "exporter" => self.id.clone(), "reason" => reason.name()).increment(points);
    }

    pub(super) fn refused_target(&self, reason: Refusal) {
        counter!(REFUSED_TARGETS, "exporter" => self.id.clone(), "reason" => reason.name()).increment(1);
    }

    pub(super) fn scraped(&self, format: &'static str) {
        counter!(SCRAPES, "exporter" => self.id.clone(), "format" => format).increment(1);
    }

    pub(super) fn refused_scrape(&self) {
        counter!(REFUSED_SCRAPES, "exporter" => self.id.clone()).increment(1);
    }

    pub(super) fn expired(&self, series: usize) {
        self.expired.increment(series as u64);
    }

    pub(super) fn held(&self, series: usize, bytes: u64) {
        self.series.set(series as f64);
        self.bytes.set(bytes as f64);
    }
}
