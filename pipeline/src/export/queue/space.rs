//! Room in a durable queue: bounded in the unit of its sizer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout_at},
};

use crate::{
    component::QueueUsage,
    consumer::Demand,
    export::{QueueConfig, Sizer},
    reply::{Code, Failure},
};

/// How often a caller that waits for room looks again: a queue also gives up what is too old, without telling anyone.
const POLL: Duration = Duration::from_millis(100);

/// The room of one durable queue. What is on its way to the destination still takes room.
#[derive(Clone)]
pub(super) struct Space(Arc<Shared>);

struct Shared {
    limit: usize,
    sizer: Sizer,
    blocks: bool,
    /// What is granted and not yet in the queue.
    reserved: Mutex<usize>,
    freed: Notify,
}

/// Room granted for a batch on its way into the queue; dropping it gives the room back.
pub(super) struct Granted {
    space: Space,
    size: usize,
}

impl Space {
    pub(super) fn new(config: &QueueConfig) -> Self {
        Self(Arc::new(Shared {
            limit: config.queue_size,
            sizer: config.sizer(),
            blocks: config.block_on_overflow,
            reserved: Mutex::new(0),
            freed: Notify::new(),
        }))
    }

    /// Grants room at once, or with `block_on_overflow` as soon as there is some before the caller's deadline.
    pub(super) async fn take(
        &self,
        demand: &Demand,
        usage: impl Fn() -> QueueUsage,
    ) -> Result<Granted, Failure> {
        let size = self.0.sizer.of_demand(demand);
        let (limit, unit) = (self.0.limit, self.0.sizer.name());
        if size > limit {
            let message = format!(
                "the request of {size} {unit} can never fit the sending queue of {limit} {unit}; raise \
                 sending_queue.queue_size"
            );
            return Err(Failure::permanent(message).with_code(Code::ResourceExhausted));
        }
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(granted) = self.try_take(size, &usage()) {
                return Ok(granted);
            }
            let full = || {
                let message = format!(
                    "sending queue is full ({limit} {unit}); the destination is slower than what arrives"
                );
                Failure::retryable(message).with_code(Code::Unavailable)
            };
            let look_again = async {
                tokio::select! {
                    () = freed => {}
                    () = sleep(POLL) => {}
                }
            };
            if !self.0.blocks || !before(demand.deadline, look_again).await {
                return Err(full());
            }
        }
    }

    fn try_take(&self, size: usize, usage: &QueueUsage) -> Option<Granted> {
        let mut reserved = self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.size_of(usage).saturating_add(*reserved);
        (held.saturating_add(size) <= self.0.limit).then(|| {
            *reserved += size;
            Granted { space: self.clone(), size }
        })
    }

    /// The size of what a queue holds, in the unit of its sizer.
    pub(super) fn size_of(&self, usage: &QueueUsage) -> usize {
        match self.0.sizer {
            Sizer::Requests => usage.requests,
            Sizer::Items => usage.items,
            Sizer::Bytes => usage.bytes,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.0.limit
    }

    pub(super) fn blocks(&self) -> bool {
        self.0.blocks
    }

    /// Something has left the queue.
    pub(super) fn freed(&self) {
        self.0.freed.notify_waiters();
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let mut reserved = self.space.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        *reserved = reserved.saturating_sub(self.size);
    }
}

/// Whether a future ends before the deadline.
pub(super) async fn before(deadline: Option<Instant>, future: impl Future<Output = ()>) -> bool {
    match deadline {
        Some(deadline) => timeout_at(deadline.into(), future).await.is_ok(),
        None => {
            future.await;
            true
        }
    }
}
