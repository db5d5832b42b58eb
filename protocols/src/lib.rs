//! Message types and id rules of foreign protocols.

#[cfg(feature = "skywalking")]
pub mod envoy;
pub mod json;
pub mod prometheus;
pub mod protobuf;
#[cfg(feature = "skywalking")]
pub mod skywalking;
pub mod thrift;
pub mod zipkin;

/// The definitions below `proto/`, an encoded `FileDescriptorSet`: for tools that make and compare messages of any kind.
#[cfg(feature = "skywalking")]
pub const DEFINITIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.bin"));

#[cfg(feature = "skywalking")]
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications, reason = "generated from proto/")]
mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}
