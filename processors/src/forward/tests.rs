use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch, Chunk, Context, Demand, Failure, Outlet, Permit, Reply,
    budget::Budget,
    component::{ComponentContext, Outlets},
    outlet::offer,
};

use super::*;

/// Remembers what it took; refuses room when full.
#[derive(Default)]
struct Sink {
    full: AtomicBool,
    taken: Mutex<Vec<Batch>>,
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move {
            if self.full.load(Ordering::Relaxed) {
                return Err(Failure::retryable("full"));
            }
            Ok(Permit::holding("room in the sink"))
        })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        assert_eq!(permit.into_reservation(), Some("room in the sink"));
        self.taken.lock().unwrap().push(batch);
        Box::pin(async { Reply::Delivered })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn build(taken: Vec<Signal>, outlets: Outlets) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
    let component = ComponentContext::detached("forward", Budget::new(u64::MAX));
    Forward::build(ForwardConfig {}, ConnectorContext { component, taken, outlets })
}

fn batch() -> Batch {
    Batch::new(Signal::Traces, Chunk::new(Bytes::from_static(b"\x0a\x00"), 3), Context::default())
}

#[tokio::test]
async fn a_batch_goes_on_as_it_came() {
    let sink = Arc::new(Sink::default());
    let outlets = Outlets::new([(Signal::Traces, Outlet::new(sink.clone()))]);
    let consumers = build(vec![Signal::Traces], outlets).unwrap();
    assert_eq!(offer(consumers[&Signal::Traces].as_ref(), batch()).await, Reply::Delivered);
    let taken = sink.taken.lock().unwrap();
    assert_eq!(taken[0].chunks()[0].bytes().as_ref(), b"\x0a\x00");
    assert_eq!(taken[0].items(), 3);
}

#[tokio::test]
async fn a_refusal_behind_it_is_its_own() {
    let sink = Arc::new(Sink::default());
    sink.full.store(true, Ordering::Relaxed);
    let outlets = Outlets::new([(Signal::Traces, Outlet::new(sink))]);
    let consumers = build(vec![Signal::Traces], outlets).unwrap();
    assert!(consumers[&Signal::Traces].reserve(&Demand::of(&batch())).await.is_err());
}

#[tokio::test]
async fn room_taken_before_a_reload_is_used_where_it_was_granted() {
    let (old, new) = (Arc::new(Sink::default()), Arc::new(Sink::default()));
    let outlet = Outlet::new(old.clone());
    let outlets = Outlets::new([(Signal::Traces, outlet.clone())]);
    let forward = build(vec![Signal::Traces], outlets).unwrap().remove(&Signal::Traces).unwrap();
    let permit = forward.reserve(&Demand::of(&batch())).await.unwrap();
    let line = outlet.swap(new.clone());
    assert_eq!(line.under_way(), 1, "the old pipelines are not idle while a batch may still come");
    forward.consume(batch(), permit).await;
    assert_eq!(line.under_way(), 0);
    assert_eq!((old.taken.lock().unwrap().len(), new.taken.lock().unwrap().len()), (1, 0));
}

#[test]
fn a_signal_that_leads_nowhere_is_refused() {
    let error = build(vec![Signal::Logs], Outlets::default()).err().unwrap();
    assert!(error.to_string().contains("no pipeline of logs"), "{error}");
}
