//! Zipkin's v2 model: spans read from and written to JSON and protobuf. [`v1`] reads the older model into it.
//!
//! Source: the Zipkin v2 API's `Span` and `zipkin.proto3`. The readers hand over one span at a time, borrowed from the
//! request, and keep nothing. Leniency is that of the Collector's receiver where it is known.

mod id;
mod read_json;
mod read_protobuf;
mod span;
pub mod tag;
pub mod v1;
mod write_json;
mod write_protobuf;

pub use id::{IdError, SpanId, TraceId, parse_span_id, parse_trace_id, push_hexadecimal};
pub use read_json::read_json;
pub use read_protobuf::read_protobuf;
pub use span::{Annotation, Endpoint, Kind, MAX_TIME, Malformed, Read, Span, SpanFault};
pub use write_json::SpanListJson;
pub use write_protobuf::write_span_protobuf;

#[cfg(test)]
mod tests;
