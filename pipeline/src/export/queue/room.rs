//! Room in a memory queue: bounded in the unit of its sizer and in bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    budget::{Budget, Exhausted, Held},
    consumer::Demand,
    export::{QueueConfig, Sizer, attempts::now},
    reply::{Code, Failure},
    telemetry::ExporterMetrics,
};

/// How often a caller that waits for bytes looks again: other queues free some without telling this one.
const BUDGET_POLL: Duration = Duration::from_millis(100);

/// The room of one queue. What is on its way to the destination still takes room.
#[derive(Clone)]
pub(super) struct Room(Arc<Shared>);

struct Shared {
    slots: Arc<Semaphore>,
    size: usize,
    sizer: Sizer,
    budget: Budget,
    bytes: AtomicU64,
    freed: Notify,
    taken_at: Mutex<TakenAt>,
    metrics: ExporterMetrics,
}

/// When each reservation in force was made, in order.
#[derive(Default)]
struct TakenAt {
    next: u64,
    times: BTreeMap<u64, Instant>,
}

/// Room taken for one batch; dropping it gives the room back.
pub(super) struct Reservation {
    room: Room,
    slots: Option<OwnedSemaphorePermit>,
    held: Option<Held>,
    bytes: u64,
    number: u64,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoRoom {
    #[error(
        "the request of {size} {unit} can never fit the sending queue of {limit} {unit}; raise sending_queue.queue_size"
    )]
    TooLarge { size: usize, limit: usize, unit: &'static str },
    #[error("sending queue is full ({limit} {unit}); the destination is slower than what arrives")]
    Full { limit: usize, unit: &'static str },
    #[error("sending queue is full: {0}")]
    Budget(#[from] Exhausted),
}

impl Room {
    pub(super) fn new(config: &QueueConfig, budget: Budget, metrics: ExporterMetrics) -> Self {
        let size = config.queue_size.min(Semaphore::MAX_PERMITS);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics.queue_capacity.set(size as f64);
        Self(Arc::new(Shared {
            slots: Arc::new(Semaphore::new(size)),
            size,
            sizer: config.sizer(),
            budget,
            bytes: AtomicU64::new(0),
            freed: Notify::new(),
            taken_at: Mutex::default(),
            metrics,
        }))
    }

    /// Takes room at once or not at all.
    pub(super) fn try_take(&self, demand: &Demand) -> Result<Reservation, NoRoom> {
        let size = self.size_of(demand)?;
        let slots = Arc::clone(&self.0.slots).try_acquire_many_owned(size).map_err(|_| self.full())?;
        let held = self.hold(demand.bytes)?;
        Ok(self.reservation(slots, held, demand.bytes))
    }

    /// Takes room, waiting for it until the caller's deadline.
    pub(super) async fn take(&self, demand: &Demand) -> Result<Reservation, NoRoom> {
        let size = self.size_of(demand)?;
        let slots = Arc::clone(&self.0.slots).acquire_many_owned(size);
        let slots = match demand.deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), slots).await.map_err(|_| self.full())?
            }
            None => slots.await,
        }
        .map_err(|_| self.full())?;
        let held = loop {
            let freed = self.0.freed.notified();
            match self.hold(demand.bytes) {
                Ok(held) => break held,
                Err(exhausted) if demand.deadline.is_some_and(|deadline| deadline <= now()) => {
                    return Err(exhausted.into());
                }
                Err(_) => {
                    let _ = timeout(BUDGET_POLL, freed).await;
                }
            }
        };
        Ok(self.reservation(slots, held, demand.bytes))
    }

    /// How long ago the oldest batch came in.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let taken_at = self.0.taken_at.lock().unwrap_or_else(PoisonError::into_inner);
        taken_at.times.values().next().map(|time| now().saturating_duration_since(*time))
    }

    /// Brings the gauges up to date.
    pub(super) fn report(&self) {
        let shared = &self.0;
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        {
            shared
                .metrics
                .queue_size
                .set(shared.size.saturating_sub(shared.slots.available_permits()) as f64);
            shared.metrics.queue_bytes.set(shared.bytes.load(Ordering::Relaxed) as f64);
        }
        shared.metrics.queue_age.set(self.oldest().map_or(0.0, |age| age.as_secs_f64()));
    }

    fn size_of(&self, demand: &Demand) -> Result<u32, NoRoom> {
        let (size, limit, unit) = (self.0.sizer.of_demand(demand), self.0.size, self.0.sizer.name());
        match u32::try_from(size) {
            Ok(small) if size <= limit => Ok(small),
            _ => Err(NoRoom::TooLarge { size, limit, unit }),
        }
    }

    fn full(&self) -> NoRoom {
        NoRoom::Full { limit: self.0.size, unit: self.0.sizer.name() }
    }

    fn hold(&self, bytes: usize) -> Result<Held, Exhausted> {
        let bytes = bytes as u64;
        let held = self.0.budget.hold(bytes, self.0.bytes.load(Ordering::Relaxed))?;
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(held)
    }

    fn reservation(&self, slots: OwnedSemaphorePermit, held: Held, bytes: usize) -> Reservation {
        let number = {
            let mut taken_at = self.0.taken_at.lock().unwrap_or_else(PoisonError::into_inner);
            taken_at.next += 1;
            let number = taken_at.next;
            taken_at.times.insert(number, now());
            number
        };
        self.report();
        Reservation { room: self.clone(), slots: Some(slots), held: Some(held), bytes: bytes as u64, number }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let shared = &self.room.0;
        shared.taken_at.lock().unwrap_or_else(PoisonError::into_inner).times.remove(&self.number);
        shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held = None;
        self.slots = None;
        shared.freed.notify_waiters();
        self.room.report();
    }
}

impl From<NoRoom> for Failure {
    fn from(reason: NoRoom) -> Self {
        match reason {
            NoRoom::TooLarge { .. } => Self::permanent(reason.to_string()).with_code(Code::ResourceExhausted),
            NoRoom::Full { .. } | NoRoom::Budget(_) => {
                Self::retryable(reason.to_string()).with_code(Code::Unavailable)
            }
        }
    }
}
