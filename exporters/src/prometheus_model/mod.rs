//! What OTLP metrics are in Prometheus: the names, labels, kinds and values that its exporters share.
//!
//! By OpenTelemetry's "Prometheus and OpenMetrics Compatibility"; choices that it leaves open follow the Collector.

mod exponential;
mod kind;
mod labels;
mod native;
mod number;
mod point;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
mod value;

#[cfg(feature = "prometheus")]
pub(crate) use exponential::{COARSEST, MOST_BUCKETS};
pub(crate) use exponential::{Exponential, Side};
pub(crate) use kind::Kind;
pub(crate) use labels::{LabelRules, LabelWriter, Shared, exemplar_labels, resolve_target};
pub(crate) use native::{ZERO_THRESHOLD, write_side, write_signed};
pub(crate) use number::text as number_text;
#[cfg(feature = "prometheus")]
pub(crate) use number::write as write_number;
#[cfg(feature = "prometheusremotewrite")]
pub(crate) use point::Measured;
pub(crate) use point::{NO_RECORDED_VALUE, PointReader, PointView, measured};
pub use rules::{ResourceConversion, Selection, TranslationStrategy};
pub(crate) use rules::{external_label_problem, strategy_problem};
pub(crate) use value::{Bounds, Histogram, Summary, Unfit, Value, bucket_of};
