//! A queue on disk as its exporter sees it. All work on the disk is done by the queue's own thread, see [`super::worker`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    batch::Batch,
    budget::Held,
    component::{DurableQueue, QueueUsage},
    reply::{Code, Failure, Reply},
};
use tokio::sync::{Notify, oneshot};

use super::{
    log::{self, format::Outcome},
    record::Encoded,
};

/// The largest record; its length is a 32-bit number, with room to spare for its padding.
const LARGEST: usize = (u32::MAX as usize) - (1 << 20);
/// How many settlements wake the thread; fewer wait for its next round.
const MANY_SETTLED: usize = 64;

/// What the thread of a queue and its users share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    ready: Mutex<Ready>,
    available: Notify,
    /// What the thread last said of itself.
    state: State,
}

/// What the thread says of itself.
#[derive(Default)]
struct State {
    /// When the oldest record was appended, in milliseconds since 1970; 0 if there is none.
    oldest: AtomicU64,
    /// Whether there is more to read than what waits for the exporter.
    unread: AtomicBool,
    /// Below how many waiting bytes it should read on.
    low_water: AtomicU64,
}

/// What the thread is asked to do.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) appends: Vec<Append>,
    pub(super) settled: Vec<(u64, Outcome)>,
    /// What was settled and is still in `held`.
    pub(super) settled_size: Size,
    pub(super) returned: Vec<u64>,
    pub(super) hungry: bool,
    pub(super) closing: bool,
    /// The thread takes nothing more.
    closed: bool,
    users: usize,
    /// What the log holds, as it last said.
    held: log::Held,
}

/// A batch to append.
pub(super) struct Append {
    pub(super) batch: Batch,
    pub(super) encoded: Encoded,
    pub(super) answer: oneshot::Sender<Result<(), Failure>>,
}

/// Batches that were read and are waiting for the exporter.
#[derive(Default)]
struct Ready {
    batches: VecDeque<ReadyBatch>,
    bytes: u64,
}

/// One of them.
pub(super) struct ReadyBatch {
    pub(super) number: u64,
    pub(super) batch: Batch,
    /// Its share of the byte budget for queues.
    pub(super) held: Option<Held>,
}

/// The size of settled batches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    requests: u64,
    items: u64,
    bytes: u64,
}

/// The hold of one exporter on a queue. What it was given and did not settle is given to the next.
pub(super) struct Queue {
    shared: Arc<Shared>,
    given: Mutex<HashMap<u64, Size>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::default(),
            wake: Condvar::new(),
            ready: Mutex::default(),
            available: Notify::new(),
            state: State::default(),
        })
    }

    /// A hold on the queue; `None` if it is being closed.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Queue> {
        let mut inbox = self.inbox();
        if inbox.closing {
            return None;
        }
        inbox.users += 1;
        drop(inbox);
        Some(Queue { shared: Arc::clone(self), given: Mutex::default() })
    }

    /// Has the thread write what it knows and end.
    pub(super) fn close(&self) {
        self.inbox().closing = true;
        self.wake.notify_one();
    }

    /// Refuses what comes from now on, and gives up what waits.
    pub(super) fn closed(&self) {
        let appends = {
            let mut inbox = self.inbox();
            inbox.closing = true;
            inbox.closed = true;
            std::mem::take(&mut inbox.appends)
        };
        for append in appends {
            let _ = append.answer.send(Err(closed()));
        }
    }

    /// What there is to do; waits for something at most this long.
    pub(super) fn work(&self, patience: Duration) -> Inbox {
        let mut inbox = self.inbox();
        if !inbox.is_urgent() && !patience.is_zero() {
            let waiting = self.wake.wait_timeout_while(inbox, patience, |inbox| !inbox.is_urgent());
            inbox = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
        let inbox = &mut *inbox;
        Inbox {
            appends: std::mem::take(&mut inbox.appends),
            settled: std::mem::take(&mut inbox.settled),
            settled_size: inbox.settled_size,
            returned: std::mem::take(&mut inbox.returned),
            hungry: std::mem::take(&mut inbox.hungry),
            closing: inbox.closing,
            closed: false,
            users: 0,
            held: log::Held::default(),
        }
    }

    /// Tells users what the log holds, now that it knows of settlements of this size.
    pub(super) fn publish(&self, held: log::Held, settled: Size) {
        let mut inbox = self.inbox();
        inbox.held = held;
        inbox.settled_size.subtract(settled);
    }

    /// Tells users when the oldest record was appended.
    pub(super) fn publish_oldest(&self, oldest: Option<u64>) {
        self.state.oldest.store(oldest.unwrap_or(0), Ordering::Relaxed);
    }

    /// Has users wake the thread when less than this waits for the exporter, if there is more to read.
    pub(super) fn refill_below(&self, low_water: u64, unread: bool) {
        self.state.low_water.store(low_water, Ordering::Relaxed);
        self.state.unread.store(unread, Ordering::Release);
    }

    /// How many bytes wait for the exporter.
    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready().bytes
    }

    pub(super) fn push_ready(&self, batch: ReadyBatch) {
        let mut ready = self.ready();
        ready.bytes += size_in_memory(&batch.batch);
        ready.batches.push_back(batch);
        drop(ready);
        self.available.notify_one();
    }

    /// Takes back what waits for the exporter, from the front, as long as `excess` says so of a number.
    pub(super) fn take_back(&self, mut excess: impl FnMut(u64) -> bool) -> Vec<u64> {
        let mut ready = self.ready();
        let mut taken = Vec::new();
        while let Some(front) = ready.batches.pop_front_if(|front| excess(front.number)) {
            ready.bytes = ready.bytes.saturating_sub(size_in_memory(&front.batch));
            taken.push(front.number);
        }
        taken
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn is_urgent(&self) -> bool {
        !self.appends.is_empty()
            || !self.returned.is_empty()
            || self.hungry
            || self.closing
            || self.settled.len() >= MANY_SETTLED
    }
}

impl Queue {
    fn take_ready(&self) -> Option<(u64, Batch)> {
        let mut ready = self.shared.ready();
        let taken = ready.batches.pop_front();
        if let Some(taken) = &taken {
            ready.bytes = ready.bytes.saturating_sub(size_in_memory(&taken.batch));
        }
        let state = &self.shared.state;
        let low = ready.bytes < state.low_water.load(Ordering::Relaxed);
        drop(ready);
        if low && state.unread.swap(false, Ordering::AcqRel) {
            self.shared.inbox().hungry = true;
            self.shared.wake.notify_one();
        }
        let ReadyBatch { number, batch, held } = taken?;
        drop(held);
        let size = Size { requests: 1, items: batch.items() as u64, bytes: batch.bytes() as u64 };
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(number, size);
        Some((number, batch))
    }
}

impl DurableQueue for Queue {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let encoded = Encoded::new(&batch);
            if encoded.len() > LARGEST {
                let error = log::AppendError::TooLarge(encoded.len());
                return Err(Failure::permanent(error.to_string()).with_code(Code::ResourceExhausted));
            }
            let (answer, answered) = oneshot::channel();
            {
                let mut inbox = self.shared.inbox();
                if inbox.closing {
                    return Err(closed());
                }
                inbox.appends.push(Append { batch, encoded, answer });
            }
            self.shared.wake.notify_one();
            answered.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    fn next(&self) -> BoxFuture<'_, (u64, Batch)> {
        Box::pin(async move {
            loop {
                let available = self.shared.available.notified();
                tokio::pin!(available);
                available.as_mut().enable();
                if let Some(next) = self.take_ready() {
                    return next;
                }
                available.await;
            }
        })
    }

    fn settle(&self, number: u64, reply: &Reply) -> BoxFuture<'_, Result<(), Failure>> {
        let outcome = match reply {
            Reply::Delivered | Reply::Rejected { .. } | Reply::Mixed(_) => Outcome::Delivered,
            Reply::Failed(_) => Outcome::GivenUp,
        };
        Box::pin(async move {
            let size = self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            let Some(size) = size else { return Ok(()) };
            let mut inbox = self.shared.inbox();
            if inbox.closed {
                return Err(closed());
            }
            inbox.settled.push((number, outcome));
            inbox.settled_size.add(size);
            if inbox.settled.len() >= MANY_SETTLED {
                self.shared.wake.notify_one();
            }
            Ok(())
        })
    }

    fn usage(&self) -> QueueUsage {
        let oldest = self.shared.state.oldest.load(Ordering::Relaxed);
        let inbox = self.shared.inbox();
        let left =
            |held: u64, settled: u64| usize::try_from(held.saturating_sub(settled)).unwrap_or(usize::MAX);
        let requests = left(inbox.held.records, inbox.settled_size.requests);
        QueueUsage {
            requests,
            items: left(inbox.held.items, inbox.settled_size.items),
            bytes: left(inbox.held.bytes, inbox.settled_size.bytes),
            oldest: (requests > 0 && oldest > 0)
                .then(|| Duration::from_millis(unix_milliseconds().saturating_sub(oldest))),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let given = std::mem::take(self.given.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut inbox = self.shared.inbox();
        inbox.returned.extend(given.into_keys());
        inbox.users = inbox.users.saturating_sub(1);
        if inbox.users == 0 {
            inbox.closing = true;
        }
        drop(inbox);
        self.shared.wake.notify_one();
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.items += other.items;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

fn closed() -> Failure {
    Failure::retryable("the storage of the sending queue is closed; send again later")
        .with_code(Code::Unavailable)
}

/// Bytes that a batch keeps in memory.
pub(super) fn size_in_memory(batch: &Batch) -> u64 {
    batch.chunks().iter().map(|chunk| chunk.memory() as u64).sum()
}

/// Now, in milliseconds since 1970.
pub(super) fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
