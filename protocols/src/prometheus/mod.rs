//! Prometheus: names, units and labels as OpenTelemetry's "Prometheus and OpenMetrics Compatibility" maps them.

mod escape;
mod label_name;
mod metric_name;
#[cfg(test)]
mod tests;
mod unit;

pub use escape::{escape, unescape};
pub use label_name::{is_label_name, label_name};
pub use metric_name::{MetricKind, MetricNamer, is_metric_name};
pub use unit::Unit;

/// The value that says that a series has ended: a NaN of its own (`value.StaleNaN` of Prometheus).
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
