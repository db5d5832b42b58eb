//! The `zipkin` exporter.

mod translate;

pub use translate::{Format, Request, Requests};
