//! OTLP as bytes: the wire format, the check at the door, views, rewriters, splits and the JSON encoding.
//!
//! Field numbers and names are those of opentelemetry-proto 1.10 ([`schema`]).

pub mod attribute;
pub mod canonical;
pub mod check;
pub mod count;
pub mod group;
pub mod json;
pub mod partial_success;
mod path;
#[cfg(test)]
mod reference;
pub mod rewrite;
mod rule;
pub mod schema;
pub mod split;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod view;
pub mod wire;
pub mod write;
