//! Answers requests: reads, translates, hands over, and says what came of it.
//!
//! As in the Collector any path is taken, those of v1 for v1 and all others for v2; success is 202 with an empty body, and what can never be accepted is 400.
//! Unlike it, what may be accepted later is 503 with `Retry-After`: the Collector's 500 makes clients give up.

use std::time::Instant;

use futures_util::future::BoxFuture;
use http::{Method, Response, StatusCode};
use sluice_pipeline::{
    Batch, Chunk, Outlet, Reply, Signal,
    component::{BuildError, ReceiverContext},
    http::{
        Refusal, ResponseBody, empty,
        server::{Content, Handler, IncomingRequest},
    },
    telemetry::{AnswerLimits, ReceiverMetrics},
};

use super::translate::{Format, Untranslatable, translate_charged};
use crate::rejection::Rejection;

/// What a path has that belongs to version 1 of Zipkin's API.
const V1_PATH: &str = "api/v1/spans";

/// Answers the requests of a `zipkin` receiver.
pub(super) struct Service {
    traces: Outlet,
    metrics: ReceiverMetrics,
    parse_string_tags: bool,
}

impl Service {
    pub(super) fn new(context: &ReceiverContext, parse_string_tags: bool) -> Result<Self, BuildError> {
        let traces = context.outlets.get(Signal::Traces).cloned().ok_or_else(|| {
            BuildError::Other("the receiver gives traces only; use it in a traces pipeline".to_owned())
        })?;
        let metrics = ReceiverMetrics::new(&context.component.id, "http");
        Ok(Self { traces, metrics, parse_string_tags })
    }

    async fn receive(&self, request: &mut IncomingRequest) -> Result<(), Rejection> {
        if request.head.method != Method::POST {
            request.drain().await;
            return Err(Rejection::Method);
        }
        let content = request.content().await?;
        let Some(format) = format(request.path(), &request.content_type(), &content.bytes) else {
            return Ok(());
        };
        let Some(chunk) = self.translate(format, content)? else { return Ok(()) };
        self.hand_over(Batch::new(Signal::Traces, chunk, request.context(None)), request.answer_by()).await
    }

    /// The content as a chunk of OTLP, charged for what it holds; `None` if there are no spans in it.
    fn translate(&self, format: Format, content: Content) -> Result<Option<Chunk>, Refusal> {
        let Content { bytes, mut charge, .. } = content;
        let translated = translate_charged(format, &bytes, self.parse_string_tags, &mut charge).map_err(
            |untranslatable| match untranslatable {
                Untranslatable::Malformed(malformed) => {
                    Refusal::Malformed(format!("this is no list of Zipkin spans: {malformed}"))
                }
                Untranslatable::Exhausted(exhausted) => exhausted.into(),
            },
        )?;
        drop(bytes);
        charge.shrink_to(translated.traces.capacity() as u64);
        if translated.repaired > 0 {
            self.metrics.repaired(translated.repaired);
        }
        let chunk = || Chunk::new(translated.traces.into(), translated.spans).with_charge(charge);
        Ok((translated.spans > 0).then(chunk))
    }

    async fn hand_over(&self, batch: Batch, write_timeout: Option<Instant>) -> Result<(), Rejection> {
        let spans = batch.items();
        let origin = batch.chunks().first().map(Chunk::origin);
        let waiting = self.metrics.waiting(AnswerLimits { deadline: None, write_timeout });
        let reply = self.traces.send(batch).await;
        waiting.answered();
        match origin.map_or(Reply::Delivered, |origin| reply.for_origin(origin)) {
            Reply::Failed(failure) => {
                self.metrics.refused(Signal::Traces, spans);
                Err(failure.into())
            }
            // Zipkin has no partial success, and what was rejected for good must not come again.
            Reply::Delivered | Reply::Rejected { .. } | Reply::Mixed(_) => {
                self.metrics.accepted(Signal::Traces, spans);
                Ok(())
            }
        }
    }
}

impl Handler for Service {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let Err(rejection) = self.receive(&mut request).await else {
                let mut response = Response::new(empty());
                *response.status_mut() = StatusCode::ACCEPTED;
                return response;
            };
            if let Some(reason) = rejection.reason() {
                self.metrics.refused_request(reason);
            }
            rejection.response()
        })
    }

    fn refused(&self, reason: &'static str) {
        self.metrics.refused_request(reason);
    }
}

/// The format of a body; `None` if it is empty. A list in JSON is known by its first character, which no protobuf list
/// or thrift list begins with; otherwise the content type decides.
fn format(path: &str, content_type: &str, body: &[u8]) -> Option<Format> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let (json, binary, binary_type) = if path.contains(V1_PATH) {
        (Format::V1Json, Format::V1Thrift, "application/x-thrift")
    } else {
        (Format::Json, Format::Protobuf, "application/x-protobuf")
    };
    match first {
        Some(b'[') => Some(json),
        // White space in text may begin a list in binary.
        _ if content_type == binary_type && !body.is_empty() => Some(binary),
        Some(_) => Some(json),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_type_and_content() {
        let v2 = |content_type: &str, body: &[u8]| format("/api/v2/spans", content_type, body);
        assert_eq!(v2("application/json", b" []"), Some(Format::Json));
        assert_eq!(v2("", b"{}"), Some(Format::Json), "to be refused as no list");
        assert_eq!(v2("application/x-protobuf", b"\n\x00"), Some(Format::Protobuf));
        assert_eq!(v2("application/x-protobuf", b"\n\n"), Some(Format::Protobuf));
        assert_eq!(v2("application/x-protobuf", b"[]"), Some(Format::Json));
        assert_eq!(v2("application/json", b" \n"), None);
        assert_eq!(v2("application/x-protobuf", b""), None);
        let v1 = |content_type: &str, body: &[u8]| format("/zipkin/api/v1/spans", content_type, body);
        assert_eq!(v1("application/json", b"[]"), Some(Format::V1Json));
        assert_eq!(v1("", b"\x0c\0\0\0\0"), Some(Format::V1Json), "as the Collector takes it");
        assert_eq!(v1("application/x-thrift", b"\x0c\0\0\0\0"), Some(Format::V1Thrift));
        assert_eq!(v1("application/x-thrift", b"\x0c\n"), Some(Format::V1Thrift));
        assert_eq!(v1("application/x-thrift", b"[]"), Some(Format::V1Json));
        assert_eq!(v1("application/x-thrift", b""), None);
        assert_eq!(format("/", "application/x-thrift", b"\x0c\0\0\0\0"), Some(Format::Json));
    }
}
