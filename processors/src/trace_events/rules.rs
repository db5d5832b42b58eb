//! Which span an exchange belongs to.
//!
//! The id in the header is that of the sender's span. The client's side therefore belongs to the span with that id, and
//! the server's side to a SERVER span whose parent it is, or that shares it (B3). Where an application only copies
//! headers, what has the id is the SERVER span of the proxy before it, and what has it as parent the CLIENT span of
//! the proxy behind it; that counts only with evidence that exchange and span are of one process.
//!
//! - Whoever contradicts on host and process, container, pod or address never belongs together.
//! - With the same process, the client's side is certain: ids are unique. All attempts of a client that retries under
//!   one span are that span's. On the server's side each attempt has a span of its own, told apart by their times: a
//!   request arrives before its span begins.
//! - With the same pod or address only, another process there with an exchange of the same header makes it ambiguous,
//!   unless the span tells which connection it was.
//! - With nothing to compare, it must be the only exchange of its side, and the times must nest.
//! - Frameworks end a server's span when the answer is made, which leaves a moment later: once the span has been sent,
//!   if its tracer does that there and then. Such a span counts if there is no better one, and no other exchange.
//!
//! Decisions that rest on there being no other are put off until others have had time to arrive.

use super::{
    exchange::{Exchange, Role},
    identity::Agreement,
    span::{CONSUMER, SERVER, SpanFacts, low_half},
};

/// Server's spans or exchanges that begin this close to each other are not told apart by time, in nanoseconds.
const MARGIN: u64 = 1_000_000;
/// How long after its span a server may begin to send the answer, in nanoseconds.
const WRITING: u64 = 250_000_000;

/// How a span suits an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) agreement: Agreement,
    /// Whether the span is what the header is about, rather than that of a proxy beside it.
    is_direct: bool,
    /// Whether the span names the connection that the exchange was on.
    is_connection: Option<bool>,
    /// Whether the span is a proxy's and so is the process.
    is_proxy: bool,
    /// Whether the answer begins before the span of a server ends.
    answers: bool,
    /// How far apart they begin, in nanoseconds.
    lag: u64,
}

/// What is to be said of a pair of exchange and span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Their ids or times have nothing to do with each other.
    Unrelated,
    /// Their ids suit, but they are known to be of different processes.
    Contradicting,
    Fitting(Fit),
}

/// What an exchange is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice<T> {
    Join(T),
    /// There is a candidate, but it is too early to know that it is the only one.
    Wait,
    Ambiguous,
    /// No candidate.
    None,
}

/// Weighs exchanges and spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Nanoseconds.
    pub(super) clock_skew: u64,
}

impl Rules {
    pub(super) fn pairing(&self, exchange: &Exchange, span: &SpanFacts) -> Pairing {
        let Some((is_direct, needs_evidence)) = relation(exchange, span) else { return Pairing::Unrelated };
        let Some(agreement) = agreement(exchange, span) else { return Pairing::Contradicting };
        let is_connection = match exchange.role {
            Role::Client => span.peer.agrees(&exchange.peer),
            Role::Server => None,
        };
        let is_proxy = span.is_proxy && exchange.source.process.is_envoy() == Some(true);
        let has_evidence = agreement > Agreement::Unknown
            || is_proxy && (exchange.role == Role::Server || is_connection == Some(true));
        let is_elsewhere = agreement == Agreement::Unknown && is_connection == Some(false);
        if needs_evidence && !has_evidence || is_elsewhere || !self.times_suit(exchange, span, agreement) {
            return Pairing::Unrelated;
        }
        let lag = if span.start == 0 { u64::MAX } else { span.start.abs_diff(exchange.start) };
        let answers = exchange.role == Role::Client || self.not_before(span.end, exchange.response_start);
        Pairing::Fitting(Fit { agreement, is_direct, is_connection, is_proxy, answers, lag })
    }

    fn not_before(&self, later: u64, earlier: u64) -> bool {
        later.saturating_add(self.clock_skew) >= earlier
    }

    fn times_suit(&self, exchange: &Exchange, span: &SpanFacts, agreement: Agreement) -> bool {
        let not_before = |later, earlier| self.not_before(later, earlier);
        match exchange.role {
            Role::Client => {
                agreement == Agreement::Process
                    || not_before(exchange.start, span.start) && not_before(span.end, exchange.answered())
            }
            Role::Server => {
                let statuses_suit =
                    exchange.status == 0 || span.status == 0 || exchange.status == span.status;
                let is_during =
                    not_before(span.start, exchange.start) && not_before(exchange.end, span.start);
                let is_known = agreement > Agreement::Unknown;
                let writing = if is_known { WRITING } else { 0 };
                let answers = not_before(span.end.saturating_add(writing), exchange.response_start);
                let nests = is_known || not_before(exchange.end, span.end);
                let is_timeless = span.start == 0 && agreement == Agreement::Process;
                statuses_suit && (is_timeless || is_during && answers && nests)
            }
        }
    }

    /// Chooses among spans that have been seen. `others` are all other exchanges with the same header.
    ///
    /// `is_settled` says whether other exchanges and spans have had time to arrive.
    pub(super) fn choose<T: Copy>(
        &self,
        exchange: &Exchange,
        candidates: &[(T, &SpanFacts, Fit)],
        others: &[&Exchange],
        is_settled: bool,
    ) -> Choice<T> {
        let Some(best) = candidates.iter().map(|(_, _, fit)| fit.agreement).max() else {
            return Choice::None;
        };
        let mut left: Vec<_> =
            candidates.iter().filter(|(_, _, fit)| fit.agreement == best).copied().collect();
        prefer(&mut left, |fit| fit.answers);
        let is_certain = best == Agreement::Process && left.iter().any(|(_, _, fit)| fit.answers);
        if !is_certain && !is_settled {
            return Choice::Wait;
        }
        let others: Vec<_> = others.iter().copied().filter(|other| other.role == exchange.role).collect();
        match exchange.role {
            Role::Client => {
                prefer(&mut left, |fit| fit.is_connection == Some(true));
                prefer(&mut left, |fit| fit.is_direct);
                self.the_only(exchange, &left, &others)
            }
            Role::Server => {
                left.retain(|(_, span, _)| span.served.is_none());
                left.sort_by_key(|(_, _, fit)| fit.lag);
                let nearest = left.first().map_or(0, |(_, _, fit)| fit.lag);
                left.retain(|(_, _, fit)| fit.lag.saturating_sub(nearest) < MARGIN);
                prefer(&mut left, |fit| fit.is_direct);
                self.the_only(exchange, &left, &others)
            }
        }
    }

    fn the_only<T: Copy>(
        &self,
        exchange: &Exchange,
        left: &[(T, &SpanFacts, Fit)],
        others: &[&Exchange],
    ) -> Choice<T> {
        let [(target, span, fit)] = left else {
            return if left.is_empty() { Choice::None } else { Choice::Ambiguous };
        };
        let is_alone = others.iter().all(|other| !self.is_rival(other, exchange, span, fit));
        if is_alone { Choice::Join(*target) } else { Choice::Ambiguous }
    }

    /// Whether `other`, of the same side and header, might be the span's instead of `exchange`.
    fn is_rival(&self, other: &Exchange, exchange: &Exchange, span: &SpanFacts, fit: &Fit) -> bool {
        let Some(theirs) = agreement(other, span) else { return false };
        if fit.is_connection == Some(true) && span.peer.agrees(&other.peer) == Some(false) {
            return false;
        }
        let is_own = other.source.process.is_same(&exchange.source.process);
        let is_decided = match fit.agreement {
            Agreement::Process if theirs < Agreement::Process => return false,
            Agreement::Process => true,
            Agreement::Place => is_own,
            Agreement::Unknown => is_own && fit.is_proxy,
        };
        match exchange.role {
            _ if !is_decided => true,
            // All that one process sent with this header is the span's.
            Role::Client => false,
            Role::Server => match self.pairing(other, span) {
                Pairing::Fitting(theirs) => !fit.answers || theirs.lag < fit.lag.saturating_add(MARGIN),
                Pairing::Unrelated | Pairing::Contradicting => false,
            },
        }
    }
}

fn prefer<T>(left: &mut Vec<(T, &SpanFacts, Fit)>, wish: impl Fn(&Fit) -> bool) {
    if left.iter().any(|(_, _, fit)| wish(fit)) {
        left.retain(|(_, _, fit)| wish(fit));
    }
}

/// Whether the ids of a header lead to a span: whether directly, and whether that needs evidence for the process.
fn relation(exchange: &Exchange, span: &SpanFacts) -> Option<(bool, bool)> {
    exchange.contexts.iter().flatten().enumerate().find_map(|(place, context)| {
        let same_trace = context.trace_id == span.trace_id;
        let cut_off = context.trace_id[..8] == [0; 8] || span.trace_id[..8] == [0; 8];
        let same_half = cut_off && low_half(&context.trace_id) == low_half(&span.trace_id);
        if !(same_trace || same_half) {
            return None;
        }
        let is_direct = match exchange.role {
            Role::Client if span.id == context.id => span.is_sender(),
            Role::Server if span.shared => (span.id == context.id && span.kind == SERVER).then_some(true)?,
            Role::Server if span.parent == context.id => matches!(span.kind, SERVER | CONSUMER),
            _ => return None,
        };
        // A second header may be one that a gateway forwards from elsewhere.
        Some((is_direct, !is_direct || place > 0 || !same_trace))
    })
}

/// How surely exchange and span are of one process; `None` if they are not.
fn agreement(exchange: &Exchange, span: &SpanFacts) -> Option<Agreement> {
    let process = exchange.source.process.agreement(&span.source.process)?;
    if process == Agreement::Process {
        return Some(process);
    }
    if span.is_proxy && exchange.source.process.is_envoy() == Some(false) {
        return None;
    }
    let serves = exchange.role == Role::Server && span.kind == SERVER;
    let (one, two) = (exchange.local, span.local);
    let ports = (serves && one.port != 0 && two.port != 0).then_some(one.port == two.port);
    if ports == Some(false) {
        return None;
    }
    let mut found = process;
    match (one.routable(), two.routable()) {
        (Some(one), Some(two)) if one != two => return None,
        (Some(_), Some(_)) if ports == Some(true) => return Some(Agreement::Process),
        (Some(_), Some(_)) => found = found.max(Agreement::Place),
        // The own address of every host, but not every port of it.
        _ if one.is_loopback() && two.is_loopback() && ports == Some(true) => {
            found = found.max(Agreement::Place)
        }
        _ => {}
    }
    if let Some(address) = one.routable()
        && (span.source.process.has_address(address) || serves && span.called.routable() == Some(address))
    {
        found = found.max(Agreement::Place);
    }
    Some(found)
}
