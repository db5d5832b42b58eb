//! What a server answered, and what that means for trying again.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::chain;
use crate::{
    compression::{Encoding, decompress},
    grpc::Status,
    http::retry_after,
    reply::{Code, Failure},
};

/// The most that is read of an answer, in bytes.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// The most that is quoted of an answer, in characters.
const QUOTE_LIMIT: usize = 256;

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed; empty if it was larger than is read (64 KiB of the answer to an export).
    pub body: Bytes,
    /// Who answered, for messages.
    place: String,
}

/// An answer whose body arrives piece by piece. It is not decompressed.
pub struct HttpStream {
    /// Its status.
    pub status: StatusCode,
    body: Incoming,
    /// Who answers, for messages.
    place: String,
}

impl HttpStream {
    pub(super) fn new(response: Response<Incoming>, place: &str) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, body, place: place.to_owned() }
    }

    /// Who answers, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Retryable if the connection was lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| {
                let message = format!("reading the answer of {} failed: {}", self.place, chain(&error));
                Failure::retryable(message).with_code(Code::Unavailable)
            })?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

impl HttpResponse {
    pub(super) async fn read(
        response: Response<Incoming>,
        place: &str,
        limit: usize,
    ) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        #[expect(clippy::disallowed_methods, reason = "the body is capped")]
        let body = match Limited::new(body, limit).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => Bytes::new(),
            // What matters of a success is that it was one.
            Err(_) if head.status.is_success() => Bytes::new(),
            Err(error) => {
                let message = format!("reading the answer of {place} failed: {}", chain(error.as_ref()));
                return Err(Failure::retryable(message).with_code(Code::Unavailable));
            }
        };
        let body = decoded(&head.headers, body, limit);
        Ok(Self { status: head.status, headers: head.headers, body, place: place.to_owned() })
    }

    /// The failure that it means by the rules of OTLP/HTTP; `None` for a success. 429, 502, 503 and 504 are
    /// retryable, all else is permanent.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        if self.status.is_success() {
            return None;
        }
        let message = match self.message() {
            quoted if quoted.is_empty() => format!("{} answered {}", self.place, self.status),
            quoted => format!("{} answered {}: {quoted}", self.place, self.status),
        };
        let failure = if matches!(self.status.as_u16(), 429 | 502 | 503 | 504) {
            let failure = Failure::retryable(message);
            match retry_after(&self.headers) {
                Some(delay) => failure.retry_after(delay),
                None => failure,
            }
        } else {
            Failure::permanent(message)
        };
        Some(failure.with_code(code(self.status)))
    }

    /// The server's own words: of a `google.rpc.Status` in either encoding, or the text itself.
    fn message(&self) -> String {
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let message = if content_type.starts_with("application/x-protobuf") {
            Status::message_of(&self.body)
        } else if content_type.starts_with("application/json") {
            json_message(&self.body)
        } else {
            None
        };
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        message.trim().chars().filter(|character| !character.is_control()).take(QUOTE_LIMIT).collect()
    }
}

/// The message of a `google.rpc.Status` in JSON.
fn json_message(body: &[u8]) -> Option<String> {
    let status: serde_json::Value = serde_json::from_slice(body).ok()?;
    status.get("message")?.as_str().map(str::to_owned)
}

fn decoded(headers: &HeaderMap, body: Bytes, limit: usize) -> Bytes {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    match encoding.map(Encoding::from_name) {
        Some(Ok(Some(encoding))) => {
            decompress(encoding, &body, limit).map_or_else(|_| Bytes::new(), |content| content.bytes.into())
        }
        Some(Err(_)) => Bytes::new(),
        Some(Ok(None)) | None => body,
    }
}

/// The gRPC status that comes closest (OTLP specification, "All HTTP responses").
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}
