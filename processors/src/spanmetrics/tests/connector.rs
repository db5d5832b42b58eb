//! When metrics are sent, and that what is refused is sent again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sluice_pipeline::{
    Batch, Context, Outlet, Reply,
    budget::Budget,
    component::{ComponentContext, Outlets},
    outlet::offer,
};
use tokio::sync::mpsc;

use super::*;
use crate::testing::Reluctant;

/// The consumer of spans, how often what follows still refuses, and what that takes.
fn connector(yaml: &str) -> (Arc<dyn Consumer>, Arc<AtomicUsize>, mpsc::Receiver<Batch>) {
    let (next, sent) = Reluctant::new(0);
    let refusals = Arc::clone(&next.refusals);
    let outlet = Outlet::new(next);
    let context = ConnectorContext {
        component: ComponentContext::detached("spanmetrics", Budget::new(1 << 30)),
        taken: vec![Signal::Traces],
        outlets: Outlets::new([(Signal::Metrics, outlet)]),
    };
    let consumers = SpanMetrics::build(decoded(yaml), context).unwrap();
    (Arc::clone(&consumers[&Signal::Traces]), refusals, sent)
}

async fn send_one(spans: &dyn Consumer) {
    let bytes = shop(vec![span("buy", 2, 1, vec![])]).encode_to_vec();
    let batch = Batch::new(Signal::Traces, Chunk::new(bytes.into(), 1), Context::default());
    assert!(matches!(offer(spans, batch).await, Reply::Delivered));
}

async fn drain(spans: &dyn Consumer) {
    spans.drain((tokio::time::Instant::now() + Duration::from_secs(5)).into_std()).await;
}

#[tokio::test(start_paused = true)]
async fn metrics_are_sent_regularly_again_if_refused_and_at_the_end() {
    let (spans, refusals, mut sent) = connector("{metrics_flush_interval: 15s}");
    refusals.store(2, Ordering::Relaxed);
    let begin = tokio::time::Instant::now();
    send_one(spans.as_ref()).await;
    let first = sent.recv().await.unwrap();
    let after = begin.elapsed();
    assert!((Duration::from_secs(15)..Duration::from_secs(16)).contains(&after), "{after:?}");
    assert_eq!(points(&first.into_chunks())[0].count, 1);
    send_one(spans.as_ref()).await;
    drain(spans.as_ref()).await;
    let last = sent.recv().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20), "at once");
    assert_eq!(points(&last.into_chunks())[0].count, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_while_metrics_were_refused_is_sent_at_the_end() {
    for (temporality, sums) in [("CUMULATIVE", &[2][..]), ("DELTA", &[1, 1])] {
        let (spans, refusals, mut sent) = connector(&format!(
            "{{metrics_flush_interval: 15s, aggregation_temporality: AGGREGATION_TEMPORALITY_{temporality}}}"
        ));
        refusals.store(usize::MAX, Ordering::Relaxed);
        send_one(spans.as_ref()).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        send_one(spans.as_ref()).await;
        refusals.store(0, Ordering::Relaxed);
        drain(spans.as_ref()).await;
        drop(spans);
        let mut counts = Vec::new();
        while let Some(batch) = sent.recv().await {
            counts.push(points(&batch.into_chunks())[0].count);
        }
        assert_eq!(counts, sums, "{temporality}");
    }
}
