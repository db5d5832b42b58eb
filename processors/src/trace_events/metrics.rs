//! What the connector counts.

use metrics::{Counter, Gauge, counter, gauge};
use sluice_pipeline::{Signal, component::ComponentId};

use super::exchange::Role;

/// Exchanges put onto spans, by `connector`, `side` (client, server) and `how`: `at_once`, `held` (the span waited),
/// `late` (as a partial span), `unseen` (as a partial span with the id of the header).
const JOINED: &str = "sluice_connector_joined_exchanges";
/// Exchanges that stayed unjoined, by `connector` and `reason`: `untraced` (no trace context that spans here have),
/// `malformed`, `no_span` (none came), `contradicting` (only of other processes), `ambiguous`, `late`, `memory`,
/// `duplicate`, `shutdown`.
const UNJOINED: &str = "sluice_connector_unjoined_exchanges";
/// Spans that would have waited, by `connector` and `reason`: `memory`.
const NOT_HELD: &str = "sluice_connector_not_held_spans";
/// Spans that waited, by `connector`.
const HELD: &str = "sluice_connector_held_spans";
/// Bytes held, by `connector` and `what`: `exchanges`, `held_spans`, `remembered_spans`.
const BYTES: &str = "sluice_connector_held_bytes";
/// Items that were lost, by `connector`, `otel_signal` and `reason`: `no_pipeline` (no logs pipeline receives from the
/// connector), or why the next stage did not take them: `refused`, `permanent`, `shutdown`.
const DROPPED: &str = "sluice_connector_dropped_items";

/// Counters and gauges of one connector.
pub(super) struct JoinMetrics {
    id: String,
    joined: [[Counter; 4]; 2],
    held: Counter,
    not_held: Counter,
    pub(super) exchange_bytes: Gauge,
    pub(super) held_bytes: Gauge,
    pub(super) remembered_bytes: Gauge,
}

/// How an exchange came onto its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    AtOnce,
    Held,
    Late,
    Unseen,
}

impl How {
    const ALL: [Self; 4] = [Self::AtOnce, Self::Held, Self::Late, Self::Unseen];

    const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Held => "held",
            Self::Late => "late",
            Self::Unseen => "unseen",
        }
    }
}

impl JoinMetrics {
    pub(super) fn new(id: &ComponentId) -> Self {
        let id = id.to_string();
        let joined = |side: &'static str| {
            How::ALL
                .map(|how| counter!(JOINED, "connector" => id.clone(), "side" => side, "how" => how.name()))
        };
        let bytes = |what: &'static str| gauge!(BYTES, "connector" => id.clone(), "what" => what);
        Self {
            joined: [joined("client"), joined("server")],
            held: counter!(HELD, "connector" => id.clone()),
            not_held: counter!(NOT_HELD, "connector" => id.clone(), "reason" => "memory"),
            exchange_bytes: bytes("exchanges"),
            held_bytes: bytes("held_spans"),
            remembered_bytes: bytes("remembered_spans"),
            id,
        }
    }

    pub(super) fn joined(&self, role: Role, how: How) {
        self.joined[role as usize][how as usize].increment(1);
    }

    pub(super) fn unjoined(&self, reason: &'static str) {
        counter!(UNJOINED, "connector" => self.id.clone(), "reason" => reason).increment(1);
    }

    pub(super) fn held(&self) {
        self.held.increment(1);
    }

    pub(super) fn not_held(&self) {
        self.not_held.increment(1);
    }

    pub(super) fn dropped(&self, signal: Signal, items: usize, reason: &'static str) {
        counter!(
            DROPPED,
            "connector" => self.id.clone(), "otel_signal" => signal.name(), "reason" => reason
        )
        .increment(items as u64);
    }
}
