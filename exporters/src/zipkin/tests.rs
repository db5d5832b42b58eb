use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode, header};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Reply, Signal,
    budget::Budget,
    component::{ComponentConfig, ComponentContext, Kind, Listener},
    export::Sender,
    http::{
        ResponseBody, empty,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
    },
    reply::Retry,
};
use tokio::net::TcpListener;

use super::*;

/// Answers every request the same way, and keeps it.
struct Recorder {
    status: StatusCode,
    retry_after: Option<&'static str>,
    requests: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
}

impl Handler for Recorder {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let content = request.content().await.unwrap();
            self.requests.lock().unwrap().push((request.head.headers.clone(), content.bytes.to_vec()));
            let mut response = Response::new(empty());
            *response.status_mut() = self.status;
            if let Some(delay) = self.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, delay.parse().unwrap());
            }
            response
        })
    }
}

struct Zipkins {
    recorder: Arc<Recorder>,
    endpoint: String,
    context: ComponentContext,
    _server: Server,
}

impl Zipkins {
    async fn answering(status: StatusCode, retry_after: Option<&'static str>) -> Self {
        let context = ComponentContext::detached("zipkin", Budget::new(1 << 30));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/api/v2/spans", listener.local_addr().unwrap());
        let recorder = Arc::new(Recorder { status, retry_after, requests: Mutex::default() });
        let server = HttpServer::new(&HttpServerConfig::default(), "", &context).unwrap();
        let handler: Arc<dyn Handler> = Arc::clone(&recorder) as _;
        let server = server.start(Listener::Tcp(listener), Kind::Exporter, handler);
        Self { recorder, endpoint, context, _server: server }
    }

    async fn send(&self, batch: Batch, change: impl FnOnce(&mut ZipkinConfig)) -> Reply {
        let mut config = ZipkinConfig::default();
        config.client.endpoint = self.endpoint.clone();
        change(&mut config);
        ZipkinSender::new(&config, &self.context).unwrap().send(&batch, None).await
    }
}

fn batch(ids: &[u8]) -> Batch {
    let spans = ids
        .iter()
        .map(|id| Span { trace_id: vec![*id; 16], span_id: vec![*id; 8], ..Span::default() })
        .collect();
    let traces = TracesData {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    Batch::new(Signal::Traces, Chunk::new(traces.encode_to_vec().into(), ids.len()), Context::default())
}

#[test]
fn defaults_are_the_collectors() {
    let config = ZipkinConfig::default();
    assert_eq!(config.client.timeout.get(), Duration::from_secs(5));
    assert_eq!((config.own.format, config.own.default_service_name.as_str()), (Format::Json, ""));
    assert!(config.own.retry_on_failure.enabled && config.own.sending_queue.enabled);
    let problems = config.problems();
    assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["endpoint"]);
}

#[tokio::test]
async fn spans_are_sent_in_the_configured_format() {
    let zipkin = Zipkins::answering(StatusCode::ACCEPTED, None).await;
    assert_eq!(zipkin.send(batch(&[1, 2]), |_| {}).await, Reply::Delivered);
    let protobuf = |config: &mut ZipkinConfig| {
        config.own.format = Format::Protobuf;
        config.client.compression = "gzip".to_owned();
    };
    assert_eq!(zipkin.send(batch(&[1, 2]), protobuf).await, Reply::Delivered);
    let requests = zipkin.recorder.requests.lock().unwrap();
    let [(json_headers, json), (protobuf_headers, protobuf)] = requests.as_slice() else {
        panic!("two requests")
    };
    assert_eq!(json_headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(protobuf_headers[header::CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(protobuf_headers[header::CONTENT_ENCODING], "gzip");
    let mut seen = Vec::new();
    sluice_protocols::zipkin::read_json(json, |span| seen.push(span.id)).unwrap();
    sluice_protocols::zipkin::read_protobuf(protobuf, |span| seen.push(span.id)).unwrap();
    assert_eq!(seen, [[1; 8], [2; 8], [1; 8], [2; 8]]);
}

#[tokio::test]
async fn spans_without_ids_are_rejected_and_the_others_sent() {
    let zipkin = Zipkins::answering(StatusCode::ACCEPTED, None).await;
    let Reply::Rejected { items, .. } = zipkin.send(batch(&[0, 1, 0]), |_| {}).await else {
        panic!("rejected")
    };
    assert_eq!(items, 2);
    let Reply::Rejected { items, .. } = zipkin.send(batch(&[0]), |_| {}).await else { panic!("rejected") };
    assert_eq!(items, 1);
    assert_eq!(zipkin.recorder.requests.lock().unwrap().len(), 1, "nothing is sent if nothing is left");
}

#[tokio::test]
async fn answers_say_whether_to_try_again() {
    for (status, retry_after, expected) in [
        (500, None, Retry::Backoff),
        (503, Some("7"), Retry::After(Duration::from_secs(7))),
        (429, None, Retry::Backoff),
        (408, None, Retry::Backoff),
        (400, None, Retry::Permanent),
        (413, None, Retry::Permanent),
        (302, None, Retry::Permanent),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let zipkin = Zipkins::answering(status, retry_after).await;
        let Reply::Failed(failure) = zipkin.send(batch(&[1]), |_| {}).await else {
            panic!("{status} is a failure")
        };
        assert_eq!(failure.retry, expected, "{status}");
        assert!(failure.message.contains("/api/v2/spans answered"), "{failure}");
    }
}

#[tokio::test]
async fn a_zipkin_that_is_down_is_retryable() {
    let zipkin = Zipkins::answering(StatusCode::ACCEPTED, None).await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reply = zipkin.send(batch(&[1]), |config| config.client.endpoint = format!("http://{unused}/")).await;
    let Reply::Failed(failure) = reply else { panic!("nothing listens") };
    assert_eq!(failure.retry, Retry::Backoff);
}
