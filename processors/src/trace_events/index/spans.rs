//! What becomes of a span: it goes on as it is, with events, or waits for them.

use std::{cmp::Reverse, sync::Arc};

use sluice_pipeline::otlp::view::{LogRecord, View};

use super::{
    HeldSpan, Hit, Index, Now, Out, PASSED_OVERHEAD, PassedSpan, SPAN_OVERHEAD, Target, Verdict, hits_of,
};
use crate::{
    room::Room,
    trace_events::{
        events::events,
        exchange::{Role, State},
        intake::Seen,
        leaving::Leaving,
        metrics::How,
        rules::{Choice, Pairing},
        span::SpanFacts,
        store::Number,
    },
};

impl Index {
    /// Says what becomes of the spans of a chunk; an empty list means that all go on as they are. What is to be held
    /// comes back by [`Index::hold`], what went on by [`Index::went_on`].
    pub(in crate::trace_events) fn spans(
        &mut self,
        seen: &mut [Seen<'_>],
        now: Now,
        out: &mut Out,
    ) -> Vec<Verdict> {
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
    pub(in crate::trace_events) fn went_on(&mut self, spans: Vec<SpanFacts>, now: Now) {
        for facts in spans {
            // An exchange that came meanwhile may be theirs.
            for key in facts.keys().into_iter().flatten() {
                self.revisit_soon(key, now);
            }
            self.remember(facts, now);
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
    pub(in crate::trace_events) fn hold(&mut self, spans: Vec<HeldSpan>, now: Now, out: &mut Out) {
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

    pub(super) fn release(&mut self, span: HeldSpan, room: Option<Room>, now: Now, out: &mut Out) {
        let source = Arc::clone(&span.facts.source);
        out.spans.push(Leaving { source, scope: span.scope, message: span.message, room });
        self.remember(span.facts, now);
    }

    pub(super) fn remember(&mut self, facts: SpanFacts, now: Now) {
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
