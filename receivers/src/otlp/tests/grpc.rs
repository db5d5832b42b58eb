//! OTLP over gRPC.

use sluice_pipeline::{
    Code,
    compression::Encoding,
    grpc::{GrpcClientConfig, client::Channel},
    reply::Retry,
};

use super::*;
use crate::otlp::grpc::METHODS;

fn channel(fixture: &Fixture, compression: &str) -> Channel {
    let config = GrpcClientConfig {
        endpoint: format!("http://{}", fixture.grpc),
        compression: compression.to_owned(),
        headers: [("x-tenant", "blue")].into_iter().collect(),
        ..Default::default()
    };
    Channel::new(&config, &ComponentContext::detached("test", Budget::new(1 << 30))).unwrap()
}

async fn export(fixture: &Fixture, compression: &str, message: Bytes) -> Result<Bytes, Failure> {
    channel(fixture, compression).unary(METHODS[0].1, vec![message], None, soon(), None).await
}

#[tokio::test]
async fn a_batch_arrives_byte_for_byte_with_its_compressed_form() {
    let fixture = start_plain().await;
    let message = spans(100);
    for (compression, kept) in
        [("none", None), ("gzip", Some(Encoding::Gzip)), ("zstd", Some(Encoding::Zstd)), ("snappy", None)]
    {
        assert_eq!(
            export(&fixture, compression, message.clone()).await.unwrap(),
            Bytes::new(),
            "{compression}"
        );
        let batch = fixture.pipeline.only();
        assert_eq!((batch.signal(), batch.items()), (Signal::Traces, 100));
        assert_eq!(batch.contiguous(), message, "{compression}");
        let compressed = batch.chunks()[0].compressed().map(|compressed| compressed.encoding);
        assert_eq!(compressed, kept, "{compression}");
        let context = batch.context();
        assert!(context.deadline.is_some() && context.peer.is_some());
        assert!(context.metadata.is_empty(), "not without include_metadata");
        assert_eq!(fixture.budget.used(), batch.chunks()[0].memory() as u64, "charged while it lives");
    }
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn metadata_is_taken_along_if_asked_for() {
    let fixture = start("include_metadata: true", "", Budget::new(1 << 30)).await;
    export(&fixture, "none", spans(1)).await.unwrap();
    assert_eq!(fixture.pipeline.only().context().metadata["x-tenant"], "blue");
}

#[tokio::test]
async fn an_empty_request_is_taken_without_the_pipeline() {
    let fixture = start_plain().await;
    for empty in [Bytes::new(), spans(0)] {
        assert_eq!(export(&fixture, "none", empty).await.unwrap(), Bytes::new());
    }
    assert!(fixture.pipeline.taken().is_empty());
}

#[tokio::test]
async fn answers_of_the_pipeline_reach_the_client() {
    let fixture = start_plain().await;
    fixture.pipeline.answer(Reply::Rejected { items: 2, message: "too old".to_owned() });
    let partial = export(&fixture, "none", spans(3)).await.unwrap();
    assert_eq!(&partial[..], b"\x0a\x0b\x08\x02\x12\x07too old");

    fixture.pipeline.answer(Failure::retryable("full").retry_after(Duration::from_secs(7)).into());
    let failure = export(&fixture, "none", spans(3)).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.retry),
        (Some(Code::Unavailable), Retry::After(Duration::from_secs(7)))
    );

    fixture.pipeline.answer(Failure::permanent("never").into());
    let failure = export(&fixture, "none", spans(3)).await.unwrap_err();
    assert_eq!((failure.code, failure.retry), (Some(Code::Internal), Retry::Permanent));
}

#[tokio::test]
async fn a_signal_without_a_pipeline_is_unimplemented() {
    let fixture = start_plain().await;
    let logs = METHODS[2].1;
    let failure =
        channel(&fixture, "none").unary(logs, vec![Bytes::new()], None, soon(), None).await.unwrap_err();
    assert_eq!(failure.code, Some(Code::Unimplemented));
}

#[tokio::test]
async fn what_is_malformed_or_too_large_is_refused() {
    let fixture = start("max_recv_msg_size_mib: 1", "", Budget::new(1 << 30)).await;
    let truncated = spans(3).slice(..50);
    let failure = export(&fixture, "none", truncated).await.unwrap_err();
    assert_eq!((failure.code, failure.is_permanent()), (Some(Code::InvalidArgument), true));

    let bomb = Bytes::from(vec![0; 2 << 20]);
    for compression in ["none", "gzip", "zstd"] {
        let failure = export(&fixture, compression, bomb.clone()).await.unwrap_err();
        assert_eq!(failure.code, Some(Code::ResourceExhausted), "{compression}");
        assert!(failure.is_permanent() && failure.message.contains("max_recv_msg_size_mib"), "{failure}");
    }
    assert!(fixture.pipeline.taken().is_empty());
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn what_is_not_canonical_is_rewritten_and_its_compressed_form_dropped() {
    let fixture = start_plain().await;
    // The resource after the scope: field 2 of ResourceSpans before field 1.
    let canonical = spans(1);
    let scope_spans = [&[0x12][..], &canonical[5..]].concat();
    let inner = [&scope_spans[..], &[0x0a, 0x00]].concat();
    let message = [&[0x0a, u8::try_from(inner.len()).unwrap()][..], &inner].concat();
    export(&fixture, "gzip", message.clone().into()).await.unwrap();
    let batch = fixture.pipeline.only();
    assert_ne!(batch.contiguous(), message);
    assert_eq!(batch.items(), 1);
    assert!(batch.chunks()[0].compressed().is_none());
    let (mut sent, mut taken) =
        (TracesData::decode(&message[..]).unwrap(), TracesData::decode(batch.contiguous()).unwrap());
    assert_eq!(sent.resource_spans.remove(0), taken.resource_spans.remove(0));
}

#[tokio::test]
async fn a_client_that_leaves_cancels_nothing() {
    let fixture = start_plain().await;
    let hold = Arc::new(Notify::new());
    *fixture.pipeline.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let deadline = Some(Instant::now() + Duration::from_secs(1));
    let failure = channel(&fixture, "none")
        .unary(METHODS[0].1, vec![spans(5)], None, deadline, None)
        .await
        .unwrap_err();
    assert_eq!(failure.code, Some(Code::DeadlineExceeded));
    assert!(fixture.pipeline.taken().is_empty());
    hold.notify_one();
    fixture.pipeline.consumed.notified().await;
    assert_eq!(fixture.pipeline.only().items(), 5);
}

#[tokio::test]
async fn stopping_answers_what_is_under_way() {
    let mut fixture = start_plain().await;
    let hold = Arc::new(Notify::new());
    *fixture.pipeline.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let channel = channel(&fixture, "none");
    // Stored before it waits, so the batch is answered whenever it comes to wait.
    let call = channel.unary(METHODS[0].1, vec![spans(1)], None, soon(), None);
    let stop = async {
        fixture.pipeline.consumed.notified().await;
        fixture.receiver.stop(Instant::now() + Duration::from_secs(10)).await;
    };
    hold.notify_one();
    let (answer, ()) = tokio::join!(call, stop);
    assert_eq!(answer.unwrap(), Bytes::new());
}
