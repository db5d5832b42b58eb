//! The stage that takes spans, and the task that hands on traces when their time has come.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use metrics::{Counter, Gauge, counter, gauge};
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Permit, Reply, Signal,
    component::{ComponentId, Kind, ProcessorContext},
    graph::Status,
    telemetry::{ProcessorMetrics, names},
};
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::warn;

use super::{
    config::GroupByTraceConfig,
    store::{Leaving, Store},
};
use crate::{
    handing_on::{NotTaken, hand_on},
    room::{Room, Rooms},
};

/// Traces that become due within this time leave together.
const TOGETHER: Duration = Duration::from_millis(20);
/// What a span of a trace takes besides its bytes, about: the resource and scope are written for each trace.
const SPAN_COST: usize = 256;

struct Shared {
    id: ComponentId,
    store: Mutex<Store>,
    next: Arc<dyn Consumer>,
    /// Of what is held, with what is on its way out.
    rooms: Rooms,
    metrics: ProcessorMetrics,
    held: Gauge,
    released_spans: Counter,
    released_traces: Counter,
    evicted: Counter,
    status: Arc<Status>,
    /// Set when the store was empty and is not any more.
    busy: Notify,
    closing: CancellationToken,
    /// What is on its way out.
    sends: TaskTracker,
    leaving: AtomicUsize,
}

struct Stage {
    shared: Arc<Shared>,
    _close: DropGuard,
}

pub(super) fn build(
    config: &GroupByTraceConfig,
    context: ProcessorContext,
    next: Arc<dyn Consumer>,
) -> Arc<dyn Consumer> {
    let component = context.component;
    let counter = |name: &'static str| counter!(name, "processor" => component.id.to_string());
    let shared = Arc::new(Shared {
        store: Mutex::new(Store::new(config.wait_duration.get(), config.num_traces)),
        next,
        rooms: Rooms::new(u64::MAX, component.budget.clone()),
        metrics: ProcessorMetrics::new(&component.id, Signal::Traces),
        held: gauge!(names::GROUP_TRACES_HELD, "processor" => component.id.to_string()),
        released_spans: counter(names::GROUP_SPANS_RELEASED),
        released_traces: counter(names::GROUP_TRACES_RELEASED),
        evicted: counter(names::GROUP_TRACES_EVICTED),
        status: Arc::clone(&component.status),
        id: component.id.clone(),
        busy: Notify::new(),
        closing: CancellationToken::new(),
        sends: TaskTracker::new(),
        leaving: AtomicUsize::new(0),
    });
    let task = Arc::clone(&shared).mind_the_time();
    component.status.supervise(Kind::Processor, &component.id, "hands on traces", task);
    let close = shared.closing.clone().drop_guard();
    Arc::new(Stage { shared, _close: close })
}

impl Shared {
    async fn mind_the_time(self: Arc<Self>) {
        loop {
            let due = self.store().due();
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.busy.notified(), if due.is_none() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    sleep(TOGETHER).await;
                    self.release();
                }
            }
        }
    }

    /// Hands on the traces whose time has come, and those that are too many.
    fn release(self: &Arc<Self>) {
        let mut store = self.store();
        let (leaving, early) = store.release(tokio::time::Instant::now().into_std());
        self.note(&store);
        drop(store);
        if early > 0 {
            self.evicted.increment(early as u64);
        }
        self.send(leaving);
    }

    /// Sends in tasks of their own: nobody waits for an answer.
    fn send(self: &Arc<Self>, leaving: Vec<Leaving>) {
        for Leaving { batch, traces, rooms } in leaving {
            let items = batch.items();
            self.leaving.fetch_add(items, Ordering::Relaxed);
            self.released_spans.increment(items as u64);
            self.released_traces.increment(traces as u64);
            let shared = Arc::clone(self);
            self.sends.spawn(async move {
                match hand_on(&batch, shared.next.as_ref()).await {
                    Ok(()) => shared.metrics.outgoing(items),
                    Err(NotTaken { reason, failure }) => {
                        shared.metrics.dropped(items, reason);
                        warn!(processor = %shared.id, dropped_items = items, reason = %failure, "Traces were not taken");
                    }
                }
                drop(rooms);
                // The drain may have given them up before.
                let left = |count: usize| Some(count.saturating_sub(items));
                let _ = shared.leaving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
            });
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn note(&self, store: &Store) {
        self.held.set(store.len() as f64);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drain(self: &Arc<Self>, deadline: Instant) {
        self.closing.cancel();
        let leaving = self.store().release_all();
        self.held.set(0.0);
        self.send(leaving);
        self.sends.close();
        if timeout_at(deadline.into(), self.sends.wait()).await.is_err() {
            let items = self.leaving.swap(0, Ordering::Relaxed);
            if items > 0 {
                self.metrics.dropped(items, "shutdown");
                self.status.lost(Kind::Processor, &self.id, items);
                warn!(processor = %self.id, dropped_items = items, "Traces were not taken before the shutdown deadline");
            }
        }
    }
}

impl Consumer for Stage {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        let room = self.shared.rooms.admit(demand.bytes + demand.items * SPAN_COST);
        Box::pin(ready(match room {
            Some(room) => Ok(Permit::holding(room)),
            None => Err(Failure::retryable("there is no room to hold more traces; some leave soon")),
        }))
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let shared = &self.shared;
            shared.metrics.incoming(batch.items());
            let Some(room) = permit.into_reservation::<Room>() else {
                return Failure::retryable("no room was asked for").into();
            };
            batch.translate();
            let mut store = shared.store();
            store.add(&batch, &Arc::new(room), tokio::time::Instant::now().into_std());
            let (leaving, early) = store.release(tokio::time::Instant::now().into_std());
            shared.note(&store);
            drop(store);
            if early > 0 {
                shared.evicted.increment(early as u64);
            }
            shared.send(leaving);
            shared.busy.notify_one();
            Reply::Delivered
        })
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.drain(deadline))
    }
}
