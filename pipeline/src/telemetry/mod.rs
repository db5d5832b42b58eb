//! Sluice's telemetry about itself: the Collector's metric names, and structured logs in its encodings.

pub mod exposition;
mod levels;
pub mod logs;
pub mod names;
mod observe;
mod readings;
mod utilization;

pub use observe::{AnswerLimits, ExporterMetrics, ProcessorMetrics, ReceiverMetrics, Waiting};
pub use readings::{Reading, readings};
pub use utilization::ProcessorTime;
