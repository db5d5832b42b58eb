//! What a queue on disk tells of itself: metrics, and a log line where data cannot be delivered.

use metrics::{Counter, Histogram, counter, histogram};
use sluice_pipeline::{component::QueueOwner, telemetry::names};
use tracing::{error, info, warn};

use super::{
    directory::Abandoned,
    log::{Loss, LossReason},
};

/// The counters of one queue.
#[derive(Clone)]
pub(super) struct Telemetry {
    exporter: String,
    signal: &'static str,
}

/// Tells of a queue with data that no exporter of the configuration has.
pub(super) fn abandoned(queue: &Abandoned) {
    let (owner, bytes, path) = (&queue.owner, queue.bytes, queue.path.display());
    warn!(
        owner,
        bytes,
        %path,
        "A sending queue on disk belongs to no exporter that uses this storage; what it holds is neither delivered nor \
         removed. Put the exporter back under its old name to have it delivered, or remove the directory."
    );
}

impl Telemetry {
    pub(super) fn new(owner: &QueueOwner) -> Self {
        Self { exporter: owner.id.to_string(), signal: owner.signal.name() }
    }

    /// How long syncs take, in seconds.
    pub(super) fn sync_seconds(&self) -> Histogram {
        histogram!(
            names::STORAGE_SYNC_SECONDS, "exporter" => self.exporter.clone(), "data_type" => self.signal
        )
    }

    /// How many requests share a sync.
    pub(super) fn group_size(&self) -> Histogram {
        histogram!(
            names::STORAGE_GROUP_SIZE, "exporter" => self.exporter.clone(), "data_type" => self.signal
        )
    }

    /// Something that the disk did not do; `operation` is a fixed word.
    pub(super) fn failed(&self, operation: &'static str) {
        self.counter(names::STORAGE_FAILURES, "operation", operation).increment(1);
    }

    pub(super) fn lost(&self, loss: Loss) {
        let reason = loss.reason.name();
        // Where a header is lost, so is the number of records.
        self.counter(names::STORAGE_LOST_RECORDS, "reason", reason).increment(loss.records.max(1));
        self.counter(names::STORAGE_LOST_ITEMS, "reason", reason).increment(loss.items);
        let (exporter, data_type, records, items) = (&self.exporter, self.signal, loss.records, loss.items);
        match loss.reason {
            LossReason::TornTail => info!(
                exporter,
                data_type,
                "The sending queue ended in a write that was cut short. Nobody had been told that it was safe; it \
                 was removed."
            ),
            LossReason::Expired | LossReason::Evicted => warn!(
                exporter,
                data_type,
                reason,
                records,
                dropped_items = items,
                "Dropping data from the sending queue that its retention does not allow to keep."
            ),
            _ => error!(
                exporter,
                data_type,
                reason,
                records,
                dropped_items = items,
                "The sending queue holds data that cannot be read back. Skipping it; check the disk."
            ),
        }
    }

    fn counter(&self, name: &'static str, label: &'static str, value: &'static str) -> Counter {
        counter!(name, "exporter" => self.exporter.clone(), "data_type" => self.signal, label => value)
    }
}
