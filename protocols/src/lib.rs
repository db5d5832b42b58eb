//! Message types and id rules of foreign protocols.

pub mod json;
pub mod protobuf;
pub mod zipkin;
