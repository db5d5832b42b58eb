//! Exporters as a whole, on a clock that the tests turn. The clock stands at zero when a test begins.

mod batching;
mod direct;
mod durable;
mod memory;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Exporter, QueueConfig, RetryConfig, Sender, Settings, attempts::now};
use crate::{
    batch::{Batch, Chunk, Context, Origin},
    budget::Budget,
    component::{ComponentContext, ExporterContext},
    consumer::Consumer,
    outlet::offer,
    reply::{Code, Failure, Reply},
    signal::Signal,
};

/// A destination that answers as it is told and remembers what it saw.
struct Destination {
    answer: Box<Answer>,
    latency: Duration,
    started: Instant,
    calls: Mutex<Vec<Call>>,
    busiest: Mutex<(usize, usize)>,
}

/// The answer to the attempt of this number, counted from 1.
type Answer = dyn Fn(usize, &Batch) -> Reply + Send + Sync;

#[derive(Clone, Debug)]
struct Call {
    after: Duration,
    batch: Batch,
}

impl Destination {
    fn new(answer: impl Fn(usize, &Batch) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            latency: Duration::ZERO,
            started: now(),
            calls: Mutex::default(),
            busiest: Mutex::default(),
        }
    }

    fn healthy() -> Self {
        Self::new(|_, _| Reply::Delivered)
    }

    fn slow(latency: Duration) -> Self {
        Self { latency, ..Self::healthy() }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// When each attempt began, in milliseconds.
    fn times(&self) -> Vec<u128> {
        self.calls().iter().map(|call| call.after.as_millis()).collect()
    }

    /// The sizes of the batches, in items.
    fn sizes(&self) -> Vec<usize> {
        self.calls().iter().map(|call| call.batch.items()).collect()
    }

    /// The most requests that were under way at a time.
    fn busiest(&self) -> usize {
        self.busiest.lock().unwrap().1
    }
}

impl Sender for Destination {
    fn send<'a>(&'a self, batch: &'a Batch, _deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let number = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(Call { after: now() - self.started, batch: batch.clone() });
                calls.len()
            };
            {
                let mut busiest = self.busiest.lock().unwrap();
                busiest.0 += 1;
                busiest.1 = busiest.1.max(busiest.0);
            }
            tokio::time::sleep(self.latency).await;
            self.busiest.lock().unwrap().0 -= 1;
            (self.answer)(number, batch)
        })
    }
}

fn context() -> ExporterContext {
    context_with(Budget::new(1 << 30))
}

fn context_with(budget: Budget) -> ExporterContext {
    ExporterContext {
        component: ComponentContext::detached("otlp", budget),
        signal: Signal::Traces,
        listeners: Default::default(),
    }
}

fn start(destination: &Arc<Destination>, queue: QueueConfig) -> Arc<dyn Consumer> {
    start_in(destination, queue, &context())
}

fn start_in(
    destination: &Arc<Destination>,
    queue: QueueConfig,
    context: &ExporterContext,
) -> Arc<dyn Consumer> {
    let retry = RetryConfig { randomization_factor: 0.0, ..RetryConfig::default() };
    let settings = Settings { timeout: Duration::from_secs(5), retry, queue };
    let sender: Arc<dyn Sender> = Arc::<Destination>::clone(destination);
    Exporter::start(sender, settings, context).unwrap()
}

fn batch(items: usize) -> Batch {
    batch_with(items, Context::default())
}

fn batch_with(items: usize, context: Context) -> Batch {
    Batch::new(Signal::Traces, Chunk::new(Bytes::from(vec![0; items * 10]), items), context)
}

/// A batch whose caller waits so many milliseconds.
fn batch_until(items: usize, milliseconds: u64) -> Batch {
    let deadline = Some(now() + Duration::from_millis(milliseconds));
    batch_with(items, Context { deadline, ..Context::default() })
}

/// A batch joined from single-item batches, with their origins.
fn joined(count: usize) -> (Batch, Vec<Origin>) {
    let mut whole = batch(1);
    for _ in 1..count {
        whole.join(batch(1));
    }
    let origins = whole.origins();
    (whole, origins)
}

fn busy() -> Reply {
    Failure::retryable("busy").with_code(Code::Unavailable).into()
}

fn bad() -> Reply {
    Failure::permanent("bad").with_code(Code::InvalidArgument).into()
}

fn is_retryable(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(failure) if !failure.is_permanent())
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn in_seconds(seconds: u64) -> Instant {
    now() + Duration::from_secs(seconds)
}

/// Reads the metrics that the thread writes while it lives.
struct Metrics {
    handle: PrometheusHandle,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Metrics {
    fn record() -> Self {
        let recorder: &'static PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self { handle: recorder.handle(), _guard: metrics::set_default_local_recorder(recorder) }
    }

    /// The value of the only series of this name whose labels contain `label`.
    fn value(&self, name: &str, label: &str) -> f64 {
        let text = self.handle.render();
        let series = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        series.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }
}
