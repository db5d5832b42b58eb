//! Reads batches: finds the spans and exchanges in them, and leaves out what stays here.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    exchange::EVENT_NAME,
    otlp::{
        rewrite::{self, Editor, Part, Visit},
        view::{LogRecord, ScopeGroup, Span, resource_groups},
    },
};

use super::{
    exchange::{Exchange, NoContext},
    index::{HeldSpan, Index, Now, Out, Verdict},
    leaving::{Scope, Source, lasting, scope_of},
    metrics::JoinMetrics,
    span::SpanFacts,
    store::Number,
};

/// A span of a batch.
pub(super) struct Seen<'a> {
    /// `None` if it has no ids.
    pub(super) facts: Option<SpanFacts>,
    /// Its attributes, unless they are among the facts already.
    unread: Option<Span<'a>>,
}

impl<'a> Seen<'a> {
    /// Attributes are read for spans that will be remembered; of others only when an exchange asks for them.
    fn of(span: Span<'a>, source: &Arc<Source>) -> Self {
        let mut seen = Self { facts: SpanFacts::of(&span, source), unread: Some(span) };
        if seen.facts.as_ref().is_some_and(SpanFacts::is_of_request) {
            seen.read_attributes();
        }
        seen
    }

    /// One whose attributes are read.
    pub(super) fn read(facts: SpanFacts) -> Self {
        Self { facts: Some(facts), unread: None }
    }

    pub(super) fn read_attributes(&mut self) {
        if let (Some(facts), Some(span)) = (&mut self.facts, self.unread.take()) {
            facts.read_attributes(&span);
        }
    }
}

/// A batch of spans, sorted.
pub(super) struct SortedSpans {
    /// What goes on now.
    pub(super) rest: Batch,
    pub(super) held: Vec<HeldSpan>,
    /// The exchanges whose events are in the rest.
    pub(super) attached: Vec<Number>,
    /// The spans in the rest that late exchanges may belong to.
    pub(super) passing: Vec<SpanFacts>,
}

/// Puts the exchanges that wait onto the spans of a batch, and takes out the spans that are to wait.
pub(super) fn sort_spans(
    batch: Batch,
    index: &Mutex<Index>,
    span_hold: Duration,
    now: Now,
    out: &mut Out,
) -> SortedSpans {
    let context = Arc::clone(batch.context());
    let lasting = lasting(&context);
    let mut sorted = Sorter {
        index,
        deadline: now.instant + span_hold,
        held: Vec::new(),
        attached: Vec::new(),
        passing: Vec::new(),
    };
    let chunks = batch.into_chunks();
    let rest = chunks.into_iter().filter_map(|chunk| sorted.chunk(chunk, &lasting, now, out)).collect();
    let rest = Batch::from_chunks(Signal::Traces, rest, context);
    SortedSpans { rest, held: sorted.held, attached: sorted.attached, passing: sorted.passing }
}

struct Sorter<'i> {
    index: &'i Mutex<Index>,
    deadline: Instant,
    held: Vec<HeldSpan>,
    attached: Vec<Number>,
    passing: Vec<SpanFacts>,
}

impl Sorter<'_> {
    fn chunk(&mut self, chunk: Chunk, context: &Arc<Context>, now: Now, out: &mut Out) -> Option<Chunk> {
        let bytes = chunk.bytes().clone();
        let mut seen = Vec::with_capacity(chunk.items());
        let mut scopes = Vec::new();
        for group in resource_groups(&bytes) {
            let source = Source::of(&group, context);
            for scope in group.scope_groups() {
                scopes.push((seen.len(), scope, None));
                seen.extend(scope.spans().map(|span| Seen::of(span, &source)));
            }
        }
        let verdicts = lock(self.index).spans(&mut seen, now, out);
        if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Pass)) {
            let facts = seen.into_iter().filter_map(|span| span.facts);
            self.passing.extend(facts.filter(SpanFacts::is_of_request));
            return Some(chunk);
        }
        let mut cut =
            Cut { sorter: self, verdicts: verdicts.into_iter(), seen: seen.into_iter(), scopes, place: 0 };
        rewrite::chunk(Signal::Traces, chunk, &mut cut)
    }
}

type ScopeOf<'a> = (usize, ScopeGroup<'a>, Option<Arc<Scope>>);

/// Carries the verdicts out.
struct Cut<'a, 's, 'i> {
    sorter: &'s mut Sorter<'i>,
    verdicts: std::vec::IntoIter<Verdict>,
    seen: std::vec::IntoIter<Seen<'a>>,
    /// With the place of the first span of each.
    scopes: Vec<ScopeOf<'a>>,
    place: usize,
}

impl Cut<'_, '_, '_> {
    fn scope(&mut self) -> Arc<Scope> {
        let next = self.scopes.partition_point(|(first, ..)| *first <= self.place);
        let Some((_, group, scope)) = next.checked_sub(1).and_then(|index| self.scopes.get_mut(index)) else {
            return Arc::default();
        };
        Arc::clone(scope.get_or_insert_with(|| scope_of(group)))
    }
}

impl Editor for Cut<'_, '_, '_> {
    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        let verdict = self.verdicts.next().unwrap_or_default();
        let facts = self.seen.next().and_then(|seen| seen.facts);
        let visit = match (verdict, facts) {
            (Verdict::Attach(events, numbers), facts) => {
                item.append(|writer| writer.raw(&events));
                self.sorter.attached.extend(numbers);
                self.sorter.passing.extend(facts);
                Visit::Keep
            }
            (Verdict::Hold, Some(facts)) => {
                let scope = self.scope();
                let deadline = self.sorter.deadline;
                self.sorter.held.push(HeldSpan { facts, message: item.bytes().to_vec(), scope, deadline });
                Visit::Drop
            }
            (_, facts) => {
                self.sorter.passing.extend(facts.filter(SpanFacts::is_of_request));
                Visit::Keep
            }
        };
        self.place += 1;
        visit
    }
}

/// A batch of log records, sorted.
pub(super) struct SortedRecords {
    /// What is no exchange, or one without a trace context.
    pub(super) rest: Batch,
    pub(super) exchanges: Vec<Exchange>,
}

/// Takes the exchanges out of a batch of log records.
pub(super) fn sort_records(batch: Batch, now: Now, metrics: &JoinMetrics) -> SortedRecords {
    let context = Arc::clone(batch.context());
    let lasting = lasting(&context);
    let mut exchanges = Vec::new();
    let mut rest = Vec::new();
    for chunk in batch.into_chunks() {
        let bytes = chunk.bytes().clone();
        let mut stays = Vec::with_capacity(chunk.items());
        for group in resource_groups(&bytes) {
            let mut source = None;
            for scope in group.scope_groups() {
                let mut scope_fields = None;
                for record in scope.log_records() {
                    if record.event_name != EVENT_NAME.as_bytes() {
                        stays.push(false);
                        continue;
                    }
                    let source = source.get_or_insert_with(|| Source::of(&group, &lasting));
                    let scope = scope_fields.get_or_insert_with(|| scope_of(&scope));
                    let exchange = exchange(&record, source, scope, now, metrics);
                    stays.push(exchange.is_some());
                    exchanges.extend(exchange);
                }
            }
        }
        if stays.contains(&true) {
            let mut without = Without(stays.into_iter());
            rest.extend(rewrite::chunk(Signal::Logs, chunk, &mut without));
        } else {
            rest.push(chunk);
        }
    }
    SortedRecords { rest: Batch::from_chunks(Signal::Logs, rest, context), exchanges }
}

fn exchange(
    record: &LogRecord<'_>,
    source: &Arc<Source>,
    scope: &Arc<Scope>,
    now: Now,
    metrics: &JoinMetrics,
) -> Option<Exchange> {
    let reason = match Exchange::of(record, source, scope, now.instant) {
        Ok(exchange) => return Some(exchange),
        Err(NoContext::Untraced) => "untraced",
        Err(NoContext::Malformed) => "malformed",
    };
    metrics.unjoined(reason);
    None
}

/// Leaves out the items for which the list says true.
struct Without(std::vec::IntoIter<bool>);

impl Editor for Without {
    fn item(&mut self, _item: &mut Part<'_>) -> Visit {
        if self.0.next() == Some(true) { Visit::Drop } else { Visit::Keep }
    }
}

/// A panic of another thread leaves the index usable: at worst one exchange or span is in no list.
pub(super) fn lock(index: &Mutex<Index>) -> std::sync::MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}
