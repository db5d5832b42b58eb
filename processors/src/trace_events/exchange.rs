//! What the join needs to know of an exchange.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_pipeline::{
    exchange::{event, format, record},
    otlp::view::{AnyValue, LogRecord, Text},
};

use super::{
    identity::{End, address, integer, port},
    leaving::{Scope, Source},
    span::low_half,
    store::Key,
};

/// What the process is in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// The trace context of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    pub(super) trace_id: [u8; 16],
    pub(super) id: u64,
}

/// An exchange that waits for its span.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) role: Role,
    /// That of the header that counts, and of another one if there is.
    pub(super) contexts: [Option<TraceContext>; 2],
    /// Whether the header was B3, with which a server may share the id of its client.
    pub(super) is_b3: bool,
    /// Whether the header says that nobody records the trace.
    pub(super) is_unsampled: bool,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    /// When the response began; 0 if it did not.
    pub(super) response_start: u64,
    pub(super) end: u64,
    /// 0 if unknown.
    pub(super) status: u16,
    pub(super) local: End,
    pub(super) peer: End,
    pub(super) source: Arc<Source>,
    pub(super) scope: Arc<Scope>,
    /// The encoded log record; empty once its events are on a span.
    pub(super) record: Vec<u8>,
    pub(super) arrival: Instant,
    pub(super) state: State,
    /// Whether a span with a contradicting identity was seen.
    pub(super) is_contradicted: bool,
    /// Whether it was undecided which span or which exchange.
    pub(super) is_ambiguous: bool,
    /// Whether its span is to be looked for again soon, since spans went on while it came.
    pub(super) is_to_be_revisited: bool,
}

/// Where an exchange is on its way to a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Joined,
}

/// Why a log record that is an exchange cannot wait for a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoContext {
    /// It has no trace context, or only one of SkyWalking, whose spans have other ids.
    Untraced,
    /// It lacks what every exchange has.
    Malformed,
}

/// What an exchange takes in memory beside its record, its place in the index included.
pub(super) const OVERHEAD: usize = size_of::<Exchange>() + 160;

impl Exchange {
    pub(super) fn of(
        log: &LogRecord<'_>,
        source: &Arc<Source>,
        scope: &Arc<Scope>,
        arrival: Instant,
    ) -> Result<Self, NoContext> {
        let mut found = Found::default();
        for pair in log.attributes() {
            found.note(pair.key.as_str(), pair.value);
        }
        let role = found.role.ok_or(NoContext::Malformed)?;
        let own = TraceContext::from_ids(log.trace_id, log.span_id).filter(|_| found.format != format::SW8);
        let contexts = match (own, found.other(own)) {
            (None, None) => return Err(NoContext::Untraced),
            (Some(own), other) => [Some(own), other],
            (None, other) => [other, None],
        };
        let ends = [log.time_unix_nano, found.request_end, found.response_start, found.response_end];
        Ok(Self {
            role,
            contexts,
            is_b3: matches!(found.format, format::B3 | format::B3_MULTI),
            is_unsampled: found.sampled == Some(false),
            start: log.time_unix_nano,
            response_start: found.response_start,
            end: ends.into_iter().max().unwrap_or_default(),
            status: found.status,
            local: found.local,
            peer: found.peer,
            source: Arc::clone(source),
            scope: Arc::clone(scope),
            record: log.message.to_vec(),
            arrival,
            state: State::Waiting,
            is_contradicted: false,
            is_ambiguous: false,
            is_to_be_revisited: false,
        })
    }

    pub(super) fn keys(&self) -> [Option<Key>; 2] {
        self.contexts.map(|context| context.map(|context| context.key()))
    }

    pub(super) fn has_waited(&self, time: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.arrival) >= time
    }

    /// When the process had, or could have had, an answer.
    pub(super) fn answered(&self) -> u64 {
        if self.response_start == 0 { self.end } else { self.response_start }
    }

    /// Whether it is the same exchange, told twice.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.role == other.role
            && self.start == other.start
            && self.end == other.end
            && self.local == other.local
            && self.peer == other.peer
            && self.contexts == other.contexts
            && self.source.process == other.source.process
    }
}

impl TraceContext {
    fn from_ids(trace_id: &[u8], id: &[u8]) -> Option<Self> {
        let trace_id = trace_id.try_into().ok().filter(|id| *id != [0; 16])?;
        let id = id.try_into().map(u64::from_be_bytes).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, id })
    }

    /// `format:trace id:span id` as the headers had them.
    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let known = matches!(parts.next()?, format::W3C | format::B3 | format::B3_MULTI);
        let trace_id =
            u128::from_str_radix(parts.next().filter(|digits| is_hexadecimal(digits, 32))?, 16).ok()?;
        let id = u64::from_str_radix(parts.next().filter(|digits| is_hexadecimal(digits, 16))?, 16).ok()?;
        let context = Self { trace_id: trace_id.to_be_bytes(), id };
        (known && trace_id != 0 && id != 0 && parts.next().is_none()).then_some(context)
    }

    pub(super) fn key(&self) -> Key {
        (low_half(&self.trace_id), self.id)
    }
}

fn is_hexadecimal(digits: &str, most: usize) -> bool {
    digits.len() <= most && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The attributes of the record that count here.
#[derive(Default)]
struct Found<'a> {
    role: Option<Role>,
    format: &'a str,
    sampled: Option<bool>,
    contexts: Option<AnyValue<'a>>,
    request_end: u64,
    response_start: u64,
    response_end: u64,
    status: u16,
    local: End,
    peer: End,
}

/// How many contexts of a record are looked at.
const MAX_CONTEXTS: usize = 8;

impl<'a> Found<'a> {
    fn note(&mut self, key: &str, value: AnyValue<'a>) {
        match (key, value) {
            (record::ROLE, AnyValue::String(role)) => {
                self.role = match role.as_str() {
                    event::CLIENT => Some(Role::Client),
                    event::SERVER => Some(Role::Server),
                    _ => None,
                };
            }
            (record::TRACE_FORMAT, AnyValue::String(format)) => self.format = format.as_str(),
            (record::TRACE_SAMPLED, AnyValue::Bool(sampled)) => self.sampled = Some(sampled),
            (record::TRACE_CONTEXTS, value) => self.contexts = Some(value),
            (record::REQUEST_END, value) => self.request_end = time(&value),
            (record::RESPONSE_START, value) => self.response_start = time(&value),
            (record::RESPONSE_END, value) => self.response_end = time(&value),
            (record::STATUS, value) => self.status = u16::try_from(integer(&value)).unwrap_or(0),
            (record::LOCAL_ADDRESS, value) => self.local.address = address(&value),
            (record::LOCAL_PORT, value) => self.local.port = port(&value),
            (record::PEER_ADDRESS, value) => self.peer.address = address(&value),
            (record::PEER_PORT, value) => self.peer.port = port(&value),
            _ => {}
        }
    }

    /// The first context that is not `own`.
    fn other(&self, own: Option<TraceContext>) -> Option<TraceContext> {
        let Some(AnyValue::Array(contexts)) = self.contexts else { return None };
        contexts
            .take(MAX_CONTEXTS)
            .filter_map(|context| match context {
                AnyValue::String(text) => TraceContext::from_text(text.as_str()),
                _ => None,
            })
            .find(|context| own.is_none_or(|own| own.key() != context.key()))
    }
}

fn time(value: &AnyValue<'_>) -> u64 {
    u64::try_from(integer(value)).unwrap_or(0)
}
