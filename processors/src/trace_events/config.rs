//! The keys of the `trace_events` connector.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::Duration,
};

/// The keys of the `trace_events` connector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceEventsConfig {
    /// The longest that a span waits for its exchange. Only spans of requests wait, and only if they ended within this
    /// time; 0 lets none wait.
    pub span_hold: Duration,
    /// How long an exchange waits for its span, and how long spans that passed are remembered.
    pub exchange_wait: Duration,
    /// How many bytes of exchanges may wait; the oldest then leave unjoined.
    pub max_exchange_bytes: u64,
    /// How many bytes of spans may wait; further ones leave at once.
    pub max_held_span_bytes: u64,
    /// How many bytes the memory of spans that passed may take, a few hundred for each; the oldest are then forgotten.
    pub max_remembered_span_bytes: u64,
    /// What becomes of an exchange whose span has already left.
    pub late_matches: LateMatches,
    /// What becomes of an exchange whose span did not pass through here while it waited.
    pub unseen_spans: UnseenSpans,
    /// How far the clock of a tracer may differ from the kernel's on the same host.
    pub clock_skew: Duration,
    /// Which events are put on a span.
    pub events: Vec<AttachedEvent>,
}

/// What becomes of an exchange whose span has already left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateMatches {
    /// Its events leave on a partial span, which has the ids, kind and resource of the span. Zipkin merges the two.
    /// Most back-ends that take OTLP show them as two spans.
    #[default]
    PartialSpan,
    /// It stays unjoined.
    Drop,
}

/// What becomes of an exchange whose span did not pass through here while it waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnseenSpans {
    /// It stays unjoined.
    #[default]
    Unjoined,
    /// The client's side of it leaves on a partial span with the id that the header names. For applications that
    /// report straight to Zipkin.
    Outbound,
    /// As `outbound`, and the server's side too if the header is B3. For tracers whose servers join the client's span.
    OutboundAndShared,
}

/// An event that is put on a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttachedEvent {
    /// `HTTP Request Sampling`.
    Request,
    /// `HTTP Response Sampling`.
    Response,
    /// `Syscall <Name>`, one for each system call that the exchange lists.
    Syscalls,
}

impl Default for TraceEventsConfig {
    fn default() -> Self {
        Self {
            span_hold: Duration::from_millis(500),
            exchange_wait: Duration::from_secs(30),
            max_exchange_bytes: 64 << 20,
            max_held_span_bytes: 32 << 20,
            max_remembered_span_bytes: 32 << 20,
            late_matches: LateMatches::default(),
            unseen_spans: UnseenSpans::default(),
            clock_skew: Duration::from_millis(5),
            events: vec![AttachedEvent::Request, AttachedEvent::Response, AttachedEvent::Syscalls],
        }
    }
}

impl ComponentConfig for TraceEventsConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.exchange_wait == Duration::ZERO {
            problems
                .push(Problem::at("exchange_wait", "must be more than 0; exchanges come before their spans"));
        }
        if self.span_hold > self.exchange_wait {
            problems.push(Problem::at("span_hold", "must not be longer than exchange_wait"));
        }
        if self.events.is_empty() {
            problems.push(Problem::at("events", "list at least one of request, response and syscalls"));
        }
        problems
    }
}
