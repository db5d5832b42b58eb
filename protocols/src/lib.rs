//! Message types and id rules of foreign protocols.

#[cfg(feature = "skywalking")]
pub mod envoy;
pub mod json;
pub mod prometheus;
pub mod protobuf;
#[cfg(feature = "skywalking")]
pub mod skywalking;
pub mod zipkin;

#[cfg(feature = "skywalking")]
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications, reason = "generated from proto/")]
mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}
