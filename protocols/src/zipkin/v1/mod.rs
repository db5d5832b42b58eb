//! Zipkin's v1 model: spans read from JSON and thrift, and handed over as spans of v2.
//!
//! Source: the Zipkin v1 API's `Span` and `zipkinCore.thrift`. What a span of v1 is in v2 follows Zipkin's own server;
//! leniency and the attribute `component` are the Collector's receiver's.

mod moments;
mod read_json;
mod read_thrift;
mod span;
mod split;

use std::borrow::Cow;

pub use read_json::read_json;
pub use read_thrift::read_thrift;
pub use span::Scalar;

/// A binary annotation that is no text, which v2 has no place for.
pub type Typed<'a> = (Cow<'a, str>, Scalar);

#[cfg(test)]
mod tests;
