//! What a destination says of a request that it took: everything, or all but some items.
//!
//! Source: `ExportTraceServiceResponse` and its like for the other signals, of opentelemetry-proto 1.10: field 1 is the
//! partial success, whose fields are the count of rejected items (1) and a message (2).

use serde_json::Value;

use super::wire::{Fields, WireError};
use crate::reply::Reply;

/// The longest message that is kept, in characters.
const MESSAGE_LIMIT: usize = 1024;

/// What a destination answered to a request that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// How many items it rejected.
    pub rejected: u64,
    /// Its own words; may come without a rejection, as a warning.
    pub message: String,
}

impl PartialSuccess {
    /// Reads an encoded export response of any signal.
    ///
    /// # Errors
    /// The bytes are no protobuf message.
    pub fn decode(response: &[u8]) -> Result<Self, WireError> {
        let mut read = Self::default();
        for field in Fields::of(response) {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            for part in Fields::of(field.value.bytes()) {
                let part = part?;
                match part.number {
                    1 => read.rejected = u64::try_from(part.value.signed()).unwrap_or(0),
                    2 => read.message = cut(&String::from_utf8_lossy(part.value.bytes())),
                    _ => {}
                }
            }
        }
        Ok(read)
    }

    /// Reads an export response in OTLP/JSON.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn decode_json(response: &[u8]) -> Result<Self, serde_json::Error> {
        const REJECTED: [&str; 4] =
            ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords", "rejectedProfiles"];
        let response: Value = serde_json::from_slice(response)?;
        let Some(partial) = response.get("partialSuccess") else { return Ok(Self::default()) };
        let rejected = REJECTED.iter().find_map(|name| partial.get(name)).and_then(|count| match count {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        });
        let message = partial.get("errorMessage").and_then(Value::as_str).map(cut);
        Ok(Self { rejected: rejected.unwrap_or(0), message: message.unwrap_or_default() })
    }
}

impl From<PartialSuccess> for Reply {
    fn from(partial: PartialSuccess) -> Self {
        if partial == PartialSuccess::default() {
            Self::Delivered
        } else {
            Self::Rejected { items: partial.rejected, message: partial.message }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
        trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
    };
    use prost::Message as _;

    use super::*;

    #[test]
    fn an_encoded_response_is_read() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let read = PartialSuccess::decode(&response).unwrap();
        assert_eq!(read, PartialSuccess { rejected: 3, message: "too old".to_owned() });
        assert_eq!(Reply::from(read), Reply::Rejected { items: 3, message: "too old".to_owned() });
        assert!(PartialSuccess::decode(response.get(..5).unwrap()).is_err());
    }

    #[test]
    fn nothing_said_means_everything_was_taken() {
        let empty = ExportLogsServiceResponse { partial_success: Some(ExportLogsPartialSuccess::default()) };
        for response in [empty.encode_to_vec(), Vec::new()] {
            assert_eq!(Reply::from(PartialSuccess::decode(&response).unwrap()), Reply::Delivered);
        }
        for response in [&b"{}"[..], br#"{"partialSuccess":{}}"#, br#"{"partialSuccess":null}"#] {
            assert_eq!(Reply::from(PartialSuccess::decode_json(response).unwrap()), Reply::Delivered);
        }
    }

    #[test]
    fn json_counts_are_strings_or_numbers() {
        for count in ["\"2\"", "2"] {
            let response =
                format!(r#"{{"partialSuccess":{{"rejectedDataPoints":{count},"errorMessage":"no"}}}}"#);
            let read = PartialSuccess::decode_json(response.as_bytes()).unwrap();
            assert_eq!(read, PartialSuccess { rejected: 2, message: "no".to_owned() });
        }
        assert!(PartialSuccess::decode_json(b"<html>").is_err());
    }

    #[test]
    fn a_negative_count_is_none() {
        let partial = ExportTracePartialSuccess { rejected_spans: -3, error_message: String::new() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(PartialSuccess::decode(&response).unwrap(), PartialSuccess::default());
    }

    #[test]
    fn a_long_message_is_cut() {
        let response = format!(r#"{{"partialSuccess":{{"errorMessage":"{}"}}}}"#, "x".repeat(5_000));
        assert_eq!(PartialSuccess::decode_json(response.as_bytes()).unwrap().message.len(), MESSAGE_LIMIT);
    }
}
