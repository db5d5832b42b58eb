//! A tracer of a few lines for the applications of the demo: W3C headers out and in, spans to OTLP/HTTP as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use serde_json::{Value, json};

/// How long the pipeline may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The header of W3C Trace Context.
const TRACE_PARENT: &str = "traceparent";

/// Sends spans of one service.
#[derive(Clone)]
pub(super) struct Tracer {
    service: &'static str,
    host: String,
    otlp: u16,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A span that is under way.
pub(super) struct Span {
    trace_id: String,
    span_id: String,
    parent_id: String,
    kind: u8,
    name: String,
    start: u64,
}

impl Tracer {
    pub(super) fn new(service: &'static str, otlp: u16, client: Client<HttpConnector, Full<Bytes>>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { service, host, otlp, client }
    }

    /// Ends a span and sends it.
    pub(super) async fn end(&self, span: Span, status: u16) -> Result<(), String> {
        let document = self.document(&span, status).to_string();
        let request = Request::post(format!("http://127.0.0.1:{}/v1/traces", self.otlp))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(document))
            .map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        match answer {
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) => Err(format!("the pipeline answered {}", response.status())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the pipeline did not answer".to_owned()),
        }
    }

    fn document(&self, span: &Span, status: u16) -> Value {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let number = |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
        json!({"resourceSpans": [{
            "resource": {"attributes": [
                text("service.name", self.service),
                text("host.name", &self.host),
                number("process.pid", u64::from(std::process::id())),
            ]},
            "scopeSpans": [{
                "scope": {"name": "sluice-demo"},
                "spans": [{
                    "traceId": span.trace_id, "spanId": span.span_id, "parentSpanId": span.parent_id,
                    "kind": span.kind, "name": span.name,
                    "startTimeUnixNano": span.start.to_string(), "endTimeUnixNano": now().to_string(),
                    "attributes": [number("http.response.status_code", u64::from(status))],
                    "status": if status >= 500 { json!({"code": 2}) } else { json!({}) },
                }],
            }],
        }]})
    }
}

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

impl Span {
    /// The span of a request that came with these headers.
    pub(super) fn server(headers: &HeaderMap, name: String) -> Self {
        let (trace_id, parent_id) = parent(headers).unwrap_or_else(|| (identifier(16), String::new()));
        Self { trace_id, span_id: identifier(8), parent_id, kind: SERVER, name, start: now() }
    }

    /// The span of a request that is about to be sent, below another or as the first of a trace.
    pub(super) fn client(parent: Option<&Self>, name: String) -> Self {
        let (trace_id, parent_id) = match parent {
            Some(parent) => (parent.trace_id.clone(), parent.span_id.clone()),
            None => (identifier(16), String::new()),
        };
        Self { trace_id, span_id: identifier(8), parent_id, kind: CLIENT, name, start: now() }
    }

    /// Puts it into the headers of the request that it stands for.
    pub(super) fn inject(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(format!("00-{}-{}-01", self.trace_id, self.span_id)) {
            headers.insert(TRACE_PARENT, value);
        }
    }
}

fn parent(headers: &HeaderMap) -> Option<(String, String)> {
    let mut parts = headers.get(TRACE_PARENT)?.to_str().ok()?.split('-').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn identifier(bytes: usize) -> String {
    (0..bytes).map(|_| format!("{:02x}", fastrand::u8(1..))).collect()
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
