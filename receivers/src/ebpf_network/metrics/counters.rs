//! What the aggregator tells of itself. The hot path counts in plain numbers; they are handed on at each collection.

use metrics::{Counter, Gauge, counter, gauge};

/// Counts since the last collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Observations that went into an overflow series.
    pub(super) overflowed: u64,
    /// Observations of processes that are not registered (any more).
    pub(super) unknown_process: u64,
    /// Exchanges of which it is not known which end is the server.
    pub(super) unknown_role: u64,
    /// Attributes of processes that were too long.
    pub(super) cut: u64,
    /// Series that were dropped because nothing more came.
    pub(super) expired: u64,
}

/// The aggregator's own metrics, by `receiver`.
pub(super) struct Counters {
    overflowed: Counter,
    unknown_process: Counter,
    unknown_role: Counter,
    cut: Counter,
    expired: Counter,
    series: Gauge,
    bytes: Gauge,
}

impl Counters {
    pub(super) fn new(receiver: &str) -> Self {
        let id = || receiver.to_owned();
        let dropped = |reason: &'static str| counter!("sluice_receiver_dropped_observations", "receiver" => id(), "reason" => reason);
        Self {
            overflowed: counter!("sluice_receiver_overflowed_observations", "receiver" => id()),
            unknown_process: dropped("unknown_process"),
            unknown_role: dropped("unknown_role"),
            cut: counter!("sluice_receiver_truncated_attributes", "receiver" => id(), "reason" => "too_long"),
            expired: counter!("sluice_receiver_expired_series", "receiver" => id()),
            series: gauge!("sluice_receiver_metric_series", "receiver" => id()),
            bytes: gauge!("sluice_receiver_metric_series_bytes", "receiver" => id()),
        }
    }

    pub(super) fn publish(&self, counts: Counts, series: usize, bytes: usize) {
        self.overflowed.increment(counts.overflowed);
        self.unknown_process.increment(counts.unknown_process);
        self.unknown_role.increment(counts.unknown_role);
        self.cut.increment(counts.cut);
        self.expired.increment(counts.expired);
        self.series.set(series as f64);
        self.bytes.set(bytes as f64);
    }
}
