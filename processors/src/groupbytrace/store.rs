//! The traces that are held, in the order in which they leave.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    otlp::{
        view::{ScopeGroup, resource_groups},
        wire::Fields,
        write::Writer,
    },
};

use crate::room::Room;

/// The field number of scope groups in a resource group, and of spans in a scope group.
const MEMBERS: u32 = 2;
/// How many spans leave in one batch, unless a single trace has more.
const BATCH_SPANS: usize = 2000;

/// Traces that are held.
pub(super) struct Store {
    wait: Duration,
    most: usize,
    traces: HashMap<Box<[u8]>, Trace>,
    /// When each leaves, by its id.
    order: VecDeque<(Instant, Box<[u8]>)>,
    /// The context of traces of which nothing is known about the sender.
    unknown: Arc<Context>,
}

/// What has come of a trace.
struct Trace {
    /// An encoded `TracesData`.
    bytes: Vec<u8>,
    spans: usize,
    context: Arc<Context>,
    /// The room that its batches took, shared with the other traces in them.
    rooms: Vec<Arc<Room>>,
}

/// Traces that leave together.
pub(super) struct Leaving {
    pub(super) batch: Batch,
    pub(super) traces: usize,
    /// To be kept until they have left.
    pub(super) rooms: Vec<Arc<Room>>,
}

impl Store {
    pub(super) fn new(wait: Duration, most: usize) -> Self {
        Self { wait, most, traces: HashMap::new(), order: VecDeque::new(), unknown: Arc::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// When the next trace leaves.
    pub(super) fn due(&self) -> Option<Instant> {
        self.order.front().map(|(due, _)| *due)
    }

    /// Takes the spans of a batch, for which there is this room.
    pub(super) fn add(&mut self, batch: &Batch, room: &Arc<Room>, now: Instant) {
        let context = self.context(batch.context());
        for chunk in batch.chunks() {
            for group in resource_groups(chunk.bytes()) {
                let resource = without_members(group.message());
                for scope_group in group.scope_groups() {
                    self.add_scope(&resource, &scope_group, &context, room, now);
                }
            }
        }
    }

    fn add_scope(
        &mut self,
        resource: &[u8],
        group: &ScopeGroup<'_>,
        context: &Arc<Context>,
        room: &Arc<Room>,
        now: Instant,
    ) {
        let scope = without_members(group.message());
        let mut by_trace: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for span in group.spans() {
            by_trace.entry(span.trace_id).or_default().push(span.message);
        }
        for (id, spans) in by_trace {
            let trace = match self.traces.get_mut(id) {
                Some(trace) => trace,
                None => {
                    self.order.push_back((now + self.wait, id.into()));
                    let context = Arc::clone(context);
                    let new = Trace { bytes: Vec::new(), spans: 0, context, rooms: Vec::new() };
                    self.traces.entry(id.into()).or_insert(new)
                }
            };
            trace.spans += spans.len();
            if trace.rooms.last().is_none_or(|last| !Arc::ptr_eq(last, room)) {
                trace.rooms.push(Arc::clone(room));
            }
            Writer::new(&mut trace.bytes).message(1, |writer| {
                writer.raw(resource);
                writer.message(MEMBERS, |writer| {
                    writer.raw(&scope);
                    spans.into_iter().for_each(|span| writer.bytes(MEMBERS, span));
                });
            });
        }
    }

    /// What of the context of a batch outlives it, shared where nothing is known.
    fn context(&self, context: &Arc<Context>) -> Arc<Context> {
        if context.metadata.is_empty() && context.auth.is_empty() {
            return Arc::clone(&self.unknown);
        }
        Arc::new(Context { deadline: None, ..context.as_ref().clone() })
    }

    /// Gives out the traces whose time has come, and how many leave before it because there are too many.
    pub(super) fn release(&mut self, now: Instant) -> (Vec<Leaving>, usize) {
        let mut traces = Vec::new();
        let mut early = 0;
        while let Some((due, _)) = self.order.front() {
            let is_early = *due > now;
            if is_early && self.traces.len() <= self.most {
                break;
            }
            early += usize::from(is_early);
            let id = self.order.pop_front().map(|(_, id)| id).unwrap_or_default();
            traces.extend(self.traces.remove(&id));
        }
        (batches(traces), early)
    }

    /// Gives out all of them.
    pub(super) fn release_all(&mut self) -> Vec<Leaving> {
        let order = std::mem::take(&mut self.order);
        batches(order.into_iter().filter_map(|(_, id)| self.traces.remove(&id)).collect())
    }
}

/// Batches of whole traces, each trace a chunk.
fn batches(traces: Vec<Trace>) -> Vec<Leaving> {
    let mut leaving: Vec<Leaving> = Vec::new();
    for trace in traces {
        let chunk = Chunk::new(trace.bytes.into(), trace.spans);
        let batch = Batch::from_chunks(Signal::Traces, vec![chunk], trace.context);
        match leaving.last_mut() {
            Some(last)
                if Arc::ptr_eq(last.batch.context(), batch.context())
                    && last.batch.items() + batch.items() <= BATCH_SPANS =>
            {
                last.batch.join(batch);
                last.traces += 1;
                last.rooms.extend(trace.rooms);
            }
            _ => leaving.push(Leaving { batch, traces: 1, rooms: trace.rooms }),
        }
    }
    leaving
}

fn without_members(group: &[u8]) -> Vec<u8> {
    let fields = Fields::of(group).flatten().filter(|field| field.number != MEMBERS);
    fields.flat_map(|field| field.raw).copied().collect()
}
