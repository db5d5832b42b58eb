//! What becomes of an exchange: it waits, joins a span, follows one that passed, or stays unjoined.

use std::sync::Arc;

use sluice_pipeline::otlp::view::{LogRecord, View};

use super::{Hit, Index, Now, Out, Target, hits_of};
use crate::trace_events::{
    LateMatches, UnseenSpans,
    events::events,
    exchange::{Exchange, OVERHEAD, Role, State},
    intake::Seen,
    leaving::Leaving,
    metrics::How,
    partial,
    rules::{Choice, Fit, Pairing},
    span::SpanFacts,
    store::{Key, Number},
};

impl Index {
    /// Takes an exchange in; it leaves at once if its span is there.
    pub(in crate::trace_events) fn exchange(&mut self, exchange: Exchange, now: Now, out: &mut Out) {
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

    /// The spans that these exchanges went with are safe.
    pub(in crate::trace_events) fn confirm_all(&mut self, numbers: &[Number]) {
        numbers.iter().for_each(|number| self.confirm(*number, How::AtOnce));
    }

    /// The spans that these exchanges went with were refused; their sender may send them again.
    pub(in crate::trace_events) fn take_back(&mut self, numbers: &[Number]) {
        for number in numbers {
            if let Some(exchange) = self.exchanges.get_mut(*number) {
                exchange.state = State::Waiting;
            }
        }
    }

    pub(super) fn confirm(&mut self, number: Number, how: How) {
        let Some((exchange, room)) = self.exchanges.thing_mut(number) else { return };
        exchange.state = State::Joined;
        exchange.record = Vec::new();
        room.shrink_to(OVERHEAD);
        self.metrics.joined(exchange.role, how);
    }

    pub(super) fn revisit_soon(&mut self, key: Key, now: Now) {
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

    /// Looks for the span of an exchange among those that wait and those that passed.
    pub(super) fn revisit(&mut self, number: Number, now: Now, out: &mut Out) {
        if self.exchanges.get(number).is_some_and(|exchange| exchange.state == State::Waiting)
            && let Choice::Join(target) = self.decide(number, &[], &[], now)
        {
            self.join(number, target, now, out);
        }
    }

    pub(super) fn decide(
        &mut self,
        number: Number,
        seen: &[Seen<'_>],
        hits: &[Hit],
        now: Now,
    ) -> Choice<Target> {
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
    pub(super) fn join(&mut self, number: Number, target: Target, now: Now, out: &mut Out) {
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

    pub(super) fn expire_oldest(&mut self, out: &mut Out) {
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

    pub(super) fn leave_unjoined(&self, exchange: Exchange, reason: &'static str, out: &mut Out) {
        self.metrics.unjoined(reason);
        let Exchange { source, scope, record: message, .. } = exchange;
        out.records.push(Leaving { source, scope, message, room: None });
    }
}
