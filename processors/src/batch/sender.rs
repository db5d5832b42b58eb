//! Sends batches on when they are due.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Reply,
    batching::{Batcher, Merged, Next, Ticket, send_by},
    component::{ComponentId, Kind, ProcessorContext},
    graph::Status,
    outlet::offer,
    telemetry::ProcessorMetrics,
};
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, warn};

use super::{BatchConfig, metrics::BatchMetrics, processor::shutting_down};

/// How long to wait before a next stage that has no room is asked again: at first, and at most.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Holds batches until they are due and sends them on.
pub(super) struct Sender {
    pub(super) closing: CancellationToken,
    pub(super) metrics: ProcessorMetrics,
    id: ComponentId,
    /// Where what a drain loses is told.
    status: Arc<Status>,
    batches: BatchMetrics,
    batcher: Mutex<Batcher>,
    changed: Notify,
    next: Arc<dyn Consumer>,
    holds_callers: bool,
    under_way: AtomicUsize,
    sends: TaskTracker,
    /// Why the next stage takes nothing at the moment; callers are refused for the same reason.
    blocked: Mutex<Option<Failure>>,
}

/// Counts a batch as under way while it lives.
struct UnderWay(Arc<Sender>);

/// Counts items as lost if they are not handed over before this is dropped.
struct Unsent<'a> {
    sender: &'a Sender,
    items: usize,
}

impl Sender {
    pub(super) fn new(config: &BatchConfig, context: &ProcessorContext, next: Arc<dyn Consumer>) -> Self {
        let id = context.component.id.clone();
        Self {
            closing: CancellationToken::new(),
            metrics: ProcessorMetrics::new(&id, context.pipeline.signal),
            batches: BatchMetrics::new(&id),
            id,
            status: Arc::clone(&context.component.status),
            batcher: Mutex::new(Batcher::new(config.rules())),
            changed: Notify::new(),
            next,
            holds_callers: context.answers_later,
            under_way: AtomicUsize::new(0),
            sends: TaskTracker::new(),
            blocked: Mutex::default(),
        }
    }

    /// Why nothing can be taken now.
    pub(super) fn refusal(&self) -> Option<Failure> {
        if self.closing.is_cancelled() {
            return Some(shutting_down());
        }
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn push(
        &self,
        batch: Batch,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<(), Failure> {
        let items = batch.items();
        let mut batcher = self.batcher();
        if self.closing.is_cancelled() {
            return Err(shutting_down());
        }
        let now = now();
        batcher.push(batch, ticket, now, send_by(now, deadline)).map_err(|error| {
            self.metrics.dropped(items, "cardinality");
            Failure::permanent(error.to_string())
        })?;
        self.batches.partitions(batcher.partitions());
        drop(batcher);
        self.changed.notify_one();
        Ok(())
    }

    /// Sends what is due until the processor closes, then what is left.
    pub(super) async fn run(self: Arc<Self>) {
        while let Some(merged) = self.due().await {
            self.batches.sent(&merged);
            if self.holds_callers {
                let under_way = UnderWay::new(&self);
                self.sends.spawn(async move { under_way.0.deliver(merged).await });
            } else {
                self.hand_over(merged).await;
            }
        }
        self.sends.close();
        self.sends.wait().await;
    }

    /// Gives up what was not sent in time. Callers that are held are told; what was answered is counted as lost.
    pub(super) fn abandon(&self) {
        let items = self.batcher().abandon(&shutting_down().into());
        if items > 0 && !self.holds_callers {
            self.lost(items, "shutdown");
            error!(processor = %self.id, dropped_items = items, "A batch was not sent before the shutdown deadline");
        }
    }

    /// The next batch that is due; `None` when the processor has closed and nothing is left.
    async fn due(&self) -> Option<Merged> {
        loop {
            let changed = self.changed.notified();
            let closing = self.closing.is_cancelled();
            let idle = self.holds_callers && self.under_way.load(Ordering::Acquire) == 0;
            let until = match self.take(idle || closing) {
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
                () = self.closing.cancelled() => {}
            }
        }
    }

    fn take(&self, eager: bool) -> Next {
        let mut batcher = self.batcher();
        let next = batcher.next(now(), eager);
        let expired = batcher.take_expired();
        if expired > 0 {
            self.metrics.dropped(expired, "deadline");
        }
        next
    }

    /// Sends a batch whose callers wait, and answers them.
    async fn deliver(&self, merged: Merged) {
        let items = merged.batch.items();
        let reply = offer(self.next.as_ref(), merged.batch.clone()).await;
        if !matches!(reply, Reply::Failed(_)) {
            self.metrics.outgoing(items);
        }
        merged.answer(&reply);
    }

    /// Sends a batch whose callers were answered. While the next stage has no room the batch stays, and callers
    /// are refused.
    async fn hand_over(&self, merged: Merged) {
        let items = merged.batch.items();
        let mut unsent = Unsent { sender: self, items };
        let demand = Demand::of(&merged.batch);
        let mut pause = ASK_AGAIN.0;
        let reply = loop {
            let closing = self.closing.is_cancelled();
            match self.next.reserve(&demand).await {
                Ok(permit) => break self.next.consume(merged.batch.clone(), permit).await,
                Err(failure) if failure.is_permanent() || closing => break failure.into(),
                Err(failure) => self.block(failure),
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(ASK_AGAIN.1),
                () = self.closing.cancelled() => {}
            }
        };
        unsent.items = 0;
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Reply::Failed(failure) = &reply {
            self.lost(items, "sender_failed");
            error!(processor = %self.id, error = %failure, dropped_items = items, "Sender failed");
        } else {
            self.metrics.outgoing(items);
        }
        merged.answer(&reply);
    }

    fn block(&self, failure: Failure) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        if blocked.is_none() {
            warn!(
                processor = %self.id, error = %failure,
                "The next stage has no room; the batch is kept and new data refused until it has"
            );
        }
        *blocked = Some(failure);
    }

    /// Items are given up whose callers were answered.
    fn lost(&self, items: usize, reason: &'static str) {
        self.metrics.dropped(items, reason);
        self.status.lost(Kind::Processor, &self.id, items);
    }

    fn batcher(&self) -> MutexGuard<'_, Batcher> {
        self.batcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.sender.lost(self.items, "shutdown");
        }
    }
}

impl UnderWay {
    fn new(sender: &Arc<Sender>) -> Self {
        sender.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(sender))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
