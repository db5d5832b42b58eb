//! Batching in the queue.

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message as _;

use super::*;
use crate::export::{BatchConfig, PartitionConfig, Sizer};

fn batching(batch: BatchConfig) -> QueueConfig {
    QueueConfig { batch: Some(batch), ..QueueConfig::default() }
}

fn sizes(min_size: usize, max_size: usize) -> BatchConfig {
    BatchConfig { min_size, max_size, ..BatchConfig::default() }
}

fn of_tenant(items: usize, tenant: &str) -> Batch {
    let mut context = Context::default();
    context.metadata.insert("tenant", tenant.parse().unwrap());
    context.metadata.insert("authorization", "secret".parse().unwrap());
    batch_with(items, context)
}

#[tokio::test(start_paused = true)]
async fn requests_are_joined_until_the_batch_is_full() {
    let destination = Arc::new(Destination::healthy());
    let exporter = start(&destination, batching(sizes(10, 0)));
    for items in [4, 4, 4, 3] {
        assert_eq!(offer(&*exporter, batch(items)).await, Reply::Delivered);
        wait(10).await;
    }
    assert_eq!(destination.sizes(), [12], "10 is reached with the third");
    assert_eq!(destination.times(), [20]);
    wait(300).await;
    assert_eq!(destination.sizes(), [12, 3], "the rest leaves after flush_timeout");
    assert_eq!(destination.times(), [20, 230]);
}

#[tokio::test(start_paused = true)]
async fn sizes_can_be_bytes() {
    let destination = Arc::new(Destination::healthy());
    let exporter =
        start(&destination, batching(BatchConfig { sizer: Some(Sizer::Bytes), ..sizes(100, 120) }));
    for items in [6, 6, 6] {
        offer(&*exporter, batch(items)).await;
    }
    wait(1_000).await;
    assert_eq!(destination.sizes(), [12, 6]);
}

#[tokio::test(start_paused = true)]
async fn no_batch_exceeds_the_maximum() {
    let destination = Arc::new(Destination::healthy());
    let exporter = start(&destination, batching(sizes(10, 10)));
    for items in [6, 6, 4, 3] {
        offer(&*exporter, batch(items)).await;
    }
    wait(1_000).await;
    assert!(destination.sizes().iter().all(|size| *size <= 10), "{:?}", destination.sizes());
    assert_eq!(destination.sizes().iter().sum::<usize>(), 19);
}

fn spans(count: usize) -> Batch {
    let spans = vec![Span { span_id: vec![1; 8], ..Span::default() }; count];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let bytes = TracesData { resource_spans }.encode_to_vec();
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), count), Context::default())
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_split_and_answered_when_all_of_it_is() {
    let fails_last = |number, _: &Batch| if number == 3 { bad() } else { Reply::Delivered };
    let destination =
        Arc::new(Destination { latency: Duration::from_secs(1), ..Destination::new(fails_last) });
    let config = QueueConfig { wait_for_result: true, num_consumers: 1, ..batching(sizes(2, 2)) };
    let exporter = start(&destination, config);
    assert_eq!(offer(&*exporter, spans(5)).await, bad(), "one part failed");
    assert_eq!(destination.sizes(), [2, 2, 1]);
    assert_eq!((now() - destination.started).as_secs(), 3);
    assert_eq!(offer(&*exporter, spans(4)).await, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn only_equal_metadata_is_joined() {
    let destination = Arc::new(Destination::healthy());
    let partition = PartitionConfig { metadata_keys: vec!["Tenant".to_owned()] };
    let exporter = start(&destination, batching(BatchConfig { partition, ..sizes(4, 0) }));
    for (items, tenant) in [(1, "red"), (2, "blue"), (3, "red"), (1, "blue")] {
        offer(&*exporter, of_tenant(items, tenant)).await;
    }
    wait(1_000).await;
    let calls = destination.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.batch.items(), call.batch.context().metadata["tenant"].to_str().unwrap()))
        .collect();
    assert_eq!(seen, [(4, "red"), (3, "blue")]);
    let metadata = &calls[0].batch.context().metadata;
    assert!(!metadata.contains_key("authorization"), "only what the requests have in common goes on");
}

#[tokio::test(start_paused = true)]
async fn profiles_are_never_joined() {
    let destination = Arc::new(Destination::healthy());
    let exporter = start(&destination, batching(sizes(100, 0)));
    let profile =
        |items| Batch::new(Signal::Profiles, Chunk::new(Bytes::from_static(b"p"), items), Context::default());
    let mut two = profile(1);
    two = Batch::from_chunks(
        Signal::Profiles,
        [two.into_chunks(), profile(2).into_chunks()].concat(),
        Arc::default(),
    );
    offer(&*exporter, two).await;
    offer(&*exporter, profile(3)).await;
    wait(1).await;
    assert_eq!(destination.sizes(), [1, 2, 3], "waiting gains nothing, so they leave at once");
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_are_not_kept_waiting_for_a_full_batch() {
    let destination = Arc::new(Destination::slow(Duration::from_millis(10)));
    let config = QueueConfig {
        wait_for_result: true,
        num_consumers: 1,
        ..batching(BatchConfig { flush_timeout: Duration::from_secs(60).into(), ..sizes(8192, 0) })
    };
    let exporter = start(&destination, config);
    for _ in 0..100 {
        assert_eq!(offer(&*exporter, batch(1)).await, Reply::Delivered);
    }
    assert_eq!((now() - destination.started).as_millis(), 1_000, "a serial caller is not throttled");
    let callers = (0..50).map(|_| {
        let exporter = Arc::clone(&exporter);
        tokio::spawn(async move { offer(&*exporter, batch(1)).await })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.unwrap(), Reply::Delivered);
    }
    let calls = destination.sizes().len() - 100;
    assert!(calls <= 3, "parallel callers share batches: {calls} for 50");
}

#[tokio::test(start_paused = true)]
async fn each_caller_of_a_joined_batch_gets_its_own_answer() {
    let poison = batch(2);
    let origin = poison.origins()[0];
    let refuses =
        move |_, batch: &Batch| if batch.origins().contains(&origin) { bad() } else { Reply::Delivered };
    let destination =
        Arc::new(Destination { latency: Duration::from_millis(10), ..Destination::new(refuses) });
    let config = QueueConfig { wait_for_result: true, num_consumers: 1, ..batching(sizes(100, 0)) };
    let exporter = start(&destination, config);
    let callers = [batch(1), batch(1), poison, batch(1)].map(|batch| {
        let exporter = Arc::clone(&exporter);
        tokio::spawn(async move { offer(&*exporter, batch).await })
    });
    let mut replies = Vec::new();
    for caller in callers {
        replies.push(caller.await.unwrap());
    }
    assert_eq!(replies, [Reply::Delivered, Reply::Delivered, bad(), Reply::Delivered]);
    assert_eq!(destination.sizes(), [5, 1, 1, 2, 1], "once together, then once per caller");
}

#[tokio::test(start_paused = true)]
async fn a_partial_rejection_of_a_joined_batch_is_nobodys() {
    let metrics = Metrics::record();
    let rejects = |_, batch: &Batch| match batch.items() {
        1 => Reply::Delivered,
        _ => Reply::Rejected { items: 1, message: "one of them".to_owned() },
    };
    let destination =
        Arc::new(Destination { latency: Duration::from_millis(10), ..Destination::new(rejects) });
    let config = QueueConfig { wait_for_result: true, num_consumers: 1, ..batching(sizes(100, 0)) };
    let exporter = start(&destination, config);
    let callers = [batch(1), batch(2), batch(3)].map(|batch| {
        let exporter = Arc::clone(&exporter);
        tokio::spawn(async move { offer(&*exporter, batch).await })
    });
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Reply::Delivered);
    }
    assert_eq!(metrics.value("sluice_exporter_rejected_items", "otlp"), 1.0);
    let alone = offer(&*exporter, batch(4)).await;
    assert!(matches!(alone, Reply::Rejected { items: 1, .. }), "a batch of one caller is its own");
}
