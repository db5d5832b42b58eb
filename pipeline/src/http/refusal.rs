//! Why a server refuses a request before any pipeline sees it, in the words of HTTP, of gRPC and of the metrics.

use std::time::Duration;

use http::StatusCode;

use crate::{
    budget::Exhausted,
    component::AuthRefusal,
    compression::{DecompressError, UnknownEncoding},
    reply::Code,
};

/// How soon a client may try again when the memory budget is used up, or its credentials cannot be checked.
const RETRY: Duration = Duration::from_secs(1);

/// Why a request was refused at the door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body, as it came or decompressed, is larger than the configuration allows.
    #[error("the request is larger than the {limit} bytes that {key} allows")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The key that sets it.
        key: &'static str,
    },
    /// There is no memory for it now.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The client sent its body too slowly.
    #[error("the request body arrived too slowly")]
    Slow,
    /// The deadline passed before the request was complete.
    #[error("the deadline passed before the request was complete")]
    Deadline,
    /// The body ended early or was otherwise broken off.
    #[error("the request body could not be read: {0}")]
    Aborted(String),
    /// The body is compressed in a way that this server does not take.
    #[error(transparent)]
    UnsupportedEncoding(#[from] UnknownEncoding),
    /// The body cannot be decompressed or decoded.
    #[error("{0}")]
    Malformed(String),
    /// Credentials are missing or wrong.
    #[error("{0}")]
    Unauthenticated(String),
    /// Credentials cannot be checked now.
    #[error("{0}")]
    Unchecked(String),
}

impl From<AuthRefusal> for Refusal {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Wrong { message, .. } => Self::Unauthenticated(message.to_owned()),
            AuthRefusal::Unavailable(_) => Self::Unchecked(refusal.to_string()),
        }
    }
}

impl Refusal {
    /// A decompression that failed; `key` is what sets the size limit.
    #[must_use]
    pub fn of_decompression(error: DecompressError, key: &'static str) -> Self {
        match error {
            DecompressError::TooLarge { limit } => Self::TooLarge { limit, key },
            DecompressError::Malformed { .. } => Self::Malformed(error.to_string()),
            DecompressError::Exhausted(exhausted) => Self::Exhausted(exhausted),
        }
    }

    /// The HTTP status. A body that is too large answers 400, as the Collector does.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } | Self::Aborted(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Exhausted(_) | Self::Unchecked(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        }
    }

    /// The gRPC status.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::Exhausted(_) | Self::Unchecked(_) => Code::Unavailable,
            Self::Slow | Self::Deadline => Code::DeadlineExceeded,
            Self::Aborted(_) => Code::Cancelled,
            Self::UnsupportedEncoding(_) => Code::Unimplemented,
            Self::Malformed(_) => Code::InvalidArgument,
            Self::Unauthenticated(_) => Code::Unauthenticated,
        }
    }

    /// When the client may try again, if trying again can help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Exhausted(_) | Self::Unchecked(_) => Some(RETRY),
            _ => None,
        }
    }

    /// The fixed word for [`crate::telemetry::ReceiverMetrics::refused_request`].
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Exhausted(_) => "budget",
            Self::Slow => "slow",
            Self::Deadline => "deadline",
            Self::Aborted(_) => "aborted",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::Malformed(_) => "malformed",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Unchecked(_) => "auth_unavailable",
        }
    }
}
