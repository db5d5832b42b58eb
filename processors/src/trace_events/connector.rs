//! The two consumers of the connector and the task that minds the time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{BuildError, ComponentId, ConnectorContext, Kind},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::warn;

use super::{
    TraceEventsConfig,
    index::{Index, Now, Out},
    intake::{lock, sort_records, sort_spans},
    leaving::{Leaving, batches},
    metrics::JoinMetrics,
};
use crate::handing_on::{NotTaken, hand_on};

/// How often the time is looked at, at the least and the most.
const TICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// What both sides share.
struct Shared {
    id: ComponentId,
    index: Mutex<Index>,
    span_hold: Duration,
    /// Whether exchanges can come at all; if not, spans are no concern of this connector.
    takes_exchanges: bool,
    traces: Outlet,
    logs: Option<Outlet>,
    metrics: Arc<JoinMetrics>,
    budget: Budget,
    /// Set when there may be something to mind the time for.
    busy: Notify,
    closing: CancellationToken,
    /// What was held and is on its way out.
    sends: TaskTracker,
    /// How many items those are, by signal.
    leaving: Arc<[AtomicUsize; 4]>,
}

/// Items that are on their way out while it lives.
struct LeavingItems {
    counts: Arc<[AtomicUsize; 4]>,
    signal: Signal,
    items: usize,
}

impl LeavingItems {
    fn new(counts: &Arc<[AtomicUsize; 4]>, signal: Signal, items: usize) -> Self {
        counts[signal as usize].fetch_add(items, Ordering::Relaxed);
        Self { counts: Arc::clone(counts), signal, items }
    }
}

impl Drop for LeavingItems {
    fn drop(&mut self) {
        // The drain may have given them up before.
        let left = |count: usize| Some(count.saturating_sub(self.items));
        let _ = self.counts[self.signal as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
    }
}

/// Takes spans.
struct SpanSide {
    shared: Arc<Shared>,
    _close: Arc<DropGuard>,
}

/// Takes log records.
struct LogSide {
    shared: Arc<Shared>,
    _close: Arc<DropGuard>,
}

pub(super) fn build(
    config: TraceEventsConfig,
    context: ConnectorContext,
) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
    let Some(traces) = context.outlets.get(Signal::Traces) else {
        return Err(BuildError::Other(
            "no pipeline of traces receives from it; add it to one's receivers".to_owned(),
        ));
    };
    let component = context.component;
    let metrics = Arc::new(JoinMetrics::new(&component.id));
    let shared = Arc::new(Shared {
        index: Mutex::new(Index::new(&config, &component.budget, Arc::clone(&metrics))),
        id: component.id,
        span_hold: config.span_hold.get(),
        takes_exchanges: context.taken.contains(&Signal::Logs),
        traces: traces.clone(),
        logs: context.outlets.get(Signal::Logs).cloned(),
        metrics,
        budget: component.budget,
        busy: Notify::new(),
        closing: CancellationToken::new(),
        sends: TaskTracker::new(),
        leaving: Arc::default(),
    });
    let close = Arc::new(shared.closing.clone().drop_guard());
    let tick = (config.span_hold.get() / 10).clamp(TICK.0, TICK.1);
    let task = Arc::clone(&shared).mind_the_time(tick);
    component.status.supervise(Kind::Connector, &shared.id, "releases spans and exchanges", task);
    let consumer = |signal: Signal| -> Option<Arc<dyn Consumer>> {
        let (shared, close) = (Arc::clone(&shared), Arc::clone(&close));
        match signal {
            Signal::Traces => Some(Arc::new(SpanSide { shared, _close: close })),
            Signal::Logs => Some(Arc::new(LogSide { shared, _close: close })),
            _ => None,
        }
    };
    Ok(context.taken.iter().filter_map(|signal| Some((*signal, consumer(*signal)?))).collect())
}

impl Shared {
    /// Releases what has waited long enough. A span is never kept beyond its time: what would be due before the next
    /// look is due now.
    async fn mind_the_time(self: Arc<Self>, tick: Duration) {
        while !self.closing.is_cancelled() {
            if lock(&self.index).is_idle() {
                tokio::select! {
                    () = self.busy.notified() => {}
                    () = self.closing.cancelled() => return,
                }
            }
            tokio::select! {
                () = sleep(tick) => {}
                () = self.closing.cancelled() => return,
            }
            let now = now();
            let mut out = Out::default();
            lock(&self.index).tick(Now { instant: now.instant + tick, ..now }, &mut out);
            self.send(out);
        }
    }

    async fn take_spans(&self, batch: Batch, permit: Permit) -> Reply {
        let now = now();
        if !self.takes_exchanges {
            return self.traces.consume(batch, permit).await;
        }
        let mut out = Out::default();
        let sorted = sort_spans(batch, &self.index, self.span_hold, now, &mut out);
        self.send(std::mem::take(&mut out));
        let reply = if sorted.rest.chunks().is_empty() {
            drop(permit);
            Reply::Delivered
        } else {
            self.traces.consume(sorted.rest, permit).await
        };
        if matches!(reply, Reply::Failed(_)) {
            // The caller keeps the whole batch, also what would have waited here.
            lock(&self.index).take_back(&sorted.attached);
            return reply;
        }
        {
            let mut index = lock(&self.index);
            let now = self::now();
            index.confirm_all(&sorted.attached);
            index.went_on(sorted.passing, now);
            index.hold(sorted.held, now, &mut out);
        }
        self.send(out);
        self.busy.notify_one();
        reply
    }

    async fn take_records(&self, batch: Batch, permit: Permit) -> Reply {
        let now = now();
        let sorted = sort_records(batch, now, &self.metrics);
        let reply = match &self.logs {
            Some(logs) if !sorted.rest.chunks().is_empty() => logs.consume(sorted.rest, permit).await,
            Some(_) => Reply::Delivered,
            None => {
                if sorted.rest.items() > 0 {
                    self.metrics.dropped(Signal::Logs, sorted.rest.items(), "no_pipeline");
                }
                Reply::Delivered
            }
        };
        if matches!(reply, Reply::Failed(_)) {
            return reply;
        }
        let mut out = Out::default();
        {
            let mut index = lock(&self.index);
            sorted.exchanges.into_iter().for_each(|exchange| index.exchange(exchange, now, &mut out));
        }
        self.send(out);
        self.busy.notify_one();
        reply
    }

    /// Sends what was held, in tasks of their own: nobody waits for an answer.
    fn send(&self, out: Out) {
        self.send_signal(Signal::Traces, out.spans, Some(&self.traces));
        self.send_signal(Signal::Logs, out.records, self.logs.as_ref());
    }

    fn send_signal(&self, signal: Signal, items: Vec<Leaving>, outlet: Option<&Outlet>) {
        if items.is_empty() {
            return;
        }
        let Some(outlet) = outlet else {
            return self.metrics.dropped(signal, items.len(), "no_pipeline");
        };
        for (batch, rooms) in batches(signal, items, &self.budget) {
            let leaving = LeavingItems::new(&self.leaving, batch.signal(), batch.items());
            let task = deliver(batch, outlet.clone(), Arc::clone(&self.metrics), self.id.clone());
            self.sends.spawn(async move {
                task.await;
                drop((leaving, rooms));
            });
        }
    }

    async fn drain(&self, deadline: Instant) {
        let mut out = Out::default();
        lock(&self.index).close(now(), &mut out);
        self.send(out);
        self.sends.close();
        if timeout_at(deadline.into(), self.sends.wait()).await.is_err() {
            for signal in [Signal::Traces, Signal::Logs] {
                let items = self.leaving[signal as usize].swap(0, Ordering::Relaxed);
                if items > 0 {
                    self.metrics.dropped(signal, items, "shutdown");
                    warn!(
                        connector = %self.id, signal = signal.name(), dropped_items = items,
                        "What was held was not taken before the shutdown deadline"
                    );
                }
            }
        }
    }
}

/// Hands on a batch. Whoever sent its items was answered long ago.
async fn deliver(batch: Batch, outlet: Outlet, metrics: Arc<JoinMetrics>, id: ComponentId) {
    if let Err(NotTaken { reason, failure }) = hand_on(&batch, &outlet).await {
        metrics.dropped(batch.signal(), batch.items(), reason);
        warn!(connector = %id, dropped_items = batch.items(), reason = %failure, "What was held was not taken");
    }
}

impl Consumer for SpanSide {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        self.shared.traces.reserve(demand)
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(self.shared.take_spans(batch, permit))
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.drain(deadline))
    }
}

impl Consumer for LogSide {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        match &self.shared.logs {
            Some(logs) => logs.reserve(demand),
            None => Box::pin(async { Ok(Permit::none()) }),
        }
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(self.shared.take_records(batch, permit))
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.drain(deadline))
    }
}

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        instant: tokio::time::Instant::now().into_std(),
        unix_nano: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
    }
}
