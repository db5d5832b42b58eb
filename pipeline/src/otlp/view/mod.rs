//! Reads telemetry in place: resource, scope, item and attribute over the encoded bytes, without allocation.
//!
//! Views expect bytes that passed [`super::check`]: then what they show is what any decoder shows. On other bytes
//! they neither panic nor loop; where the wire format breaks, an iteration ends.

mod common;
mod data_point;
mod dictionary;
mod exemplar;
mod group;
mod log;
mod metric;
mod plain;
mod profile;
mod repeated;
mod span;
#[cfg(test)]
mod tests;
mod text;

pub use common::{AnyValue, Attributes, KeyValue};
pub use data_point::{
    Buckets, ExponentialHistogramDataPoint, HistogramDataPoint, Number, NumberDataPoint, SummaryDataPoint,
    ValueAtQuantile,
};
pub use dictionary::{Dictionary, DictionaryAttribute, Function, Line, Link, Location, Mapping, Stack};
pub use exemplar::Exemplar;
pub use group::{Resource, ResourceGroup, Scope, ScopeGroup, resource_groups};
pub use log::LogRecord;
pub use metric::{ExponentialHistogram, Gauge, Histogram, Metric, MetricData, Sum, Summary, Temporality};
pub use profile::{Profile, Sample, ValueType};
pub use repeated::{Double, Fixed64, Int32, Int64, Numbers, Packed, Repeated, Uint64};
pub use span::{Span, SpanEvent, SpanLink, Status};
pub use text::Text;

use super::wire::{Field, Fields};

/// A message that is read in place.
pub trait View<'a>: Sized {
    /// Reads this encoded message.
    fn of(message: &'a [u8]) -> Self;
}

impl<'a> View<'a> for &'a [u8] {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        message
    }
}

/// Calls `visit` with each field of a message, and with the bytes from that field on.
#[inline]
fn walk<'a>(message: &'a [u8], mut visit: impl FnMut(Field<'a>, &'a [u8])) {
    let mut fields = Fields::of(message);
    loop {
        let from = fields.rest();
        let Some(Ok(field)) = fields.next() else { return };
        visit(field, from);
    }
}
