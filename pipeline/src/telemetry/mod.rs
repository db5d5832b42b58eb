//! Sluice's telemetry about itself: the Collector's metric names, and structured logs in its encodings.

pub mod exposition;
pub mod logs;
pub mod names;
mod observe;

pub use observe::{ExporterMetrics, ProcessorMetrics, ReceiverMetrics};
