//! The consumer of spans, and the task that sends metrics.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, ready};
use metrics::{Counter, counter};
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{BuildError, ComponentId, ConnectorContext, Kind},
    graph::Status,
    outlet::offer,
};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::{
    SpanMetricsConfig,
    store::{Outcome, Plan, Store},
};

/// Spans that are in no series, by `connector` and `reason`: `no_service` (the resource names none), `memory` (there is no
/// room for the resource).
const SKIPPED: &str = "sluice_connector_skipped_spans";
/// Spans and events that went to the series `otel.metric.overflow`, by `connector` and `reason`: `limit`, `memory`.
const OVERFLOWED: &str = "sluice_connector_overflowed_items";
/// Resources whose series were forgotten because there were too many, by `connector`.
const EVICTED: &str = "sluice_connector_evicted_resources";
/// Data points that were lost, by `connector`, `otel_signal` and `reason`: why the next stage did not take them.
const DROPPED: &str = "sluice_connector_dropped_items";
/// How long to wait before a next stage that did not take metrics is asked again: at first, and at most.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

struct Shared {
    id: ComponentId,
    store: Mutex<Store>,
    outlet: Outlet,
    interval: Duration,
    is_cumulative: bool,
    budget: Budget,
    status: Arc<Status>,
    without_service: Counter,
    without_room: Counter,
    over_limit: Counter,
    over_budget: Counter,
    evicted: Counter,
    closing: CancellationToken,
    closed: CancellationToken,
    /// Data points on their way out.
    leaving: AtomicUsize,
}

struct Spans {
    shared: Arc<Shared>,
    _close: DropGuard,
}

pub(super) fn build(
    config: &SpanMetricsConfig,
    context: ConnectorContext,
) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
    let Some(outlet) = context.outlets.get(Signal::Metrics) else {
        return Err(BuildError::Other(
            "no pipeline of metrics receives from it; add it to one's receivers".to_owned(),
        ));
    };
    let component = context.component;
    let id = component.id.to_string();
    let overflowed =
        |reason: &'static str| counter!(OVERFLOWED, "connector" => id.clone(), "reason" => reason);
    let skipped = |reason: &'static str| counter!(SKIPPED, "connector" => id.clone(), "reason" => reason);
    let store = Store::new(Plan::new(config), &component.budget, now());
    let shared = Arc::new(Shared {
        is_cumulative: store.is_cumulative(),
        store: Mutex::new(store),
        budget: component.budget,
        status: Arc::clone(&component.status),
        outlet: outlet.clone(),
        interval: config.metrics_flush_interval.get(),
        without_service: skipped("no_service"),
        without_room: skipped("memory"),
        over_limit: overflowed("limit"),
        over_budget: overflowed("memory"),
        evicted: counter!(EVICTED, "connector" => id.clone()),
        id: component.id,
        closing: CancellationToken::new(),
        closed: CancellationToken::new(),
        leaving: AtomicUsize::new(0),
    });
    let task = Arc::clone(&shared).send_regularly();
    component.status.supervise(Kind::Connector, &shared.id, "sends metrics", task);
    let close = shared.closing.clone().drop_guard();
    let consumer: Arc<dyn Consumer> = Arc::new(Spans { shared, _close: close });
    Ok(HashMap::from([(Signal::Traces, consumer)]))
}

impl Shared {
    async fn send_regularly(self: Arc<Self>) {
        let _closed = self.closed.clone().drop_guard();
        loop {
            let is_last = tokio::select! {
                () = sleep(self.interval) => self.closing.is_cancelled(),
                () = self.closing.cancelled() => true,
            };
            self.flush(is_last).await;
            if is_last {
                return;
            }
        }
    }

    async fn flush(&self, is_last: bool) {
        let end = tokio::time::Instant::now() + self.interval;
        let mut flush = self.store().begin_flush(now());
        loop {
            let chunks = self.store().flush_some(&mut flush, &self.budget);
            let Some(chunks) = chunks else { return };
            for chunk in chunks {
                let items = chunk.items();
                self.leaving.fetch_add(items, Ordering::Relaxed);
                self.deliver(chunk, end, is_last).await;
                // The drain may have given them up before.
                let left = |count: usize| Some(count.saturating_sub(items));
                let _ = self.leaving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
            }
        }
    }

    /// Offers metrics until they are taken, or newer ones are due.
    async fn deliver(&self, chunk: Chunk, end: tokio::time::Instant, is_last: bool) {
        let batch = Batch::new(Signal::Metrics, chunk, Context::default());
        let mut pause = ASK_AGAIN.0;
        loop {
            let failure = match offer(&self.outlet, batch.clone()).await {
                Reply::Failed(failure) => failure,
                Reply::Delivered | Reply::Rejected { .. } | Reply::Mixed(_) => return,
            };
            let reason = match (failure.is_permanent(), tokio::time::Instant::now() + pause < end) {
                (true, _) => "permanent",
                (false, false) => "refused",
                (false, true) => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        // What is sent at the end has what this says, and more.
                        () = self.closing.cancelled(), if self.is_cumulative && !is_last => return,
                    }
                    pause = (pause * 2).min(ASK_AGAIN.1);
                    continue;
                }
            };
            self.dropped(batch.items(), reason);
            warn!(
                connector = %self.id, dropped_items = batch.items(), reason = %failure,
                "Metrics about spans were not taken"
            );
            return;
        }
    }

    fn dropped(&self, items: usize, reason: &'static str) {
        counter!(
            DROPPED,
            "connector" => self.id.to_string(), "otel_signal" => Signal::Metrics.name(), "reason" => reason
        )
        .increment(items as u64);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, outcome: Outcome) {
        for (counter, count) in [
            (&self.without_service, outcome.without_service),
            (&self.without_room, outcome.without_room),
            (&self.over_limit, outcome.over_limit),
            (&self.over_budget, outcome.over_budget),
            (&self.evicted, outcome.evicted_resources),
        ] {
            if count > 0 {
                counter.increment(count);
            }
        }
    }
}

impl Consumer for Spans {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        let outcome = self.shared.store().add(&batch, now());
        self.shared.count(outcome);
        Box::pin(ready(Reply::Delivered))
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        let shared = &self.shared;
        Box::pin(async move {
            shared.closing.cancel();
            if timeout_at(deadline.into(), shared.closed.cancelled()).await.is_err() {
                let items = shared.leaving.swap(0, Ordering::Relaxed);
                shared.dropped(items, "shutdown");
                shared.status.lost(Kind::Connector, &shared.id, items);
                warn!(
                    connector = %shared.id, dropped_items = items,
                    "The last metrics about spans were not taken before the shutdown deadline"
                );
            }
        })
    }
}

fn now() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
}
