//! What tests of processors share: one processor between a message and a sink.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentConfig, ComponentContext, ProcessorContext, ProcessorFactory},
    config as configuration,
    otlp::count,
    outlet::offer,
};
use tokio::sync::{Mutex, mpsc};

/// Keeps the batch that it is given.
#[derive(Default)]
pub(crate) struct Sink(pub(crate) Mutex<Option<Batch>>);

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async {
            *self.0.lock().await = Some(batch);
            Reply::Delivered
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Refuses as often as it is told to, then passes on what it takes.
pub(crate) struct Reluctant {
    pub(crate) refusals: Arc<AtomicUsize>,
    taken: mpsc::Sender<Batch>,
}

impl Reluctant {
    /// One that refuses so often, and what it takes.
    pub(crate) fn new(refusals: usize) -> (Arc<Self>, mpsc::Receiver<Batch>) {
        let (taken, receiver) = mpsc::channel(100);
        (Arc::new(Self { refusals: Arc::new(refusals.into()), taken }), receiver)
    }
}

impl Consumer for Reluctant {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        let refuse = |left: usize| left.checked_sub(1);
        Box::pin(async move {
            if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse).is_ok() {
                return Failure::retryable("busy").into();
            }
            self.taken.send(batch).await.unwrap();
            Reply::Delivered
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

pub(crate) fn context(signal: Signal) -> ProcessorContext {
    ProcessorContext {
        component: ComponentContext::detached("attributes", Budget::new(u64::MAX)),
        pipeline: signal.name().parse().unwrap(),
        answers_later: true,
    }
}

pub(crate) fn decoded<C: ComponentConfig>(yaml: &str) -> C {
    let mut problems = configuration::Problems::default();
    let node = configuration::parse("test.yaml", yaml, &mut problems).unwrap();
    configuration::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

/// What becomes of a message in a processor with this configuration; nothing if it hands nothing on.
pub(crate) async fn processed<F: ProcessorFactory>(
    yaml: &str,
    signal: Signal,
    message: Vec<u8>,
    request: Context,
) -> Option<Batch> {
    let config = decoded::<F::Config>(yaml);
    assert_eq!(config.problems(), []);
    let sink = Arc::new(Sink::default());
    let processor = F::build(config, context(signal), sink.clone()).unwrap();
    let items = count::count(signal, &message);
    let reply =
        offer(processor.as_ref(), Batch::new(signal, Chunk::new(message.into(), items), request)).await;
    assert!(matches!(reply, Reply::Delivered), "{reply:?}");
    let batch = sink.0.lock().await.take();
    if let Some(batch) = &batch {
        assert_eq!(count::count(signal, &batch.contiguous()), batch.items());
    }
    batch
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}
