//! The receivers, a folder each.

#[cfg(feature = "zipkin")]
pub mod zipkin;
