//! Counters of receivers, processors and exporters, looked up once and then raised.

use std::time::Instant;

use metrics::{Counter, Gauge, counter, gauge};

use super::names;
use crate::{component::ComponentId, signal::Signal};

/// The counters of a receiver on one transport (`grpc`, `http`, …).
#[derive(Clone)]
pub struct ReceiverMetrics {
    id: String,
    transport: &'static str,
    accepted: [Counter; 4],
    refused: [Counter; 4],
    repaired: Counter,
    canonicalised: Counter,
}

/// The counters of a processor for one signal.
#[derive(Clone)]
pub struct ProcessorMetrics {
    id: String,
    signal: Signal,
    incoming: Counter,
    outgoing: Counter,
}

/// The counters of an exporter for one signal.
#[derive(Clone)]
pub struct ExporterMetrics {
    id: String,
    signal: Signal,
    sent: Counter,
    enqueue_failed: Counter,
    rejected: Counter,
    /// What the queue holds, in its sizer's unit.
    pub queue_size: Gauge,
    /// What the queue may hold, in its sizer's unit.
    pub queue_capacity: Gauge,
    /// Bytes that the queue holds.
    pub queue_bytes: Gauge,
    /// Age in seconds of the oldest batch in the queue.
    pub queue_age: Gauge,
    /// Requests on their way.
    pub in_flight: Gauge,
}

fn per_signal(prefix: &str, id: &str, transport: &'static str) -> [Counter; 4] {
    Signal::ALL.map(|signal| {
        counter!(format!("{prefix}{}", signal.items_name()), "receiver" => id.to_owned(), "transport" => transport)
    })
}

impl ReceiverMetrics {
    /// The counters of this receiver on this transport.
    #[must_use]
    pub fn new(id: &ComponentId, transport: &'static str) -> Self {
        let id = id.to_string();
        let labelled =
            |name: &'static str| counter!(name, "receiver" => id.clone(), "transport" => transport);
        Self {
            transport,
            accepted: per_signal(names::RECEIVER_ACCEPTED, &id, transport),
            refused: per_signal(names::RECEIVER_REFUSED, &id, transport),
            repaired: labelled(names::RECEIVER_REPAIRED),
            canonicalised: labelled(names::RECEIVER_CANONICALISED),
            id,
        }
    }

    /// Items that a pipeline took.
    pub fn accepted(&self, signal: Signal, items: usize) {
        self.accepted[signal as usize].increment(items as u64);
    }

    /// Items that no pipeline took.
    pub fn refused(&self, signal: Signal, items: usize) {
        self.refused[signal as usize].increment(items as u64);
    }

    /// A request refused before its items were known. `reason` is a fixed word: `malformed`, `too_large`, `budget`,
    /// `unsupported_encoding`, `slow`, `unauthenticated`, …
    pub fn refused_request(&self, reason: &'static str) {
        counter!(
            names::RECEIVER_REFUSED_REQUESTS,
            "receiver" => self.id.clone(), "transport" => self.transport, "reason" => reason
        )
        .increment(1);
    }

    /// Values repaired at the door.
    pub fn repaired(&self, values: usize) {
        self.repaired.increment(values as u64);
    }

    /// A request rewritten into the canonical form.
    pub fn canonicalised(&self) {
        self.canonicalised.increment(1);
    }

    /// A client that no longer waits for its answer; `reason` is a fixed word, see [`Waiting`].
    fn answered_late(&self, reason: &'static str) {
        counter!(
            names::RECEIVER_ANSWERED_LATE,
            "receiver" => self.id.clone(), "transport" => self.transport, "reason" => reason
        )
        .increment(1);
    }

    /// Counts the client as answered late if what this returns is dropped before the client is answered.
    #[must_use]
    pub fn waiting(&self, limits: AnswerLimits) -> Waiting<'_> {
        Waiting { metrics: self, limits, answered: false }
    }
}

/// Until when a client is answered. What it asked for goes on regardless.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerLimits {
    /// When the client stops waiting.
    pub deadline: Option<Instant>,
    /// When the server gives up the answer of its own accord (`write_timeout`).
    pub write_timeout: Option<Instant>,
}

/// A client that waits for its answer. Dropped with the request, if the client leaves or a limit passes before the
/// answer is there, and then counted with the reason.
pub struct Waiting<'a> {
    metrics: &'a ReceiverMetrics,
    limits: AnswerLimits,
    answered: bool,
}

impl Waiting<'_> {
    /// The answer is there.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let now = Instant::now();
        let passed = |limit: Option<Instant>| limit.is_some_and(|limit| limit <= now);
        self.metrics.answered_late(if passed(self.limits.deadline) {
            "deadline"
        } else if passed(self.limits.write_timeout) {
            "write_timeout"
        } else {
            "disconnected"
        });
    }
}

impl ProcessorMetrics {
    /// The counters of this processor.
    #[must_use]
    pub fn new(id: &ComponentId, signal: Signal) -> Self {
        let id = id.to_string();
        let labelled =
            |name: &'static str| counter!(name, "processor" => id.clone(), "otel_signal" => signal.name());
        Self {
            signal,
            incoming: labelled(names::PROCESSOR_INCOMING),
            outgoing: labelled(names::PROCESSOR_OUTGOING),
            id,
        }
    }

    /// Items that entered.
    pub fn incoming(&self, items: usize) {
        self.incoming.increment(items as u64);
    }

    /// Items that left.
    pub fn outgoing(&self, items: usize) {
        self.outgoing.increment(items as u64);
    }

    /// Items refused or dropped; `reason` is a fixed word.
    pub fn dropped(&self, items: usize, reason: &'static str) {
        counter!(
            names::PROCESSOR_DROPPED,
            "processor" => self.id.clone(), "otel_signal" => self.signal.name(), "reason" => reason
        )
        .increment(items as u64);
    }
}

impl ExporterMetrics {
    /// The counters of this exporter.
    #[must_use]
    pub fn new(id: &ComponentId, signal: Signal) -> Self {
        let id = id.to_string();
        let items =
            |prefix: &str| counter!(format!("{prefix}{}", signal.items_name()), "exporter" => id.clone());
        let level = |name: &'static str| gauge!(name, "exporter" => id.clone(), "data_type" => signal.name());
        Self {
            signal,
            sent: items(names::EXPORTER_SENT),
            enqueue_failed: items(names::EXPORTER_ENQUEUE_FAILED),
            rejected: counter!(names::EXPORTER_REJECTED, "exporter" => id.clone(), "data_type" => signal.name()),
            queue_size: level(names::EXPORTER_QUEUE_SIZE),
            queue_capacity: level(names::EXPORTER_QUEUE_CAPACITY),
            queue_bytes: level(names::EXPORTER_QUEUE_BYTES),
            queue_age: level(names::EXPORTER_QUEUE_AGE),
            in_flight: level(names::EXPORTER_IN_FLIGHT),
            id,
        }
    }

    /// Items that the destination took.
    pub fn sent(&self, items: usize) {
        self.sent.increment(items as u64);
    }

    /// Items given up; `reason` is a fixed word: `permanent`, `retries_exhausted`, `deadline`, `shutdown`, …
    pub fn send_failed(&self, items: usize, reason: &'static str) {
        counter!(
            format!("{}{}", names::EXPORTER_SEND_FAILED, self.signal.items_name()),
            "exporter" => self.id.clone(), "reason" => reason
        )
        .increment(items as u64);
    }

    /// Items that the queue had no room for.
    pub fn enqueue_failed(&self, items: usize) {
        self.enqueue_failed.increment(items as u64);
    }

    /// Items that the destination rejected while it took the rest.
    pub fn rejected(&self, items: u64) {
        self.rejected.increment(items);
    }

    /// An attempt that failed and will be repeated; `code` is the protocol's status.
    pub fn retried(&self, code: String) {
        counter!(names::EXPORTER_RETRIES, "exporter" => self.id.clone(), "code" => code).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_client_that_no_longer_waits_is_counted_by_reason() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let metrics = ReceiverMetrics::new(&ComponentId::of_type("otlp"), "http");
            let (past, future) = (Some(Instant::now()), Instant::now().checked_add(Duration::from_secs(60)));
            metrics.waiting(AnswerLimits::default()).answered();
            drop(metrics.waiting(AnswerLimits { deadline: future, write_timeout: future }));
            drop(metrics.waiting(AnswerLimits { deadline: past, write_timeout: None }));
            drop(metrics.waiting(AnswerLimits { deadline: None, write_timeout: past }));
        });
        let text = handle.render();
        for reason in ["disconnected", "deadline", "write_timeout"] {
            let line = format!(
                "{}{{receiver=\"otlp\",transport=\"http\",reason=\"{reason}\"}} 1",
                names::RECEIVER_ANSWERED_LATE
            );
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
