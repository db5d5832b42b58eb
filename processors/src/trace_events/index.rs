//! The exchanges that wait, the spans that wait, and the spans that passed; and what finds what among them.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_pipeline::{
    budget::Budget,
    otlp::view::{LogRecord, View},
};

use super::{
    AttachedEvent, LateMatches, TraceEventsConfig, UnseenSpans,
    events::events,
    exchange::{Exchange, OVERHEAD, Role, State},
    intake::Seen,
    leaving::{Leaving, Scope, Source},
    metrics::{How, JoinMetrics},
    partial,
    room::{Room, Rooms},
    rules::{Choice, Fit, Pairing, Rules},
    span::SpanFacts,
    store::{Key, MOST_ALIKE, Number, Store},
};

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

    /// Says what becomes of the spans of a chunk; an empty list means that all go on as they are. What is to be held
    /// comes back by [`Index::hold`], what went on by [`Index::went_on`].
    pub(super) fn spans(&mut self, seen: &mut [Seen<'_>], now: Now, out: &mut Out) -> Vec<Verdict> {
        let mut verdicts = self.find_exchanges(seen, now, out);
        for (place, span) in seen.iter().enumerate() {
            let Some(facts) = &span.facts else { continue };
            if !self.is_worth_holding(facts, now) {
                continue;
            }
            if verdicts.is_empty() {
                verdicts.resize_with(seen.len(), Verdict::default);
            }
            if let Some(verdict @ Verdict::Pass) = verdicts.get_mut(place) {
                *verdict = Verdict::Hold;
            }
        }
        verdicts
    }

    /// Spans have gone on, and are safe.
    pub(super) fn went_on(&mut self, spans: Vec<SpanFacts>, now: Now) {
        for facts in spans {
            // An exchange that came meanwhile may be theirs.
            for key in facts.keys().into_iter().flatten() {
                self.revisit_soon(key, now);
            }
            self.remember(facts, now);
        }
    }

    fn revisit_soon(&mut self, key: Key, now: Now) {
        if !self.exchanges.contains(key) {
            return;
        }
        let is_new = |exchange: &Exchange| exchange.state == State::Waiting && !exchange.is_to_be_revisited;
        let waiting = self.exchanges.of(key).filter(|(_, exchange)| is_new(exchange));
        let waiting: Vec<Number> = waiting.map(|(number, _)| number).collect();
        for number in waiting {
            self.unsettled.push_front((now.instant, number));
            if let Some(exchange) = self.exchanges.get_mut(number) {
                exchange.is_to_be_revisited = true;
            }
        }
    }

    /// Joins the exchanges that wait for one of these spans.
    fn find_exchanges(&mut self, seen: &mut [Seen<'_>], now: Now, out: &mut Out) -> Vec<Verdict> {
        let mut hits: Vec<Hit> = Vec::new();
        let mut waiting: Vec<Number> = Vec::new();
        for (place, span) in seen.iter_mut().enumerate() {
            let Some(facts) = &span.facts else { continue };
            let mut is_hit = false;
            for key in facts.keys().into_iter().flatten().filter(|key| self.exchanges.contains(*key)) {
                let found = self.exchanges.of(key).filter(|(_, exchange)| exchange.state == State::Waiting);
                waiting.extend(found.map(|(number, _)| number));
                hits.push((key, place));
                is_hit = true;
            }
            if is_hit {
                span.read_attributes();
            }
        }
        hits.sort_unstable();
        waiting.sort_unstable();
        waiting.dedup();
        let mut verdicts = Vec::new();
        if !waiting.is_empty() {
            verdicts.resize_with(seen.len(), Verdict::default);
        }
        for number in waiting {
            match self.decide(number, seen, &hits, now) {
                Choice::Join(Target::Here(place)) => {
                    let Some(exchange) = self.exchanges.get_mut(number) else { continue };
                    exchange.state = State::Joined;
                    let events = events(&LogRecord::of(&exchange.record), &self.attached);
                    let server = (exchange.role == Role::Server).then_some(number);
                    if let Some(facts) = seen.get_mut(place).and_then(|span| span.facts.as_mut()) {
                        facts.note_events(&events, server);
                    }
                    if let Some(verdict) = verdicts.get_mut(place) {
                        verdict.attach(events, number);
                    }
                }
                Choice::Join(target) => self.join(number, target, now, out),
                Choice::Wait => {
                    let Some(exchange) = self.exchanges.get(number) else { continue };
                    for place in hits_of(exchange, &hits) {
                        if let (Some(facts), Some(verdict @ Verdict::Pass)) =
                            (seen.get(place).and_then(|span| span.facts.as_ref()), verdicts.get_mut(place))
                            && matches!(self.rules.pairing(exchange, facts), Pairing::Fitting(_))
                            && !self.is_closing
                        {
                            *verdict = Verdict::Hold;
                        }
                    }
                }
                Choice::Ambiguous | Choice::None => {}
            }
        }
        verdicts
    }

    /// A span of a request that ended so shortly ago that its exchange may still be on its way.
    fn is_worth_holding(&self, facts: &SpanFacts, now: Now) -> bool {
        let hold = u64::try_from(self.span_hold.as_nanos()).unwrap_or(u64::MAX);
        facts.is_of_request() && !self.is_closing && facts.end.saturating_add(hold) > now.unix_nano
    }

    /// Holds spans, unless their exchange has come in the meantime or there is no room.
    pub(super) fn hold(&mut self, spans: Vec<HeldSpan>, now: Now, out: &mut Out) {
        for span in spans {
            let mut seen = [Seen::read(span.facts)];
            let verdict = self.find_exchanges(&mut seen, now, out).pop().unwrap_or_default();
            let [Seen { facts: Some(facts), .. }] = seen else { continue };
            let mut span = HeldSpan { facts, ..span };
            let is_due = span.deadline <= now.instant || self.is_closing;
            match verdict {
                Verdict::Attach(events, numbers) => {
                    span.message.extend_from_slice(&events);
                    numbers.into_iter().for_each(|number| self.confirm(number, How::Held));
                    self.release(span, None, now, out);
                }
                _ if is_due => self.release(span, None, now, out),
                _ => {
                    let bytes = span.message.len() + SPAN_OVERHEAD + span.facts.source.share();
                    match self.held_rooms.admit(bytes) {
                        Some(room) => {
                            let deadline = span.deadline;
                            let number = self.held.insert(span.facts.keys(), span, room);
                            self.releases.push(Reverse((deadline, number)));
                            self.metrics.held();
                        }
                        None => {
                            self.metrics.not_held();
                            self.release(span, None, now, out);
                        }
                    }
                }
            }
        }
    }

    /// Takes an exchange in; it leaves at once if its span is there.
    pub(super) fn exchange(&mut self, exchange: Exchange, now: Now, out: &mut Out) {
        if self.is_closing {
            return self.leave_unjoined(exchange, "shutdown", out);
        }
        let known = exchange.keys()[0]
            .is_some_and(|key| self.exchanges.of(key).any(|(_, other)| other.is_same(&exchange)));
        if known {
            return self.metrics.unjoined("duplicate");
        }
        let bytes = exchange.record.len() + OVERHEAD + exchange.scope.len() + exchange.source.share();
        let room = loop {
            if let Some(room) = self.exchange_rooms.admit(bytes) {
                break room;
            }
            let Some((oldest, _)) = self.exchanges.take_oldest() else {
                return self.leave_unjoined(exchange, "memory", out);
            };
            if oldest.state == State::Waiting {
                self.leave_unjoined(oldest, "memory", out);
            }
        };
        let number = self.exchanges.insert(exchange.keys(), exchange, room);
        self.unsettled.push_back((now.instant + self.settling, number));
        self.revisit(number, now, out);
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

    /// The spans that these exchanges went with are safe.
    pub(super) fn confirm_all(&mut self, numbers: &[Number]) {
        numbers.iter().for_each(|number| self.confirm(*number, How::AtOnce));
    }

    /// The spans that these exchanges went with were refused; their sender may send them again.
    pub(super) fn take_back(&mut self, numbers: &[Number]) {
        for number in numbers {
            if let Some(exchange) = self.exchanges.get_mut(*number) {
                exchange.state = State::Waiting;
            }
        }
    }

    fn confirm(&mut self, number: Number, how: How) {
        let Some((exchange, room)) = self.exchanges.thing_mut(number) else { return };
        exchange.state = State::Joined;
        exchange.record = Vec::new();
        room.shrink_to(OVERHEAD);
        self.metrics.joined(exchange.role, how);
    }

    /// Looks for the span of an exchange among those that wait and those that passed.
    fn revisit(&mut self, number: Number, now: Now, out: &mut Out) {
        if self.exchanges.get(number).is_some_and(|exchange| exchange.state == State::Waiting)
            && let Choice::Join(target) = self.decide(number, &[], &[], now)
        {
            self.join(number, target, now, out);
        }
    }

    fn decide(&mut self, number: Number, seen: &[Seen<'_>], hits: &[Hit], now: Now) -> Choice<Target> {
        let Some(exchange) = self.exchanges.get(number) else { return Choice::None };
        let keys = exchange.keys();
        let mut candidates: Vec<(Target, &SpanFacts, Fit)> = Vec::new();
        let mut is_contradicted = false;
        let mut consider = |target, facts| match self.rules.pairing(exchange, facts) {
            Pairing::Fitting(fit) => {
                // A sender that repeats itself does not make a span ambiguous.
                if !candidates.iter().any(|(_, known, _): &(Target, &SpanFacts, Fit)| known.is_same(facts)) {
                    candidates.push((target, facts, fit));
                }
            }
            Pairing::Contradicting => is_contradicted = true,
            Pairing::Unrelated => {}
        };
        for place in hits_of(exchange, hits) {
            if let Some(facts) = seen.get(place).and_then(|span| span.facts.as_ref()) {
                consider(Target::Here(place), facts);
            }
        }
        for key in keys.into_iter().flatten() {
            self.held.of(key).for_each(|(number, span)| consider(Target::Held(number), &span.facts));
            self.passed.of(key).for_each(|(number, span)| consider(Target::Passed(number), &span.facts));
        }
        let others: Vec<&Exchange> = keys
            .into_iter()
            .flatten()
            .flat_map(|key| self.exchanges.of(key))
            .filter(|(other, _)| *other != number)
            .map(|(_, other)| other)
            .collect();
        let is_settled = exchange.has_waited(self.settling, now.instant);
        let choice = self.rules.choose(exchange, &candidates, &others, is_settled);
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.is_contradicted |= is_contradicted;
            exchange.is_ambiguous |= choice == Choice::Ambiguous;
        }
        choice
    }

    /// Puts an exchange onto a span that waits, or sends it after one that passed.
    fn join(&mut self, number: Number, target: Target, now: Now, out: &mut Out) {
        let Some(exchange) = self.exchanges.get(number) else { return };
        let server = (exchange.role == Role::Server).then_some(number);
        let events = events(&LogRecord::of(&exchange.record), &self.attached);
        match target {
            Target::Here(_) => {}
            Target::Held(place) => {
                let Some((mut span, room)) = self.held.take(place) else { return };
                span.message.extend_from_slice(&events);
                span.facts.note_events(&events, server);
                self.release(span, Some(room), now, out);
                self.confirm(number, How::Held);
            }
            Target::Passed(place) => {
                let Some(span) = self.passed.get_mut(place) else { return };
                if self.late_matches == LateMatches::Drop {
                    if let Some((exchange, _)) = self.exchanges.take(number) {
                        self.leave_unjoined(exchange, "late", out);
                    }
                    return;
                }
                let message = partial::of_span(&span.facts, &events);
                span.facts.note_events(&events, server);
                let (source, scope) = (Arc::clone(&span.facts.source), Arc::clone(&self.no_scope));
                out.spans.push(Leaving { source, scope, message, room: None });
                self.confirm(number, How::Late);
            }
        }
    }

    fn release(&mut self, span: HeldSpan, room: Option<Room>, now: Now, out: &mut Out) {
        let source = Arc::clone(&span.facts.source);
        out.spans.push(Leaving { source, scope: span.scope, message: span.message, room });
        self.remember(span.facts, now);
    }

    fn remember(&mut self, facts: SpanFacts, now: Now) {
        if self.is_closing {
            return;
        }
        let bytes = PASSED_OVERHEAD + facts.source.share();
        let room = loop {
            if let Some(room) = self.passed_rooms.admit(bytes) {
                break room;
            }
            if self.passed.take_oldest().is_none() {
                return;
            }
        };
        self.passed.insert(facts.keys(), PassedSpan { facts, at: now.instant }, room);
    }

    fn expire_oldest(&mut self, out: &mut Out) {
        let Some((exchange, _)) = self.exchanges.take_oldest() else { return };
        if exchange.state == State::Joined {
            return;
        }
        let is_told_by_header = match exchange.role {
            Role::Client => self.unseen_spans != UnseenSpans::Unjoined,
            Role::Server => self.unseen_spans == UnseenSpans::OutboundAndShared && exchange.is_b3,
        };
        let is_only = !is_told_by_header || !self.has_rivals(&exchange);
        let reason = if exchange.is_ambiguous || is_told_by_header && !is_only {
            "ambiguous"
        } else if exchange.is_contradicted {
            "contradicting"
        } else {
            "no_span"
        };
        if let (true, "no_span", [Some(context), _], false) =
            (is_told_by_header, reason, exchange.contexts, exchange.is_unsampled)
        {
            let events = events(&LogRecord::of(&exchange.record), &self.attached);
            let message = partial::of_context(&context, exchange.role, &events);
            let (source, scope) = (Arc::clone(&self.unknown), Arc::clone(&self.no_scope));
            out.spans.push(Leaving { source, scope, message, room: None });
            self.metrics.joined(exchange.role, How::Unseen);
        } else {
            self.leave_unjoined(exchange, reason, out);
        }
    }

    /// Whether another process has an exchange of this side and header; both are ambiguous then.
    fn has_rivals(&mut self, exchange: &Exchange) -> bool {
        let Some(key) = exchange.keys()[0] else { return false };
        let rivals = self.exchanges.of(key).filter(|(_, other)| {
            other.role == exchange.role && !other.source.process.is_same(&exchange.source.process)
        });
        let rivals: Vec<Number> = rivals.map(|(number, _)| number).collect();
        for number in &rivals {
            if let Some(rival) = self.exchanges.get_mut(*number) {
                rival.is_ambiguous = true;
            }
        }
        !rivals.is_empty()
    }

    fn leave_unjoined(&self, exchange: Exchange, reason: &'static str, out: &mut Out) {
        self.metrics.unjoined(reason);
        let Exchange { source, scope, record: message, .. } = exchange;
        out.records.push(Leaving { source, scope, message, room: None });
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

impl Verdict {
    fn attach(&mut self, events: Vec<u8>, number: Number) {
        match self {
            Self::Attach(all, numbers) => {
                all.extend_from_slice(&events);
                numbers.push(number);
            }
            _ => *self = Self::Attach(events, vec![number]),
        }
    }
}
