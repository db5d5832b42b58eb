//! The messages that OTLP answers with, in both encodings, and the HTTP status of each gRPC code.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use sluice_pipeline::{
    Code, Signal,
    grpc::Status,
    http::{ResponseBody, with_type},
    otlp::write::Writer,
};

use super::intake::Partial;

/// When to try again where whatever refused did not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a request over HTTP is encoded, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

impl Format {
    pub(super) fn of_content_type(content_type: &str) -> Option<Self> {
        match content_type {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The `Export…ServiceResponse` of a signal in protobuf: field numbers are the same for all.
pub(super) fn success(partial: Option<&Partial>) -> Bytes {
    let mut bytes = Vec::new();
    if let Some(partial) = partial {
        Writer::new(&mut bytes).message(1, |partial_success| {
            if partial.rejected > 0 {
                partial_success.varint(1, partial.rejected);
            }
            if !partial.message.is_empty() {
                partial_success.bytes(2, partial.message.as_bytes());
            }
        });
    }
    bytes.into()
}

/// The same in OTLP/JSON, where the count has a name of its own for each signal.
fn success_json(signal: Signal, partial: Option<&Partial>) -> String {
    let Some(partial) = partial else { return "{}".to_owned() };
    let rejected = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
        Signal::Profiles => "rejectedProfiles",
    };
    json!({ "partialSuccess": { rejected: partial.rejected.to_string(), "errorMessage": partial.message } })
        .to_string()
}

/// The HTTP response to a request that was taken.
pub(super) fn taken(format: Format, signal: Signal, partial: Option<&Partial>) -> Response<ResponseBody> {
    let body = match format {
        Format::Protobuf => success(partial),
        Format::Json => success_json(signal, partial).into(),
    };
    with_type(StatusCode::OK, format.content_type(), body)
}

/// The HTTP response to a request that was not taken.
pub(super) fn refused(format: Format, http_status: StatusCode, status: &Status) -> Response<ResponseBody> {
    let body = match format {
        Format::Protobuf => status.encode(),
        Format::Json => status.encode_json(),
    };
    let mut response = with_type(http_status, format.content_type(), body);
    let retryable = matches!(http_status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    if let Some(delay) = status.retry_after.or_else(|| retryable.then_some(RETRY_AFTER)) {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The HTTP status that the Collector answers for a code.
pub(super) const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    use super::*;

    #[test]
    fn a_partial_success_is_the_protocols() {
        let partial = Partial { rejected: 3, message: "too old".to_owned() };
        let response = ExportTraceServiceResponse::decode(success(Some(&partial))).unwrap();
        let read = response.partial_success.unwrap();
        assert_eq!((read.rejected_spans, read.error_message.as_str()), (3, "too old"));
        assert_eq!(ExportTraceServiceResponse::decode(success(None)).unwrap().partial_success, None);
        assert_eq!(
            success_json(Signal::Metrics, Some(&partial)),
            r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#
        );
    }
}
