//! OTLP over HTTP.

use ::http::{StatusCode, header};
use sluice_pipeline::{
    compression::{Encoding, compress},
    http::client::{HttpClient, HttpClientConfig, HttpResponse, Post},
};

use super::{hostile::exchange, *};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// A span as the OTLP specification's example writes it.
const SPAN_JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
    "scopeSpans":[{"scope":{"name":"my.library"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
    "spanId":"EEE19B7EC3C1B174","name":"I'm a server span","startTimeUnixNano":"1544712660000000000",
    "endTimeUnixNano":"1544712661000000000","kind":2}]}]}]}"#;

async fn send(
    fixture: &Fixture,
    path: &str,
    content_type: &'static str,
    compression: &str,
    body: impl Into<Bytes>,
) -> HttpResponse {
    let config = HttpClientConfig { compression: compression.to_owned(), ..Default::default() };
    let client = HttpClient::new(&config, &ComponentContext::detached("test", Budget::new(1 << 30))).unwrap();
    let uri = fixture.uri(path);
    let post = Post {
        uri: &uri,
        content_type,
        chunks: vec![body.into()],
        compressed: None,
        deadline: soon(),
        context: None,
    };
    client.post(post).await.unwrap()
}

fn content_type(response: &HttpResponse) -> &str {
    response.headers[header::CONTENT_TYPE].to_str().unwrap()
}

#[tokio::test]
async fn protobuf_arrives_byte_for_byte_in_every_encoding() {
    let fixture = start_plain().await;
    let message = spans(50);
    for (compression, kept) in [
        ("none", None),
        ("gzip", Some(Encoding::Gzip)),
        ("zstd", Some(Encoding::Zstd)),
        ("deflate", None),
        ("snappy", None),
    ] {
        let response = send(&fixture, "/v1/traces", PROTOBUF, compression, message.clone()).await;
        assert_eq!((response.status, content_type(&response)), (StatusCode::OK, PROTOBUF), "{compression}");
        assert!(response.body.is_empty());
        let batch = fixture.pipeline.only();
        assert_eq!(batch.contiguous(), message, "{compression}");
        assert_eq!(
            batch.chunks()[0].compressed().map(|compressed| compressed.encoding),
            kept,
            "{compression}"
        );
    }
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn json_becomes_the_same_bytes() {
    let fixture = start_plain().await;
    let response = send(&fixture, "/v1/traces", JSON, "gzip", SPAN_JSON).await;
    assert_eq!(
        (response.status, content_type(&response), &response.body[..]),
        (StatusCode::OK, JSON, &b"{}"[..])
    );
    let batch = fixture.pipeline.only();
    assert!(batch.chunks()[0].compressed().is_none());
    let data = TracesData::decode(batch.contiguous()).unwrap();
    let span = &data.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.kind, span.trace_id[0]), ("I'm a server span", 2, 0x5b));
}

#[tokio::test]
async fn every_refusal_has_its_status_in_the_encoding_of_the_request() {
    let fixture = start("", "max_request_body_size: 1000", Budget::new(1 << 30)).await;
    let malformed = send(&fixture, "/v1/traces", PROTOBUF, "", spans(2).slice(..20)).await;
    assert_eq!((malformed.status, content_type(&malformed)), (StatusCode::BAD_REQUEST, PROTOBUF));
    assert_eq!(malformed.body[..2], [8, 3], "a google.rpc.Status with INVALID_ARGUMENT");

    let malformed = send(&fixture, "/v1/traces", JSON, "", "{\"resourceSpans\": 7}").await;
    assert_eq!((malformed.status, content_type(&malformed)), (StatusCode::BAD_REQUEST, JSON));
    let status: serde_json::Value = serde_json::from_slice(&malformed.body).unwrap();
    assert_eq!(status["code"], 3);
    assert!(status["message"].as_str().unwrap().contains("resourceSpans"), "{status}");

    for compression in ["", "gzip"] {
        let oversize = send(&fixture, "/v1/traces", PROTOBUF, compression, vec![0; 1001]).await;
        assert_eq!(oversize.status, StatusCode::BAD_REQUEST, "as the Collector answers");
    }
    let wrong_type = send(&fixture, "/v1/traces", "text/plain", "", "x").await;
    assert_eq!(wrong_type.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unknown = send(&fixture, "/v2/traces", PROTOBUF, "", "x").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let no_pipeline = send(&fixture, "/v1/logs", PROTOBUF, "", "").await;
    assert_eq!(no_pipeline.status, StatusCode::NOT_FOUND);
    assert!(fixture.pipeline.taken().is_empty());
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn answers_of_the_pipeline_reach_the_client() {
    let fixture = start_plain().await;
    fixture.pipeline.answer(Failure::retryable("full").retry_after(Duration::from_millis(6500)).into());
    let busy = send(&fixture, "/v1/traces", PROTOBUF, "", spans(1)).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.headers[header::RETRY_AFTER], "7");

    fixture.pipeline.answer(Failure::permanent("never").into());
    assert_eq!(
        send(&fixture, "/v1/traces", JSON, "", SPAN_JSON).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );

    fixture.pipeline.answer(Reply::Rejected { items: 1, message: "old".to_owned() });
    let partial = send(&fixture, "/v1/traces", JSON, "", SPAN_JSON).await;
    assert_eq!(partial.status, StatusCode::OK);
    assert_eq!(&partial.body[..], br#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"old"}}"#);
}

#[tokio::test]
async fn an_empty_request_is_taken_without_the_pipeline() {
    let fixture = start_plain().await;
    assert_eq!(send(&fixture, "/v1/traces", PROTOBUF, "", "").await.status, StatusCode::OK);
    assert_eq!(send(&fixture, "/v1/metrics", JSON, "", "{}").await.status, StatusCode::OK);
    assert!(fixture.pipeline.taken().is_empty());
}

#[tokio::test]
async fn an_exhausted_budget_asks_to_come_again() {
    let fixture = start("", "", Budget::new(100_000)).await;
    let _held = fixture.budget.charge(100_000).unwrap();
    let refused = send(&fixture, "/v1/traces", PROTOBUF, "", spans(10)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn paths_are_configurable() {
    let fixture = start("", "traces_url_path: custom/spans", Budget::new(1 << 30)).await;
    assert_eq!(send(&fixture, "/custom/spans", PROTOBUF, "", spans(1)).await.status, StatusCode::OK);
    assert_eq!(send(&fixture, "/v1/traces", PROTOBUF, "", spans(1)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.pipeline.only().items(), 1);
}

#[tokio::test]
async fn several_gzip_members_are_read_but_not_passed_on() {
    let fixture = start_plain().await;
    let message = spans(10);
    let member = |part: Bytes| compress(Encoding::Gzip, None, &[part]).unwrap();
    let body = [member(message.slice(..100)), member(message.slice(100..))].concat();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {PROTOBUF}\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(fixture.http, &[head.as_bytes(), &body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let batch = fixture.pipeline.only();
    assert_eq!(batch.contiguous(), message);
    assert!(batch.chunks()[0].compressed().is_none());
}
