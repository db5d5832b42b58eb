//! Writes what was held into batches again, with the resource and scope that it came with.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    budget::Budget,
    otlp::{
        view::{ResourceGroup, ScopeGroup},
        wire::Fields,
        write::Writer,
    },
};

use super::identity::Process;
use crate::room::Room;

/// Where the items of a resource group came from.
#[derive(Debug)]
pub(super) struct Source {
    /// Of the batch, without its deadline.
    context: Arc<Context>,
    /// The fields of the resource group other than its scope groups.
    fields: Vec<u8>,
    pub(super) process: Process,
    /// Whether its bytes are accounted for. They are shared: who is first pays.
    is_paid: AtomicBool,
}

/// The scope that items came with: the fields of its group other than the items.
pub(super) type Scope = Vec<u8>;

/// An item on its way out.
pub(super) struct Leaving {
    pub(super) source: Arc<Source>,
    pub(super) scope: Arc<Scope>,
    /// The encoded span or log record.
    pub(super) message: Vec<u8>,
    /// The room that it took while it waited, kept until it is taken.
    pub(super) room: Option<Room>,
}

impl Source {
    pub(super) fn of(group: &ResourceGroup<'_>, context: &Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context: Arc::clone(context),
            fields: without_members(group.message()),
            process: Process::of(&group.resource()),
            is_paid: AtomicBool::new(false),
        })
    }

    /// A source of which nothing is known.
    pub(super) fn unknown() -> Arc<Self> {
        Arc::new(Self {
            context: Arc::default(),
            fields: Vec::new(),
            process: Process::default(),
            is_paid: AtomicBool::new(true),
        })
    }

    /// The bytes that it takes, to the first that asks.
    pub(super) fn share(&self) -> usize {
        if self.is_paid.swap(true, Ordering::Relaxed) {
            return 0;
        }
        size_of::<Self>() + self.fields.len() + self.process.size()
    }
}

/// What of the context of a batch outlives the batch.
pub(super) fn lasting(context: &Arc<Context>) -> Arc<Context> {
    if context.deadline.is_none() {
        return Arc::clone(context);
    }
    Arc::new(Context { deadline: None, ..context.as_ref().clone() })
}

pub(super) fn scope_of(group: &ScopeGroup<'_>) -> Arc<Scope> {
    Arc::new(without_members(group.message()))
}

/// The field number of scope groups in a resource group, and of items in a scope group.
const MEMBERS: u32 = 2;

fn without_members(group: &[u8]) -> Vec<u8> {
    let fields = Fields::of(group).flatten().filter(|field| field.number != MEMBERS);
    fields.flat_map(|field| field.raw).copied().collect()
}

/// One batch for each context, in which items of one source and scope share a group.
pub(super) fn batches(signal: Signal, mut items: Vec<Leaving>, budget: &Budget) -> Vec<(Batch, Vec<Room>)> {
    let place = |item: &Leaving| {
        (
            Arc::as_ptr(&item.source.context).addr(),
            Arc::as_ptr(&item.source).addr(),
            Arc::as_ptr(&item.scope).addr(),
        )
    };
    items.sort_by_key(place);
    let groups = items.chunk_by_mut(|one, two| Arc::ptr_eq(&one.source.context, &two.source.context));
    groups
        .map(|items| {
            let rooms = items.iter_mut().filter_map(|item| item.room.take()).collect();
            (batch(signal, items, budget), rooms)
        })
        .collect()
}

fn batch(signal: Signal, items: &[Leaving], budget: &Budget) -> Batch {
    let size = items.iter().map(|item| item.message.len() + 16).sum();
    let mut bytes = Vec::with_capacity(size);
    let mut writer = Writer::new(&mut bytes);
    for of_source in items.chunk_by(|one, two| Arc::ptr_eq(&one.source, &two.source)) {
        writer.message(1, |writer| {
            writer.raw(of_source.first().map_or(&[], |item| &item.source.fields));
            for of_scope in of_source.chunk_by(|one, two| Arc::ptr_eq(&one.scope, &two.scope)) {
                writer.message(MEMBERS, |writer| {
                    writer.raw(of_scope.first().map_or(&[], |item| &item.scope));
                    of_scope.iter().for_each(|item| writer.bytes(MEMBERS, &item.message));
                });
            }
        });
    }
    let charge = budget.charge_anyway(bytes.len() as u64);
    let context = items.first().map(|item| Arc::clone(&item.source.context)).unwrap_or_default();
    let chunk = Chunk::new(bytes.into(), items.len()).with_charge(charge);
    Batch::from_chunks(signal, vec![chunk], context)
}
