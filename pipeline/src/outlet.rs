//! Where a receiver hands its batches to the pipelines.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::{Notify, oneshot};

use crate::{
    batch::Batch,
    consumer::{Consumer, Demand, Permit},
    reply::{Failure, Reply},
};

/// A receiver's way into the pipelines of one signal.
///
/// Each batch becomes a task of its own, so a client that leaves cancels nothing. Reload swaps the pipelines behind
/// an outlet atomically: a batch runs wholly through the old ones or wholly through the new ones.
#[derive(Clone)]
pub struct Outlet {
    current: Arc<ArcSwap<Line>>,
    used: Arc<AtomicBool>,
}

/// What an outlet leads to, with the count of batches under way in it.
pub struct Line {
    consumer: Arc<dyn Consumer>,
    under_way: AtomicUsize,
    idle: Notify,
}

struct UnderWay(Arc<Line>);

/// Room behind an outlet, with the pipelines that granted it: a batch goes where its room is, also across a reload.
struct Passage {
    permit: Permit,
    under_way: UnderWay,
}

impl Outlet {
    /// An outlet into this consumer.
    #[must_use]
    pub fn new(consumer: Arc<dyn Consumer>) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(Line::new(consumer))), used: Arc::default() }
    }

    /// Hands a batch over and waits for the answer. Dropping the future does not cancel the batch.
    pub async fn send(&self, batch: Batch) -> Reply {
        if batch.items() == 0 && batch.chunks().iter().all(|chunk| chunk.bytes().is_empty()) {
            return Reply::Delivered;
        }
        self.used.store(true, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let under_way = Line::enter(self.current.load_full());
        tokio::spawn(async move {
            let reply = offer(under_way.0.consumer.as_ref(), batch).await;
            drop(under_way);
            // The client may have left; its batch was still answered for.
            let _ = answer.send(reply);
        });
        answered.await.unwrap_or_else(|_| {
            Failure::retryable("a pipeline task ended without an answer; see the log for its panic").into()
        })
    }

    /// Leads to other pipelines from now on; returns what it led to before, to be drained.
    #[must_use]
    pub fn swap(&self, consumer: Arc<dyn Consumer>) -> Arc<Line> {
        self.current.swap(Arc::new(Line::new(consumer)))
    }

    /// Whether any batch was ever handed over.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// What it leads to now.
    #[must_use]
    pub fn line(&self) -> Arc<Line> {
        self.current.load_full()
    }
}

/// What a connector hands on to. It runs in the task of the pipeline before it, and asks the pipelines behind it for
/// room, so that a fan-out in front of a connector knows of a refusal behind it.
impl Consumer for Outlet {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move {
            let under_way = Line::enter(self.current.load_full());
            let permit = under_way.0.consumer.reserve(demand).await?;
            Ok(Permit::holding(Passage { permit, under_way }))
        })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let Some(Passage { permit, under_way }) = permit.into_reservation() else {
                let under_way = Line::enter(self.current.load_full());
                return offer(under_way.0.consumer.as_ref(), batch).await;
            };
            under_way.0.consumer.consume(batch, permit).await
        })
    }

    /// The graph drains the pipelines behind an outlet itself.
    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// Reserves room for a batch and hands it over.
pub async fn offer(consumer: &dyn Consumer, batch: Batch) -> Reply {
    match consumer.reserve(&Demand::of(&batch)).await {
        Ok(permit) => consumer.consume(batch, permit).await,
        Err(refusal) => refusal.into(),
    }
}

impl Line {
    fn new(consumer: Arc<dyn Consumer>) -> Self {
        Self { consumer, under_way: AtomicUsize::new(0), idle: Notify::new() }
    }

    fn enter(line: Arc<Self>) -> UnderWay {
        line.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(line)
    }

    /// How many batches have been handed over and not answered.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Returns once no batch is under way.
    pub async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.under_way() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
