use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message as _;
use sluice_pipeline::{
    Batch, Chunk, Code, Context, Reply, Signal,
    batch::Compressed,
    component::ComponentConfig,
    compression::{self, compress, decompress},
    reply::Retry,
};

use super::*;
use crate::loopback::{
    Answer, Loopback, Received, answer, batch, compressed, configure, exporter, failure, send,
};

fn ok() -> Answer {
    answer(200, &[], "", None)
}

async fn to(server: &Loopback, more: &str) -> Arc<dyn Consumer> {
    exporter::<OtlpHttp>(Signal::Traces, &format!("endpoint: 'http://{}', {more}", server.address))
}

/// The content of a received request, decompressed.
fn content(received: &Received) -> Vec<u8> {
    match received.headers.get("content-encoding") {
        None => received.body.to_vec(),
        Some(name) => {
            let encoding = compression::Encoding::from_name(name.to_str().unwrap()).unwrap().unwrap();
            decompress(encoding, &received.body, 1 << 20).unwrap().bytes
        }
    }
}

fn one_span() -> Batch {
    let span =
        Span { trace_id: vec![0xab; 16], span_id: vec![1; 8], name: "op".to_owned(), ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let data = TracesData { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    Batch::new(Signal::Traces, Chunk::new(data.encode_to_vec().into(), 1), Context::default())
}

#[tokio::test]
async fn each_signal_goes_to_its_path() {
    let server = Loopback::start(ok).await;
    for (signal, path) in [
        (Signal::Traces, "/v1/traces"),
        (Signal::Metrics, "/v1/metrics"),
        (Signal::Logs, "/v1/logs"),
        (Signal::Profiles, "/v1development/profiles"),
    ] {
        for slash in ["", "/"] {
            let exporter =
                exporter::<OtlpHttp>(signal, &format!("endpoint: 'http://{}{slash}'", server.address));
            assert_eq!(send(&exporter, batch(signal, b"the message")).await, Reply::Delivered);
            let received = server.last();
            assert_eq!(received.path, path);
            assert_eq!(content(&received), b"the message");
            assert_eq!(received.headers["content-type"], "application/x-protobuf");
            assert_eq!(received.headers["content-encoding"], "gzip", "the Collector's default");
        }
    }
}

#[tokio::test]
async fn an_endpoint_of_its_own_is_used_as_it_is() {
    let server = Loopback::start(ok).await;
    let own = format!("traces_endpoint: 'http://{}/in/here', endpoint: 'http://127.0.0.1:1'", server.address);
    let exporter = exporter::<OtlpHttp>(Signal::Traces, &own);
    assert_eq!(send(&exporter, batch(Signal::Traces, b"x")).await, Reply::Delivered);
    assert_eq!(server.last().path, "/in/here");
}

#[tokio::test]
async fn batches_can_go_as_json() {
    let server = Loopback::start(ok).await;
    for compression in ["gzip", "none"] {
        let exporter = to(&server, &format!("encoding: json, compression: {compression}")).await;
        let mut joined = one_span();
        joined.join(one_span());
        assert_eq!(send(&exporter, joined).await, Reply::Delivered);
        let received = server.last();
        assert_eq!(received.headers["content-type"], "application/json");
        let json: serde_json::Value = serde_json::from_slice(&content(&received)).unwrap();
        assert_eq!(json["resourceSpans"].as_array().unwrap().len(), 2);
        let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((span["name"].as_str(), span["spanId"].as_str()), (Some("op"), Some("0101010101010101")));
    }
}

#[tokio::test]
async fn an_untouched_batch_goes_out_as_it_came() {
    let server = Loopback::start(ok).await;
    let bytes = compress(compression::Encoding::Zstd, None, &[Bytes::from_static(b"as it came")]).unwrap();
    let came = Compressed { encoding: compression::Encoding::Zstd, bytes: bytes.into() };
    let untouched = || compressed(b"made again", came.clone());
    send(&to(&server, "compression: zstd").await, untouched()).await;
    assert_eq!(content(&server.last()), b"as it came");
    send(&to(&server, "compression: gzip").await, untouched()).await;
    assert_eq!(content(&server.last()), b"made again");
    let mut joined = untouched();
    joined.join(untouched());
    send(&to(&server, "compression: zstd").await, joined).await;
    assert_eq!(content(&server.last()), b"made againmade again");
    let json = one_span().try_map(|chunk| Ok::<_, ()>(Some(chunk.with_compressed(came.clone())))).unwrap();
    send(&to(&server, "compression: zstd, encoding: json").await, json).await;
    assert!(content(&server.last()).starts_with(b"{"), "what came was not JSON");
}

#[tokio::test]
async fn every_status_is_retried_or_not_as_otlp_says() {
    for (status, permanent, code) in [
        (400, true, Code::InvalidArgument),
        (401, true, Code::Unauthenticated),
        (403, true, Code::PermissionDenied),
        (404, true, Code::Unimplemented),
        (413, true, Code::Unknown),
        (429, false, Code::ResourceExhausted),
        (500, true, Code::Unknown),
        (502, false, Code::Unavailable),
        (503, false, Code::Unavailable),
        (504, false, Code::Unavailable),
        (302, true, Code::Unknown),
    ] {
        let server =
            Loopback::start(move || answer(status, &[("content-type", "text/plain")], "so", None)).await;
        let failure = failure(&to(&server, "").await).await;
        assert_eq!(failure.is_permanent(), permanent, "{status}");
        assert_eq!(failure.code, Some(code), "{status}");
        assert!(failure.message.contains(&status.to_string()) && failure.message.contains("so"), "{failure}");
    }
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date() {
    let server = Loopback::start(|| answer(503, &[("retry-after", "7")], "", None)).await;
    assert_eq!(failure(&to(&server, "").await).await.retry, Retry::After(Duration::from_secs(7)));
    let server = Loopback::start(|| {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        answer(429, &[("retry-after", date.as_str())], "", None)
    })
    .await;
    let Retry::After(delay) = failure(&to(&server, "").await).await.retry else { panic!("no delay") };
    assert!((80..=90).contains(&delay.as_secs()), "{delay:?}");
}

#[tokio::test]
async fn partial_success_is_told_in_both_encodings() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let proto = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let json = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    let answers = [("application/x-protobuf", proto), ("application/json; charset=utf-8", json.into())];
    for (content_type, body) in answers {
        let server =
            Loopback::start(move || answer(200, &[("content-type", content_type)], body.clone(), None)).await;
        let reply = send(&to(&server, "").await, batch(Signal::Traces, b"x")).await;
        assert_eq!(reply, Reply::Rejected { items: 2, message: "too old".to_owned() }, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_does_not_undo_a_success() {
    for content_type in ["application/x-protobuf", "application/json", "text/html"] {
        let server =
            Loopback::start(move || answer(202, &[("content-type", content_type)], "\u{ff}<", None)).await;
        let reply = send(&to(&server, "").await, batch(Signal::Traces, b"x")).await;
        assert_eq!(reply, Reply::Delivered, "{content_type}");
    }
}

#[tokio::test]
async fn a_destination_that_is_not_there_is_tried_again() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let exporter = exporter::<OtlpHttp>(Signal::Traces, &format!("endpoint: 'http://{gone}'"));
    let failure = failure(&exporter).await;
    assert!(!failure.is_permanent() && failure.message.contains(&gone.to_string()), "{failure}");
}

#[test]
fn a_collectors_file_is_read() {
    let config: OtlpHttpConfig = configure(
        "{endpoint: 'https://backend:4318', logs_endpoint: 'https://logs/in', encoding: json, compression: none, \
         headers: {a: b}, max_idle_conns: 5, sending_queue: {wait_for_result: true}}",
    )
    .unwrap();
    assert_eq!(config.problems(), []);
    assert_eq!(config.client.timeout.as_secs(), 30);
    assert_eq!(config.endpoint(Signal::Logs).as_deref(), Some("https://logs/in"));
    assert_eq!(config.endpoint(Signal::Traces).as_deref(), Some("https://backend:4318/v1/traces"));
    assert!(OtlpHttp::answers_later(&config));
}

#[test]
fn what_is_wrong_is_named() {
    let none: OtlpHttpConfig = configure("{}").unwrap();
    assert_eq!(none.problems()[0].key, "endpoint");
    let config: OtlpHttpConfig =
        configure("{metrics_endpoint: 'backend:4318', compression: br, retry_on_failure: {multiplier: -1}}")
            .unwrap();
    let keys: Vec<_> = config.problems().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["compression", "metrics_endpoint", "retry_on_failure.multiplier"]);
    assert_eq!(config.endpoint(Signal::Traces), None);
    assert!(configure::<OtlpHttpConfig>("{encoding: xml, endpoint: 'http://x'}").is_err());
}
