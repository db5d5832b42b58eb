//! Why a request over HTTP was not taken, for protocols that say so with a status and a text.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use sluice_pipeline::{
    Failure,
    http::{Refusal, ResponseBody, text},
    reply::Retry,
};

/// How soon a client may send again, if no exporter says otherwise.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    /// It was not sent with POST.
    #[error("send with POST")]
    Method,
    /// The protocol has nothing at this path.
    #[error("{message}")]
    Path {
        /// What is answered.
        status: StatusCode,
        /// The label that it is counted with.
        reason: &'static str,
        /// What the client is told.
        message: &'static str,
    },
    /// At the door.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// By a pipeline.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Rejection {
    /// The label of a request of which no item was seen.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Method => Some("method"),
            Self::Path { reason, .. } => Some(reason),
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Failed(_) => None,
        }
    }

    /// The answer. What may be accepted later is 503 with `Retry-After`, what never can be is 400.
    pub(crate) fn response(&self) -> Response<ResponseBody> {
        let mut response = text(self.status(), self.to_string());
        if let Self::Method = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Some(delay) = self.retry_after() {
            // Whole seconds, rounded up.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path { status, .. } => *status,
            Self::Refused(refusal) => refusal.status(),
            Self::Failed(failure) if failure.is_permanent() => StatusCode::BAD_REQUEST,
            Self::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Method | Self::Path { .. } => None,
            Self::Refused(refusal) => refusal.retry_after(),
            Self::Failed(failure) => match failure.retry {
                Retry::Permanent => None,
                Retry::Backoff => Some(RETRY_AFTER),
                Retry::After(delay) => Some(delay),
            },
        }
    }
}
