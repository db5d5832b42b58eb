//! Meters to metrics.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_attribute, write_double, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::metric,
    v3::{
        Label, MeterBucketValue, MeterData, MeterDataCollection, MeterHistogram, MeterSingleValue,
        meter_data::Metric,
    },
};

use super::{
    Malformed, nanoseconds,
    output::{Items, Output},
    pair::escaped,
    record::{AGENT_SCOPE, Source},
};

/// `NumberDataPoint.attributes`, `HistogramDataPoint.attributes`.
const NUMBER_ATTRIBUTES: u32 = 7;
const HISTOGRAM_ATTRIBUTES: u32 = 9;
/// `Metric.metadata`.
pub(super) const METADATA: u32 = 12;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
pub(super) const CUMULATIVE: u64 = 2;

/// What meters say once for all that follow.
#[derive(Default)]
pub(super) struct Header {
    service: String,
    instance: String,
    timestamp: i64,
}

/// Writes a `MeterData` of a stream.
pub(super) fn meter(message: &[u8], header: &mut Header, output: &mut Output) -> Result<(), Malformed> {
    write(MeterData::decode(message)?, header, output)
}

/// Writes a `MeterDataCollection`.
pub(super) fn collection(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let mut header = Header::default();
    MeterDataCollection::decode(message)?
        .meter_data
        .into_iter()
        .try_for_each(|meter| write(meter, &mut header, output))
}

fn write(meter: MeterData, header: &mut Header, output: &mut Output) -> Result<(), Malformed> {
    if !meter.service.is_empty() {
        header.service = meter.service;
    }
    if !meter.service_instance.is_empty() {
        header.instance = meter.service_instance;
    }
    if meter.timestamp != 0 {
        header.timestamp = meter.timestamp;
    }
    // Without a metric it only says whose the others are.
    let Some(metric) = meter.metric else { return Ok(()) };
    let source = Source { service: &header.service, instance: &header.instance, ..Source::default() };
    let time = match header.timestamp {
        // On a stream in the end it would be of the time of the meter before it.
        0 => output.observed(),
        time => nanoseconds(time),
    };
    output.add_scoped(
        |writer| source.write(writer),
        AGENT_SCOPE,
        |items| match &metric {
            Metric::SingleValue(single) => write_gauge(items, single, time),
            Metric::Histogram(histogram) if is_regular(&histogram.values) => {
                write_histogram(items, histogram, time)
            }
            Metric::Histogram(histogram) => write_buckets(items, histogram, time),
        },
    )
}

fn write_gauge(items: &mut Items<'_>, meter: &MeterSingleValue, time: u64) -> Result<(), Malformed> {
    items.item(1, |writer, _| {
        writer.bytes(1, meter.name.as_bytes());
        writer.message(5, |writer| {
            writer.message(1, |writer| {
                write_labels(writer, NUMBER_ATTRIBUTES, &meter.labels);
                writer.fixed64(3, time);
                writer.double(4, meter.value);
            });
        });
        Ok(())
    })
}

/// Whether buckets are what OTLP can say: ascending lower bounds, the bucket from negative infinity first, if any.
fn is_regular(buckets: &[MeterBucketValue]) -> bool {
    let bounds = match buckets {
        [first, rest @ ..] if first.is_negative_infinity => rest,
        all => all,
    };
    buckets.iter().all(|bucket| bucket.count >= 0)
        && bounds.iter().all(|bucket| !bucket.is_negative_infinity && bucket.bucket.is_finite())
        && bounds.iter().zip(bounds.iter().skip(1)).all(|(one, next)| one.bucket < next.bucket)
}

fn write_histogram(items: &mut Items<'_>, meter: &MeterHistogram, time: u64) -> Result<(), Malformed> {
    let bounded = meter.values.first().is_none_or(|first| !first.is_negative_infinity);
    let counts = || meter.values.iter().map(|bucket| bucket.count.cast_unsigned());
    let first = bounded.then_some(0);
    items.item(1, |writer, _| {
        writer.bytes(1, meter.name.as_bytes());
        writer.message(9, |writer| {
            writer.message(1, |writer| {
                write_labels(writer, HISTOGRAM_ATTRIBUTES, &meter.labels);
                writer.fixed64(3, time);
                writer.fixed64(4, counts().fold(0, u64::saturating_add));
                let counts: Vec<u8> = first.into_iter().chain(counts()).flat_map(u64::to_le_bytes).collect();
                writer.bytes(6, &counts);
                let bounds: Vec<u8> = meter
                    .values
                    .iter()
                    .filter(|bucket| !bucket.is_negative_infinity)
                    .flat_map(|bucket| bucket.bucket.to_le_bytes())
                    .collect();
                writer.bytes(7, &bounds);
            });
            writer.varint(2, CUMULATIVE);
        });
        if bounded {
            write_flag(writer, metric::BOUNDED);
        }
        Ok(())
    })
}

/// Each bucket as a data point of its own.
fn write_buckets(items: &mut Items<'_>, meter: &MeterHistogram, time: u64) -> Result<(), Malformed> {
    items.item(meter.values.len(), |writer, _| {
        writer.bytes(1, meter.name.as_bytes());
        writer.message(5, |writer| {
            for bucket in &meter.values {
                writer.message(1, |writer| {
                    write_labels(writer, NUMBER_ATTRIBUTES, &meter.labels);
                    let bound = if bucket.is_negative_infinity { f64::NEG_INFINITY } else { bucket.bucket };
                    write_double(writer, NUMBER_ATTRIBUTES, metric::BUCKET, bound);
                    writer.fixed64(3, time);
                    writer.fixed64(6, bucket.count.cast_unsigned());
                });
            }
        });
        write_flag(writer, metric::BUCKETS);
        Ok(())
    })
}

fn write_flag(writer: &mut Writer<'_>, key: &str) {
    write_attribute(writer, METADATA, key, |writer| writer.varint(2, 1));
}

fn write_labels(writer: &mut Writer<'_>, number: u32, labels: &[Label]) {
    for label in labels {
        write_text(writer, number, &escaped(&label.name), &label.value);
    }
}
