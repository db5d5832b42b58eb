//! What a server's answer means.
//!
//! By both specifications 5xx and 429 may be sent again and other errors not. But some servers, Prometheus before 3.0
//! among them, answer 500 to samples that they will never take; those are known by the server's words.

use http::{HeaderMap, StatusCode};
use sluice_pipeline::{
    Failure,
    http::{client::HttpResponse, retry_after},
    reply::Retry,
};

use super::{config::ProtobufMessage, request::Holds};

/// Words of a server about samples that it will never take, and the reason that they are counted under.
const SAMPLES_AT_FAULT: [(&str, &str); 5] = [
    ("out of order", "out_of_order"),
    ("duplicate sample", "duplicate"),
    ("too old", "too_old"),
    ("out of bounds", "out_of_bounds"),
    ("label name", "labels"),
];
const VERSION_2_UNKNOWN: &str =
    "it does not take remote write 2.0; set protobuf_message: prometheus.WriteRequest (1.0)";
const VERSION_2_IGNORED: &str = "it answered without saying what it has written, so it does not know remote write 2.0 and \
                                 has dropped the data; set protobuf_message: prometheus.WriteRequest (1.0)";

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has all.
    Written,
    /// The server has this much of it; it will not take the rest, for a reason by which that is counted, and of which it
    /// may have said more.
    Partly { written: Holds, failure: Option<Failure>, reason: String },
    /// The server will not take it, for a reason by which that is counted.
    Rejected {
        failure: Failure,
        reason: String,
        /// Whether one of its samples may be at fault rather than all.
        divisible: bool,
    },
    /// The server may take it later.
    Later(Failure),
}

impl Verdict {
    /// The verdict of an answer to a request that holds this much.
    pub(super) fn of(response: &HttpResponse, message: ProtobufMessage, holds: Holds) -> Self {
        let Some(failure) = response.failure() else {
            return match message {
                ProtobufMessage::V1 => Self::Written,
                ProtobufMessage::V2 => Self::of_written(&response.headers, holds),
            };
        };
        let status = response.status;
        let may_mean_samples = status.is_client_error() || status == StatusCode::INTERNAL_SERVER_ERROR;
        let at_fault =
            SAMPLES_AT_FAULT.iter().find(|(words, _)| may_mean_samples && failure.message.contains(words));
        let passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if passing && (at_fault.is_none() || !status.is_server_error()) {
            let retry = retry_after(&response.headers).map_or(Retry::Backoff, Retry::After);
            return Self::Later(Failure { retry, ..failure });
        }
        let reason = match at_fault {
            Some((_, reason)) => (*reason).to_owned(),
            None => format!("http_{}", status.as_u16()),
        };
        // A server of 2.0 takes what it can of a request that it refuses, and says how much that is.
        let written = written(&response.headers, holds).filter(|_| message == ProtobufMessage::V2);
        if let Some(written) = written {
            let failure = Failure { retry: Retry::Permanent, ..failure };
            return Self::Partly { written, failure: Some(failure), reason };
        }
        let divisible =
            at_fault.is_some() || matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
        let unknown = status == StatusCode::UNSUPPORTED_MEDIA_TYPE && message == ProtobufMessage::V2;
        let message =
            if unknown { format!("{}: {VERSION_2_UNKNOWN}", failure.message) } else { failure.message };
        Self::Rejected { failure: Failure { retry: Retry::Permanent, message, ..failure }, reason, divisible }
    }

    /// By the headers that 2.0 requires.
    fn of_written(headers: &HeaderMap, holds: Holds) -> Self {
        let Some(written) = written(headers, holds) else {
            let failure = Failure::permanent(format!("the server took a request, but {VERSION_2_IGNORED}"));
            return Self::Rejected { failure, reason: "version".to_owned(), divisible: false };
        };
        if written == holds {
            return Self::Written;
        }
        Self::Partly { written, failure: None, reason: "not_written".to_owned() }
    }
}

/// How much of a request the server says that it has written, if it does.
fn written(headers: &HeaderMap, holds: Holds) -> Option<Holds> {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let samples = count("x-prometheus-remote-write-samples-written");
    let histograms = count("x-prometheus-remote-write-histograms-written");
    let exemplars = count("x-prometheus-remote-write-exemplars-written");
    samples.or(histograms).or(exemplars)?;
    Some(Holds {
        samples: samples.unwrap_or(0).min(holds.samples),
        histograms: histograms.unwrap_or(0).min(holds.histograms),
        exemplars: exemplars.unwrap_or(0).min(holds.exemplars),
        points: holds.points,
    })
}
