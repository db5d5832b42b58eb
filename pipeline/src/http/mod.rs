//! What HTTP servers and clients share.

pub mod body;
pub mod client;
mod client_auth;
mod dial;
mod refusal;
mod retry_after;
mod rope;
pub mod server;

pub use client_auth::ClientAuthConfig;
pub use refusal::Refusal;
pub use retry_after::retry_after;

pub(crate) use client_auth::warn_of_plaintext;
pub(crate) use dial::tune;
pub(crate) use retry_after::LONGEST_DELAY;
pub(crate) use rope::{Rope, RopeBody};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// The body of a response: one buffer, or a stream of them.
pub type ResponseBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body of nothing.
#[must_use]
pub fn empty() -> ResponseBody {
    Empty::new().boxed_unsync()
}

/// A response of plain text.
pub fn text(status: StatusCode, text: impl Into<String>) -> Response<ResponseBody> {
    with_type(status, "text/plain; charset=utf-8", text.into())
}

/// A response of this content type.
pub fn with_type(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<ResponseBody> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
