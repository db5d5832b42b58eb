//! Batches that are filling up: what is joined with what, and what leaves when.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    merged::{Merged, Share, Trigger, latest},
    ticket::{Part, Ticket},
};
use crate::{
    batch::{Batch, Context},
    export::Sizer,
    otlp::split::{Limit, split},
    reply::{Code, Failure, Reply},
};

/// What is joined, and when it leaves.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What the sizes count.
    pub sizer: Sizer,
    /// From which size a batch leaves without waiting.
    pub min_size: usize,
    /// Larger batches are split.
    pub max_size: Option<NonZeroUsize>,
    /// How long a batch waits for others at most.
    pub timeout: Duration,
    /// Whether batches are joined at all; if not, each leaves as soon as it can, in order.
    pub join: bool,
    /// Only batches with equal values of these headers are joined.
    pub metadata_keys: Vec<HeaderName>,
    /// How many different combinations of those values are taken, over the life of the batcher.
    pub partition_limit: Option<usize>,
}

/// Holds batches of one signal until they may leave.
#[derive(Debug)]
pub struct Batcher {
    rules: Rules,
    partitions: HashMap<PartitionKey, Partition>,
    size: usize,
    expired: usize,
}

type PartitionKey = Vec<Vec<HeaderValue>>;

/// Batches that may be joined with each other.
#[derive(Debug, Default)]
struct Partition {
    waiting: VecDeque<Waiting>,
    size: usize,
    /// When its contents must leave; `None` while it is empty.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    size: usize,
    part: Part,
    due: Instant,
}

/// What is to be done now.
#[derive(Debug)]
pub enum Next {
    /// This batch leaves.
    Ready(Merged),
    /// Nothing leaves before this time, or before more arrives.
    Wait(Option<Instant>),
}

/// There are more combinations of metadata values than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many combinations of metadata values (metadata_cardinality_limit is {0}); raise the limit or drop a key"
)]
pub struct TooManyPartitions(pub usize);

impl Rules {
    /// Nothing is joined or split.
    #[must_use]
    pub fn none() -> Self {
        Self {
            sizer: Sizer::Requests,
            min_size: 0,
            max_size: None,
            timeout: Duration::ZERO,
            join: false,
            metadata_keys: Vec::new(),
            partition_limit: None,
        }
    }
}

impl Batcher {
    /// An empty batcher.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, partitions: HashMap::new(), size: 0, expired: 0 }
    }

    /// Adds a batch. It leaves at `send_by` at the latest, whatever its size.
    ///
    /// # Errors
    /// [`TooManyPartitions`]; the ticket is then dropped.
    pub fn push(
        &mut self,
        batch: Batch,
        ticket: Ticket,
        now: Instant,
        send_by: Option<Instant>,
    ) -> Result<(), TooManyPartitions> {
        let key = self.key(&batch);
        if let Some(limit) = self.rules.partition_limit
            && self.partitions.len() >= limit
            && !self.partitions.contains_key(&key)
        {
            return Err(TooManyPartitions(limit));
        }
        let waits = self.rules.join && Batch::can_join(batch.signal());
        let timeout = if waits { self.rules.timeout } else { Duration::ZERO };
        let due = now.checked_add(timeout).into_iter().chain(send_by).min().unwrap_or(now);
        let pieces = pieces(batch, &self.rules);
        if pieces.is_empty() {
            ticket.parts(1).for_each(|part| part.answer(&[], Reply::Delivered));
            return Ok(());
        }
        let parts = ticket.parts(pieces.len());
        let partition = self.partitions.entry(key).or_default();
        for (batch, part) in pieces.into_iter().zip(parts) {
            let size = self.rules.sizer.of(&batch);
            self.size += size;
            partition.size += size;
            partition.due = Some(partition.due.map_or(due, |earlier| earlier.min(due)));
            partition.waiting.push_back(Waiting { batch, size, part, due });
        }
        Ok(())
    }

    /// What is to be done now. `eager`: whatever there is leaves, since waiting gains nothing.
    pub fn next(&mut self, now: Instant, eager: bool) -> Next {
        loop {
            let ready = self
                .partitions
                .iter()
                .filter_map(|(key, partition)| {
                    Some((partition.due?, partition.trigger(&self.rules, now, eager)?, key))
                })
                .min_by_key(|(due, ..)| *due)
                .map(|(_, trigger, key)| (trigger, key.clone()));
            let Some((trigger, key)) = ready else {
                return Next::Wait(self.partitions.values().filter_map(|partition| partition.due).min());
            };
            if let Some(merged) = self.take(&key, trigger, now) {
                return Next::Ready(merged);
            }
        }
    }

    /// How much waits, in the unit of the sizer.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.values().all(|partition| partition.waiting.is_empty())
    }

    /// How many combinations of metadata values are known.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How many items were given up since last asked because their caller had stopped waiting.
    pub fn take_expired(&mut self) -> usize {
        std::mem::take(&mut self.expired)
    }

    /// Gives up everything that waits; returns how many items that was. The callers get `reply`.
    pub fn abandon(&mut self, reply: &Reply) -> usize {
        let mut items = 0;
        for waiting in self.partitions.drain().flat_map(|(_, partition)| partition.waiting) {
            items += waiting.batch.items();
            waiting.part.answer(&waiting.batch.origins(), reply.clone());
        }
        self.size = 0;
        items
    }

    fn key(&self, batch: &Batch) -> PartitionKey {
        let metadata = &batch.context().metadata;
        self.rules.metadata_keys.iter().map(|name| metadata.get_all(name).iter().cloned().collect()).collect()
    }

    /// Takes from the front of a partition; `None` if no caller waits for what was there any more.
    fn take(&mut self, key: &PartitionKey, trigger: Trigger, now: Instant) -> Option<Merged> {
        let partition = self.partitions.get_mut(key)?;
        let mut taken: Vec<Waiting> = Vec::new();
        let mut size = 0;
        while let Some(front) = partition.waiting.front() {
            if !taken.is_empty() && !self.rules.may_join(size, front) {
                break;
            }
            let Some(waiting) = partition.waiting.pop_front() else { break };
            partition.size -= waiting.size;
            self.size -= waiting.size;
            if waiting.part.deadline().is_some_and(|deadline| deadline <= now) {
                self.expired += waiting.batch.items();
                waiting.part.answer(&waiting.batch.origins(), expired());
            } else {
                size += waiting.size;
                taken.push(waiting);
            }
        }
        partition.due = partition.waiting.iter().map(|waiting| waiting.due).min();
        if partition.due.is_none() && self.rules.partition_limit.is_none() {
            self.partitions.remove(key);
        }
        self.rules.merge(taken, key, trigger)
    }
}

impl Partition {
    fn trigger(&self, rules: &Rules, now: Instant, eager: bool) -> Option<Trigger> {
        let due = self.due?;
        let full = rules.join && self.size >= rules.min_size;
        match () {
            () if full => Some(Trigger::Size),
            () if due <= now => Some(Trigger::Timeout),
            () if eager => Some(Trigger::Idle),
            () => None,
        }
    }
}

impl Rules {
    fn may_join(&self, size: usize, next: &Waiting) -> bool {
        self.join
            && Batch::can_join(next.batch.signal())
            && self.max_size.is_none_or(|limit| size + next.size <= limit.get())
    }

    fn merge(&self, taken: Vec<Waiting>, key: &PartitionKey, trigger: Trigger) -> Option<Merged> {
        let first = taken.first()?;
        let signal = first.batch.signal();
        let context =
            if self.join { Arc::new(self.context(&taken, key)) } else { Arc::clone(first.batch.context()) };
        let mut chunks = Vec::new();
        let mut parts = Vec::with_capacity(taken.len());
        for waiting in taken {
            parts.push(Share { part: waiting.part, chunks: waiting.batch.chunks().len() });
            chunks.extend(waiting.batch.into_chunks());
        }
        Some(Merged { batch: Batch::from_chunks(signal, chunks, context), trigger, parts })
    }

    /// What still holds of the senders of a joined batch: the metadata that they have in common, and their deadline.
    fn context(&self, taken: &[Waiting], key: &PartitionKey) -> Context {
        let mut metadata = HeaderMap::new();
        for (name, values) in self.metadata_keys.iter().zip(key) {
            for value in values {
                metadata.append(name, value.clone());
            }
        }
        let contexts = || taken.iter().map(|waiting| waiting.batch.context());
        Context {
            deadline: latest(taken.iter().map(|waiting| waiting.part.deadline())),
            metadata,
            arrival: contexts().map(|context| context.arrival).min().unwrap_or_else(Instant::now),
            ..Context::default()
        }
    }
}

/// The batch itself, or what it must be split into.
fn pieces(batch: Batch, rules: &Rules) -> Vec<Batch> {
    let limit = match (rules.max_size, rules.sizer) {
        (Some(most), Sizer::Items) => Limit::Items(most.get()),
        (Some(most), Sizer::Bytes) => Limit::Bytes(most.get()),
        // Chunks that cannot be joined come apart all the same.
        _ => Limit::Items(usize::MAX),
    };
    split(batch, limit)
}

/// What a caller is told whose time was up before its batch left.
fn expired() -> Reply {
    Failure::retryable("the batch could not be sent before its caller's deadline")
        .with_code(Code::DeadlineExceeded)
        .into()
}
