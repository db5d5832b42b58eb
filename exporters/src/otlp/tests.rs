use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use sluice_pipeline::{
    Code, Reply, Signal,
    batch::Compressed,
    component::ComponentConfig,
    compression::{Encoding, compress, decompress},
    reply::Retry,
};

use super::*;
use crate::loopback::{
    Answer, Loopback, Received, answer, batch, compressed, configure, exporter, failure, send,
};

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

fn ok(message: &[u8]) -> Answer {
    answer(200, &[("content-type", "application/grpc")], framed(message), Some(&[("grpc-status", "0")]))
}

fn ended(code: u8, more: &[(&'static str, &str)]) -> Answer {
    let code = code.to_string();
    let headers = [&[("content-type", "application/grpc"), ("grpc-status", code.as_str())], more].concat();
    answer(200, &headers, "", None)
}

async fn to(server: &Loopback, more: &str) -> Arc<dyn Consumer> {
    exporter::<Otlp>(Signal::Traces, &format!("endpoint: 'http://{}', {more}", server.address))
}

/// The message of a received call, decompressed.
fn message(received: &Received) -> Vec<u8> {
    let (flag, rest) = received.body.split_first().unwrap();
    let (length, message) = rest.split_first_chunk::<4>().unwrap();
    assert_eq!(u32::from_be_bytes(*length) as usize, message.len());
    match received.headers.get("grpc-encoding").map(|name| name.to_str().unwrap()) {
        None => {
            assert_eq!(*flag, 0);
            message.to_vec()
        }
        Some(name) => {
            assert_eq!(*flag, 1);
            let encoding = Encoding::from_name(name).unwrap().unwrap();
            decompress(encoding, message, 1 << 20).unwrap().bytes
        }
    }
}

#[tokio::test]
async fn each_signal_calls_its_service_with_the_batch_as_it_is() {
    let server = Loopback::start(|| ok(b"")).await;
    for (signal, path) in [
        (Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (Signal::Metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
        (Signal::Logs, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        (Signal::Profiles, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"),
    ] {
        let exporter = exporter::<Otlp>(signal, &format!("endpoint: 'http://{}'", server.address));
        assert_eq!(send(&exporter, batch(signal, b"the message")).await, Reply::Delivered);
        let received = server.last();
        assert_eq!(received.path, path);
        assert_eq!(message(&received), b"the message");
        assert_eq!(received.headers["grpc-encoding"], "gzip", "the Collector's default");
        assert_eq!(received.headers["content-type"], "application/grpc");
    }
}

#[tokio::test]
async fn chunks_go_out_as_one_message_in_every_compression() {
    let server = Loopback::start(|| ok(b"")).await;
    for compression in ["gzip", "zstd", "snappy", "none", "''"] {
        let exporter = to(&server, &format!("compression: {compression}, headers: {{x-team: blue}}")).await;
        let mut joined = batch(Signal::Traces, b"one ");
        joined.join(batch(Signal::Traces, b"two"));
        assert_eq!(send(&exporter, joined).await, Reply::Delivered, "{compression}");
        assert_eq!(message(&server.last()), b"one two", "{compression}");
        assert_eq!(server.last().headers["x-team"], "blue");
    }
}

#[tokio::test]
async fn an_untouched_batch_goes_out_as_it_came() {
    let server = Loopback::start(|| ok(b"")).await;
    let bytes = compress(Encoding::Gzip, Some(9), &[Bytes::from_static(b"as it came")]).unwrap();
    let came = Compressed { encoding: Encoding::Gzip, bytes: bytes.into() };
    let untouched = || compressed(b"made again", came.clone());
    send(&to(&server, "compression: gzip").await, untouched()).await;
    assert_eq!(message(&server.last()), b"as it came");
    send(&to(&server, "compression: zstd").await, untouched()).await;
    assert_eq!(message(&server.last()), b"made again", "another encoding");
    let mut joined = untouched();
    joined.join(untouched());
    send(&to(&server, "compression: gzip").await, joined).await;
    assert_eq!(message(&server.last()), b"made againmade again", "two members would be read as one by some");
}

#[tokio::test]
async fn every_status_is_retried_or_not_as_otlp_says() {
    for number in 1..=16 {
        let server = Loopback::start(move || ended(number, &[("grpc-message", "because%20so")])).await;
        let failure = failure(&to(&server, "").await).await;
        let code = Code::from_number(number.into());
        let retryable = matches!(
            code,
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        );
        assert_eq!(failure.is_permanent(), !retryable, "{code}");
        assert_eq!(failure.code, Some(code));
        assert!(failure.message.contains("because so"), "{failure}");
    }
}

#[tokio::test]
async fn retry_info_makes_resource_exhausted_retryable() {
    // google.rpc.Status {code: 8, details: [RetryInfo {retry_delay: 7s}]}
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let any =
        [&[0x0a, u8::try_from(url.len()).unwrap()], url.as_slice(), &[0x12, 4, 0x0a, 2, 0x08, 7]].concat();
    let status = [&[0x08, 8, 0x1a, u8::try_from(any.len()).unwrap()], any.as_slice()].concat();
    let details = STANDARD.encode(status);
    let server = Loopback::start(move || ended(8, &[("grpc-status-details-bin", details.as_str())])).await;
    let failure = failure(&to(&server, "").await).await;
    assert_eq!(failure.retry, Retry::After(Duration::from_secs(7)));
}

#[tokio::test]
async fn partial_success_is_told() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let response = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let server = Loopback::start(move || ok(&response)).await;
    let reply = send(&to(&server, "").await, batch(Signal::Traces, b"x")).await;
    assert_eq!(reply, Reply::Rejected { items: 2, message: "too old".to_owned() });
    let garbled = Loopback::start(|| ok(b"\xff\xff")).await;
    let reply = send(&to(&garbled, "").await, batch(Signal::Traces, b"x")).await;
    assert_eq!(reply, Reply::Delivered, "the status says that it was taken");
}

#[tokio::test]
async fn a_proxy_that_answers_in_http_is_understood() {
    for (status, permanent) in [(503, false), (429, false), (401, true), (404, true), (200, true)] {
        let server =
            Loopback::start(move || answer(status, &[("content-type", "text/html")], "no", None)).await;
        let failure = failure(&to(&server, "").await).await;
        assert_eq!(failure.is_permanent(), permanent, "{status}: {failure}");
    }
}

#[tokio::test]
async fn a_destination_that_is_not_there_is_tried_again() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let exporter = exporter::<Otlp>(Signal::Traces, &format!("endpoint: '{gone}', tls: {{insecure: true}}"));
    let failure = failure(&exporter).await;
    assert!(!failure.is_permanent() && failure.message.contains(&gone.to_string()), "{failure}");
}

#[tokio::test]
async fn an_endpoint_without_a_scheme_is_encrypted_unless_told_otherwise() {
    let server = Loopback::start(|| ok(b"")).await;
    let plain =
        exporter::<Otlp>(Signal::Traces, &format!("endpoint: '{}', tls: {{insecure: true}}", server.address));
    assert_eq!(send(&plain, batch(Signal::Traces, b"x")).await, Reply::Delivered);
    let encrypted = exporter::<Otlp>(Signal::Traces, &format!("endpoint: '{}', timeout: 2s", server.address));
    assert!(!failure(&encrypted).await.is_permanent(), "the server speaks no TLS");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_collectors_file_is_read() {
    let config: OtlpConfig = configure(
        "{endpoint: 'backend:4317', compression: zstd, tls: {ca_file: /ca.pem}, headers: {a: b}, balancer_name: \
         pick_first, keepalive: {time: 10s}, sending_queue: {queue_size: 5, batch: {}}, retry_on_failure: \
         {max_elapsed_time: 0}}",
    )
    .unwrap();
    assert_eq!(config.problems(), []);
    assert_eq!(config.export.timeout.as_secs(), 5);
    assert_eq!(config.client.write_buffer_size, 512 << 10);
    assert!(config.export.sending_queue.batch.is_some());
    assert!(!Otlp::answers_later(&config));
}

#[test]
fn what_is_wrong_is_named() {
    let config: OtlpConfig = configure(
        "{compression: brotli, retry_on_failure: {multiplier: -1}, sending_queue: {num_consumers: 0}}",
    )
    .unwrap();
    let keys: Vec<_> = config.problems().into_iter().map(|problem| problem.key).collect();
    assert_eq!(
        keys,
        ["endpoint", "compression", "retry_on_failure.multiplier", "sending_queue.num_consumers"]
    );
    let unknown = configure::<OtlpConfig>("{endpont: x}").unwrap_err();
    assert!(unknown.contains("did you mean \"endpoint\""), "{unknown}");
}
