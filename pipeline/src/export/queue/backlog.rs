//! Batches that wait for a consumer, and the consumers that send them.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::FutureExt;
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{sleep_until, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::{
    batch::Batch,
    batching::{Batcher, Merged, Next, Rules, Ticket, TooManyPartitions, send_by},
    export::{
        attempts::{Attempts, now},
        direct::shutting_down,
    },
    graph::panic_message,
    reply::Failure,
};

/// Batches that wait for a consumer.
pub(super) struct Backlog {
    pub(super) attempts: Attempts,
    batcher: Mutex<Batcher>,
    changed: Notify,
    taken: Notify,
}

/// The consumers of a backlog.
pub(super) struct Consumers {
    tasks: TaskTracker,
    abort: Vec<AbortHandle>,
}

impl Backlog {
    pub(super) fn new(attempts: Attempts, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            attempts,
            batcher: Mutex::new(Batcher::new(rules)),
            changed: Notify::new(),
            taken: Notify::new(),
        })
    }

    /// Adds a batch. One whose caller waits leaves early enough for the answer to reach the caller.
    pub(super) fn push(&self, batch: Batch, ticket: Ticket) -> Result<(), Failure> {
        let mut batcher = self.batcher();
        if self.attempts.closing.is_cancelled() {
            return Err(shutting_down());
        }
        let now = now();
        let deadline = batch.context().deadline.filter(|_| self.attempts.callers_wait);
        batcher
            .push(batch, ticket, now, send_by(now, deadline))
            .map_err(|error: TooManyPartitions| Failure::permanent(error.to_string()))?;
        drop(batcher);
        self.changed.notify_one();
        Ok(())
    }

    /// How much waits for a consumer, in the unit of the batching rules.
    pub(super) fn size(&self) -> usize {
        self.batcher().size()
    }

    /// Gives up what no consumer took; returns how many items that was.
    pub(super) fn abandon(&self) -> usize {
        self.batcher().abandon(&shutting_down().into())
    }

    /// Returns when a consumer has taken something since it was last called.
    pub(super) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Sends what there is until the exporter closes and nothing is left.
    async fn consume(&self) {
        while let Some(merged) = self.next().await {
            self.taken.notify_one();
            let deadline = merged.deadline().filter(|_| self.attempts.callers_wait);
            let reply = self.attempts.deliver(&merged.batch, deadline).await;
            merged.answer(&reply);
        }
    }

    async fn next(&self) -> Option<Merged> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let closing = self.attempts.closing.is_cancelled();
            let until = match self.take(closing) {
                Next::Ready(merged) => return Some(merged),
                Next::Wait(_) if closing => return None,
                Next::Wait(until) => until,
            };
            let due = async {
                match until {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = due => {}
                () = self.attempts.closing.cancelled() => {}
            }
        }
    }

    /// An idle consumer takes whatever there is if callers wait for it: they gain nothing by a fuller batch.
    fn take(&self, closing: bool) -> Next {
        let mut batcher = self.batcher();
        let next = batcher.next(now(), closing || self.attempts.callers_wait);
        let expired = batcher.take_expired();
        let more = !batcher.is_empty();
        drop(batcher);
        if expired > 0 {
            self.attempts.metrics.send_failed(expired, "deadline");
        }
        if more && matches!(next, Next::Ready(_)) {
            self.changed.notify_one();
        }
        next
    }

    fn batcher(&self) -> MutexGuard<'_, Batcher> {
        self.batcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn consume_whatever_happens(self: Arc<Self>) {
        while let Err(panic) = AssertUnwindSafe(self.consume()).catch_unwind().await {
            let reason = panic_message(panic.as_ref());
            error!(
                exporter = %self.attempts.id, reason,
                "A consumer of the sending queue panicked and was started again; report this"
            );
        }
    }
}

impl Consumers {
    pub(super) fn start(count: usize, backlog: &Arc<Backlog>) -> Self {
        let tasks = TaskTracker::new();
        let start = |_| tasks.spawn(Arc::clone(backlog).consume_whatever_happens()).abort_handle();
        let abort = (0..count).map(start).collect();
        tasks.close();
        Self { tasks, abort }
    }

    /// Lets the consumers send what is left, once and without repeating, and stops them at the deadline.
    pub(super) async fn drain(&self, backlog: &Backlog, deadline: Instant) {
        backlog.attempts.closing.cancel();
        if timeout_at(deadline.into(), self.tasks.wait()).await.is_err() {
            self.abort.iter().for_each(AbortHandle::abort);
            self.tasks.wait().await;
        }
    }
}
