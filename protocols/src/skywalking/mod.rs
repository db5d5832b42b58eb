//! SkyWalking's protocol: messages, ids, JSON, and the names under which OTLP keeps what it has no place for.
//!
//! Source: the field numbers of `apache/skywalking-data-collect-protocol`. `docs/skywalking-mapping.md` is the mapping.

pub mod attributes;
pub mod id;
pub mod json;

pub use crate::messages::skywalking::{v3, v10};

/// The method that takes segments, as a stream of `SegmentObject`.
pub const COLLECT_SEGMENTS: &str = "/skywalking.v3.TraceSegmentReportService/collect";
