//! What the processor counts.

use metrics::{Counter, counter};
use sluice_pipeline::{Signal, component::ComponentId, telemetry::names};

use super::pod::Entry;

/// Resources by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    associated: u64,
    excluded: u64,
    unknown: u64,
    unidentified: u64,
}

/// The counters of a processor.
pub(super) struct Metrics {
    associated: Counter,
    excluded: Counter,
    unknown: Counter,
    unidentified: Counter,
    misses: Counter,
}

impl Tally {
    /// Counts a resource: whether it says something of its pod, and the pod.
    pub(super) fn count(&mut self, is_identified: bool, found: Option<&Entry>) {
        *match (is_identified, found) {
            (_, Some(entry)) if entry.is_ignored => &mut self.excluded,
            (_, Some(_)) => &mut self.associated,
            (true, None) => &mut self.unknown,
            (false, None) => &mut self.unidentified,
        } += 1;
    }
}

impl Metrics {
    pub(super) fn new(id: &ComponentId, signal: Signal) -> Self {
        let counter = |result: &'static str| {
            counter!(
                names::K8S_RESOURCES,
                "processor" => id.to_string(), "otel_signal" => signal.name(), "result" => result
            )
        };
        Self {
            associated: counter("associated"),
            excluded: counter("excluded"),
            unknown: counter("unknown"),
            unidentified: counter("unidentified"),
            misses: counter!(names::K8S_LOOKUP_MISS),
        }
    }

    pub(super) fn add(&self, tally: Tally) {
        for (counter, count) in [
            (&self.associated, tally.associated),
            (&self.excluded, tally.excluded),
            (&self.unknown, tally.unknown),
            (&self.unidentified, tally.unidentified),
            (&self.misses, tally.unknown),
        ] {
            if count > 0 {
                counter.increment(count);
            }
        }
    }
}
