//! Sluice's telemetry about itself: the Collector's metric names, and structured logs in its encodings.

pub mod exposition;
mod levels;
pub mod logs;
pub mod names;
mod observe;

pub use observe::{AnswerLimits, ExporterMetrics, ProcessorMetrics, ReceiverMetrics, Waiting};
