//! The `zipkin` receiver.

mod translate;

pub use translate::{Format, Translated, translate};
