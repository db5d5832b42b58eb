//! How a call ended: the code, its message, and when to try again.

use std::time::Duration;

use base64::{
    Engine, alphabet,
    engine::DecodePaddingMode,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    http::{LONGEST_DELAY, Refusal},
    otlp::{
        wire::{Fields, Value},
        write::Writer,
    },
    reply::{Code, Failure, Retry},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";
/// Longer messages are cut: they travel in headers, whose size peers limit.
const MESSAGE_LIMIT: usize = 1024;
/// Peers pad base64 or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a call ended. Also the `google.rpc.Status` that OTLP/HTTP answers errors with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What happened, for people.
    pub message: String,
    /// When the client may try again (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without a time to try again.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The failure as a server tells it: retryable in the protocol's own way exactly if it is.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        let retry_after = match failure.retry {
            Retry::After(delay) => Some(delay),
            Retry::Backoff | Retry::Permanent => None,
        };
        let code = match (failure.is_permanent(), failure.code) {
            (true, Some(code)) if !is_retryable(code, retry_after) && code != Code::Ok => code,
            (true, _) => Code::Internal,
            (false, Some(code)) if is_retryable(code, retry_after) => code,
            (false, _) => Code::Unavailable,
        };
        Self { code, message: failure.message.clone(), retry_after }
    }

    /// The failure that an exporter makes of it, by the Collector's list of retryable codes.
    #[must_use]
    pub fn into_failure(self, doing: &str) -> Failure {
        let message = format!("{doing}: {}: {}", self.code, self.message);
        let failure = match (is_retryable(self.code, self.retry_after), self.retry_after) {
            (true, Some(delay)) => Failure::retryable(message).retry_after(delay),
            (true, None) => Failure::retryable(message),
            (false, _) => Failure::permanent(message),
        };
        failure.with_code(self.code)
    }

    /// Adds the headers or trailers that carry it.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(self.code.number())));
        if !self.message.is_empty()
            && let Ok(value) = HeaderValue::from_str(&percent_encode(self.cut_message()))
        {
            headers.insert(GRPC_MESSAGE, value);
        }
        if self.retry_after.is_some()
            && let Ok(value) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(self.encode()))
        {
            headers.insert(GRPC_DETAILS, value);
        }
    }

    /// Reads it from headers or trailers; `None` if they carry none.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get(GRPC_STATUS)?.to_str().ok()?.parse().map_or(Code::Unknown, Code::from_number);
        let message =
            headers.get(GRPC_MESSAGE).map_or_else(String::new, |value| percent_decode(value.as_bytes()));
        let retry_after = headers
            .get(GRPC_DETAILS)
            .and_then(|value| LENIENT.decode(value.as_bytes()).ok())
            .and_then(|details| retry_delay(&details));
        Some(Self { code, message, retry_after })
    }

    /// The `google.rpc.Status` message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.varint(1, u64::from(self.code.number()));
        writer.bytes(2, self.cut_message().as_bytes());
        if let Some(delay) = self.retry_after {
            writer.message(3, |any| {
                any.bytes(1, RETRY_INFO);
                any.message(2, |info| {
                    info.message(1, |duration| {
                        duration.varint(1, delay.as_secs());
                        duration.varint(2, u64::from(delay.subsec_nanos()));
                    });
                });
            });
        }
        bytes
    }

    /// The `google.rpc.Status` in protobuf's JSON.
    #[must_use]
    pub fn encode_json(&self) -> Vec<u8> {
        let mut value = serde_json::json!({ "code": self.code.number(), "message": self.cut_message() });
        if let (Some(delay), Some(object)) = (self.retry_after, value.as_object_mut()) {
            let details = serde_json::json!([{
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}.{:09}s", delay.as_secs(), delay.subsec_nanos()),
            }]);
            object.insert("details".to_owned(), details);
        }
        value.to_string().into_bytes()
    }

    /// The message of an encoded `google.rpc.Status`, such as the body of an OTLP/HTTP error.
    #[must_use]
    pub fn message_of(encoded: &[u8]) -> Option<String> {
        let fields: Result<Vec<_>, _> = Fields::of(encoded).collect();
        let message = fields.ok()?.into_iter().rfind(|field| field.number == 2)?;
        std::str::from_utf8(message.value.bytes()).ok().map(str::to_owned)
    }

    fn cut_message(&self) -> &str {
        let mut end = self.message.len().min(MESSAGE_LIMIT);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        self.message.get(..end).unwrap_or_default()
    }
}

impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.to_string(), retry_after: refusal.retry_after() }
    }
}

/// OTLP's retryable codes. `RESOURCE_EXHAUSTED` is one only with a time to try again.
/// Source: OTLP specification, "Failures".
fn is_retryable(code: Code, retry_after: Option<Duration>) -> bool {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    }
}

/// The delay of the `RetryInfo` among the details of an encoded `google.rpc.Status`.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    let info = Fields::of(status)
        .flatten()
        .filter(|field| field.number == 3)
        .map(|detail| detail.value.bytes())
        .find(|detail| find(detail, 1).is_some_and(|name| name.bytes().ends_with(b"google.rpc.RetryInfo")))?;
    let duration = find(find(info, 2)?.bytes(), 1)?.bytes();
    let part = |number| find(duration, number).map_or(0, Value::signed);
    let (seconds, nanos) = (u64::try_from(part(1)).ok()?, u64::try_from(part(2)).ok()?);
    Some(Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos))?.min(LONGEST_DELAY))
}

fn find(message: &[u8], number: u32) -> Option<Value<'_>> {
    Fields::of(message).flatten().find(|field| field.number == number).map(|field| field.value)
}

/// Space to `~` stay, but for `%`.
fn percent_encode(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(encoded: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_headers(status: &Status) -> Status {
        let mut headers = HeaderMap::new();
        status.write(&mut headers);
        Status::read(&headers).unwrap()
    }

    #[test]
    fn a_status_survives_headers() {
        let status = Status {
            code: Code::ResourceExhausted,
            message: "100 % full, später wieder\n".to_owned(),
            retry_after: Some(Duration::from_millis(1_500)),
        };
        assert_eq!(through_headers(&status), status);
        let plain = Status::new(Code::Ok, "");
        assert_eq!(through_headers(&plain), plain);
    }

    #[test]
    fn broken_details_are_no_delay() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from_static("8"));
        headers.insert(GRPC_DETAILS, HeaderValue::from_static("!!!"));
        assert_eq!(Status::read(&headers).unwrap().retry_after, None);
        headers.insert(GRPC_DETAILS, HeaderValue::from_static("GgQKAmhp"));
        assert_eq!(Status::read(&headers).unwrap().retry_after, None);
    }

    #[test]
    fn only_what_can_be_retried_is_told_so() {
        let told = |failure: Failure| Status::of_failure(&failure).code;
        assert_eq!(told(Failure::retryable("busy")), Code::Unavailable);
        assert_eq!(told(Failure::permanent("bad")), Code::Internal);
        assert_eq!(told(Failure::permanent("bad").with_code(Code::InvalidArgument)), Code::InvalidArgument);
        assert_eq!(told(Failure::permanent("gave up").with_code(Code::Unavailable)), Code::Internal);
        let exhausted = Failure::retryable("full").with_code(Code::ResourceExhausted);
        assert_eq!(told(exhausted.clone()), Code::Unavailable, "without RetryInfo clients would give up");
        assert_eq!(told(exhausted.retry_after(Duration::from_secs(1))), Code::ResourceExhausted);
    }

    #[test]
    fn exporters_retry_what_otlp_calls_retryable() {
        let retried = |code, retry_after| {
            !Status { code, message: String::new(), retry_after }.into_failure("exporting").is_permanent()
        };
        assert!(retried(Code::Unavailable, None));
        assert!(!retried(Code::ResourceExhausted, None));
        assert!(retried(Code::ResourceExhausted, Some(Duration::ZERO)));
        assert!(!retried(Code::InvalidArgument, Some(Duration::ZERO)));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let status = Status::new(Code::Internal, "ä".repeat(2000));
        assert_eq!(through_headers(&status).message, "ä".repeat(512));
    }

    #[test]
    fn the_json_form_has_a_delay() {
        let status = Status {
            retry_after: Some(Duration::from_millis(500)),
            ..Status::new(Code::Unavailable, "full")
        };
        let value: serde_json::Value = serde_json::from_slice(&status.encode_json()).unwrap();
        assert_eq!(value["code"], 14);
        assert_eq!(value["details"][0]["retryDelay"], "0.500000000s");
        assert_eq!(Status::message_of(&status.encode()).as_deref(), Some("full"));
    }
}
