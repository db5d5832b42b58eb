//! Writes attributes and data points.

use sluice_pipeline::otlp::{wire::Fields, write::Writer};

use super::bounds::Bounds;

/// The field number of `NumberDataPoint.attributes`.
const NUMBER_ATTRIBUTES: u32 = 7;
/// The field number of `HistogramDataPoint.attributes`.
const HISTOGRAM_ATTRIBUTES: u32 = 9;

/// Encoded data points of one metric, each as a field 1, as `Sum` and `Histogram` have them.
#[derive(Debug, Default)]
pub(super) struct Points {
    pub(super) encoded: Vec<u8>,
    pub(super) count: usize,
}

/// The series and time of a data point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp<'a> {
    /// Encoded `KeyValue`s, each as a field 1.
    pub(super) attributes: &'a [u8],
    /// An attribute that only this metric has.
    pub(super) own: Option<(&'a str, &'a str)>,
    /// Nanoseconds since the epoch, and below.
    pub(super) start: u64,
    pub(super) time: u64,
}

impl Points {
    pub(super) fn clear(&mut self) {
        self.encoded.clear();
        self.count = 0;
    }

    /// Adds a `NumberDataPoint`, unless nothing was counted.
    pub(super) fn number(&mut self, stamp: &Stamp<'_>, value: u64) {
        if value == 0 {
            return;
        }
        self.count += 1;
        Writer::new(&mut self.encoded).message(1, |writer| {
            writer.fixed64(2, stamp.start);
            writer.fixed64(3, stamp.time);
            writer.fixed64(6, value.min(i64::MAX.unsigned_abs()));
            stamp.write_attributes(writer, NUMBER_ATTRIBUTES);
        });
    }

    /// Adds a `HistogramDataPoint` of what [`Bounds::record`] filled, unless nothing was recorded.
    pub(super) fn histogram(&mut self, stamp: &Stamp<'_>, bounds: &Bounds, sum: u64, buckets: &[u64]) {
        let count = buckets.iter().fold(0u64, |count, bucket| count.saturating_add(*bucket));
        if count == 0 {
            return;
        }
        self.count += 1;
        Writer::new(&mut self.encoded).message(1, |writer| {
            writer.fixed64(2, stamp.start);
            writer.fixed64(3, stamp.time);
            writer.fixed64(4, count);
            writer.double(5, bounds.in_unit(sum));
            writer.message(6, |writer| buckets.iter().for_each(|bucket| writer.raw(&bucket.to_le_bytes())));
            if !bounds.encoded().is_empty() {
                writer.bytes(7, bounds.encoded());
            }
            stamp.write_attributes(writer, HISTOGRAM_ATTRIBUTES);
        });
    }
}

impl Stamp<'_> {
    fn write_attributes(&self, writer: &mut Writer<'_>, number: u32) {
        for attribute in Fields::of(self.attributes).flatten() {
            writer.bytes(number, attribute.value.bytes());
        }
        if let Some((key, value)) = self.own {
            write_text(writer, number, key, value);
        }
    }
}

/// Writes a `KeyValue` with text, as field `number`.
pub(super) fn write_text(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.bytes(1, value.as_bytes()));
    });
}

/// Writes a `KeyValue` with an integer, as field `number`.
pub(super) fn write_int(writer: &mut Writer<'_>, number: u32, key: &str, value: i64) {
    writer.message(number, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.int(3, value));
    });
}
