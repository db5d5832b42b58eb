//! The exchanges that wait, the spans that wait, and the spans that passed; and what finds what among them.

mod exchanges;
mod spans;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_pipeline::budget::Budget;

use super::{
    AttachedEvent, LateMatches, TraceEventsConfig, UnseenSpans,
    exchange::{Exchange, State},
    leaving::{Leaving, Scope, Source},
    metrics::JoinMetrics,
    rules::Rules,
    span::SpanFacts,
    store::{Key, MOST_ALIKE, Number, Store},
};
use crate::room::Rooms;

/// The time on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) unix_nano: u64,
}

/// What leaves the connector.
#[derive(Default)]
pub(super) struct Out {
    pub(super) spans: Vec<Leaving>,
    /// Exchanges that stay unjoined.
    pub(super) records: Vec<Leaving>,
}

/// A span that waits for its exchange.
pub(super) struct HeldSpan {
    pub(super) facts: SpanFacts,
    /// The encoded span.
    pub(super) message: Vec<u8>,
    pub(super) scope: Arc<Scope>,
    pub(super) deadline: Instant,
}

/// A span that went on.
struct PassedSpan {
    facts: SpanFacts,
    at: Instant,
}

/// What becomes of a span that came in.
#[derive(Debug, Default)]
pub(super) enum Verdict {
    #[default]
    Pass,
    /// It goes on with these encoded events, of the exchanges with these numbers.
    Attach(Vec<u8>, Vec<Number>),
    Hold,
}

/// The place in a batch of a span that has a key for which there is an exchange.
type Hit = (Key, usize);

/// Where the span of an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// In the batch that came in.
    Here(usize),
    Held(Number),
    Passed(Number),
}

/// What a span that waits or passed takes in memory beside its content, its place in the index included.
const SPAN_OVERHEAD: usize = size_of::<HeldSpan>() + 160;
const PASSED_OVERHEAD: usize = size_of::<PassedSpan>() + 160;

/// How long others have to arrive before an exchange is taken for the only one, at most.
const LONGEST_SETTLING: Duration = Duration::from_millis(250);

pub(super) struct Index {
    rules: Rules,
    span_hold: Duration,
    exchange_wait: Duration,
    settling: Duration,
    late_matches: LateMatches,
    unseen_spans: UnseenSpans,
    attached: Vec<AttachedEvent>,
    exchange_rooms: Rooms,
    held_rooms: Rooms,
    passed_rooms: Rooms,
    exchanges: Store<Exchange>,
    held: Store<HeldSpan>,
    releases: BinaryHeap<Reverse<(Instant, Number)>>,
    passed: Store<PassedSpan>,
    unsettled: VecDeque<(Instant, Number)>,
    is_closing: bool,
    metrics: Arc<JoinMetrics>,
    unknown: Arc<Source>,
    no_scope: Arc<Scope>,
}

impl Index {
    pub(super) fn new(config: &TraceEventsConfig, budget: &Budget, metrics: Arc<JoinMetrics>) -> Self {
        let clock_skew = u64::try_from(config.clock_skew.as_nanos()).unwrap_or(u64::MAX);
        Self {
            rules: Rules { clock_skew },
            span_hold: config.span_hold.get(),
            exchange_wait: config.exchange_wait.get(),
            settling: (config.span_hold.get() / 2).min(LONGEST_SETTLING),
            late_matches: config.late_matches,
            unseen_spans: config.unseen_spans,
            attached: config.events.clone(),
            exchange_rooms: Rooms::new(config.max_exchange_bytes, budget.clone()),
            held_rooms: Rooms::new(config.max_held_span_bytes, budget.clone()),
            passed_rooms: Rooms::new(config.max_remembered_span_bytes, budget.clone()),
            exchanges: Store::new(),
            held: Store::new(),
            releases: BinaryHeap::new(),
            passed: Store::new(),
            unsettled: VecDeque::new(),
            is_closing: false,
            metrics,
            unknown: Source::unknown(),
            no_scope: Arc::default(),
        }
    }

    /// Whether nothing waits, so that time changes nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.is_empty() && self.held.is_empty() && self.passed.is_empty()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Now, out: &mut Out) {
        while let Some((due, number)) = self.unsettled.front().copied()
            && due <= now.instant
        {
            self.unsettled.pop_front();
            if let Some(exchange) = self.exchanges.get_mut(number) {
                exchange.is_to_be_revisited = false;
            }
            self.revisit(number, now, out);
        }
        while let Some(Reverse((deadline, number))) = self.releases.peek().copied()
            && deadline <= now.instant
        {
            self.releases.pop();
            if let Some((span, room)) = self.held.take(number) {
                self.release(span, Some(room), now, out);
            }
        }
        let too_old = |at: Instant| now.instant.saturating_duration_since(at) >= self.exchange_wait;
        while self.passed.oldest().is_some_and(|(_, span)| too_old(span.at)) {
            drop(self.passed.take_oldest());
        }
        while self
            .exchanges
            .oldest()
            .is_some_and(|(_, exchange)| exchange.has_waited(self.exchange_wait, now.instant))
        {
            self.expire_oldest(out);
        }
        self.show();
    }

    /// Lets everything go, and nothing wait from now on.
    pub(super) fn close(&mut self, now: Now, out: &mut Out) {
        self.is_closing = true;
        self.unsettled.clear();
        self.releases.clear();
        while let Some((span, room)) = self.held.take_oldest() {
            self.release(span, Some(room), now, out);
        }
        while let Some((exchange, _)) = self.exchanges.take_oldest() {
            if exchange.state == State::Waiting {
                self.leave_unjoined(exchange, "shutdown", out);
            }
        }
        while self.passed.take_oldest().is_some() {}
        self.show();
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn show(&self) {
        self.metrics.exchange_bytes.set(self.exchange_rooms.used() as f64);
        self.metrics.held_bytes.set(self.held_rooms.used() as f64);
        self.metrics.remembered_bytes.set(self.passed_rooms.used() as f64);
    }
}

/// The places of the spans that may be the exchange's; of hostile many only some.
fn hits_of<'h>(exchange: &Exchange, hits: &'h [Hit]) -> impl Iterator<Item = usize> + use<'h> {
    exchange.keys().into_iter().flatten().flat_map(move |key| {
        let from = hits.partition_point(|(known, _)| *known < key);
        let alike = hits.iter().skip(from).take_while(move |(known, _)| *known == key);
        alike.take(MOST_ALIKE).map(|(_, place)| *place)
    })
}
