//! Message types and id rules of foreign protocols.

pub mod json;
pub mod prometheus;
pub mod protobuf;
pub mod zipkin;
