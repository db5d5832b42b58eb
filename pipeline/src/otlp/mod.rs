//! OTLP as bytes: the wire format, the check at the door, views, rewriters, splits and the JSON encoding.
//!
//! Field numbers and names are those of opentelemetry-proto 1.10 ([`schema`]).

pub mod schema;
pub mod view;
pub mod wire;
pub mod write;
