//! What the `batch` processor counts, under the Collector's names.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sluice_pipeline::{
    batching::{Merged, Trigger},
    component::ComponentId,
    telemetry::names,
};

pub(super) struct BatchMetrics {
    send_size: Histogram,
    send_size_bytes: Histogram,
    size_trigger: Counter,
    timeout_trigger: Counter,
    idle_trigger: Counter,
    cardinality: Gauge,
}

impl BatchMetrics {
    pub(super) fn new(id: &ComponentId) -> Self {
        let processor = id.to_string();
        let counter = |name: &'static str| counter!(name, "processor" => processor.clone());
        Self {
            send_size: histogram!(names::BATCH_SEND_SIZE, "processor" => processor.clone()),
            send_size_bytes: histogram!(names::BATCH_SEND_SIZE_BYTES, "processor" => processor.clone()),
            size_trigger: counter(names::BATCH_SIZE_TRIGGER),
            timeout_trigger: counter(names::BATCH_TIMEOUT_TRIGGER),
            idle_trigger: counter(names::BATCH_IDLE_TRIGGER),
            cardinality: gauge!(names::BATCH_CARDINALITY, "processor" => processor.clone()),
        }
    }

    /// A batch leaves.
    #[expect(clippy::cast_precision_loss, reason = "a histogram counts in floats")]
    pub(super) fn sent(&self, merged: &Merged) {
        self.send_size.record(merged.batch.items() as f64);
        self.send_size_bytes.record(merged.batch.size() as f64);
        match merged.trigger {
            Trigger::Size => self.size_trigger.increment(1),
            Trigger::Timeout => self.timeout_trigger.increment(1),
            Trigger::Idle => self.idle_trigger.increment(1),
        }
    }

    /// So many combinations of metadata values are known.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(super) fn partitions(&self, count: usize) {
        self.cardinality.set(count as f64);
    }
}
