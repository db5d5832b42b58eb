//! Envoy's metrics: families of the Prometheus client model.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_attribute, write_text},
    write::Writer,
};
use sluice_protocols::{
    envoy::service::metrics::v3::{
        Histogram, LabelPair, Metric, MetricFamily, MetricType, StreamMetricsMessage, Summary,
    },
    skywalking::attributes::metric,
};

use super::{
    Malformed,
    envoy_identifier::{self, Node, write_resource},
    meter::{CUMULATIVE, METADATA},
    nanoseconds,
    output::{Items, Output},
    pair::escaped,
};

const MESSAGE: &str = "StreamMetricsMessage";
/// `NumberDataPoint.attributes` and `SummaryDataPoint.attributes`, `HistogramDataPoint.attributes`.
const ATTRIBUTES: u32 = 7;
const HISTOGRAM_ATTRIBUTES: u32 = 9;

/// Writes a `StreamMetricsMessage`; `identifier` is that of the last message that had one.
pub(super) fn metrics(
    message: &[u8],
    identifier: &mut Vec<u8>,
    output: &mut Output,
) -> Result<(), Malformed> {
    let families = StreamMetricsMessage::decode(message)?.envoy_metrics;
    envoy_identifier::read(MESSAGE, message, identifier)?;
    let node = Node::read(identifier)?;
    let (id, cluster) = (output.repairs.text(node.id), output.repairs.text(node.cluster));
    output.add(
        |writer| write_resource(writer, identifier, &id, &cluster),
        |items| families.iter().try_for_each(|family| write_family(items, family)),
    )
}

fn write_family(items: &mut Items<'_>, family: &MetricFamily) -> Result<(), Malformed> {
    if family.metric.is_empty() {
        return Ok(());
    }
    items.item(family.metric.len(), |writer, _| {
        for (number, text) in [(1, &family.name), (2, &family.help), (3, &family.unit)] {
            if !text.is_empty() {
                writer.bytes(number, text.as_bytes());
            }
        }
        // The client model's only other type is a histogram too.
        match MetricType::try_from(family.r#type).unwrap_or(MetricType::Histogram) {
            MetricType::Counter => writer.message(7, |writer| {
                write_numbers(writer, family, |metric| {
                    metric.counter.as_ref().map_or(0.0, |counter| counter.value)
                });
                writer.varint(2, CUMULATIVE);
                writer.varint(3, 1);
            }),
            MetricType::Gauge => writer.message(5, |writer| {
                write_numbers(writer, family, |metric| {
                    metric.gauge.as_ref().map_or(0.0, |gauge| gauge.value)
                });
            }),
            MetricType::Untyped => {
                writer.message(5, |writer| {
                    write_numbers(writer, family, |metric| {
                        metric.untyped.as_ref().map_or(0.0, |untyped| untyped.value)
                    });
                });
                write_text(writer, METADATA, metric::PROMETHEUS_TYPE, "unknown");
            }
            MetricType::Histogram => writer.message(9, |writer| {
                for metric in &family.metric {
                    writer.message(1, |writer| write_histogram(writer, metric));
                }
                writer.varint(2, CUMULATIVE);
            }),
            MetricType::Summary => writer.message(11, |writer| {
                for metric in &family.metric {
                    writer.message(1, |writer| write_summary(writer, metric));
                }
            }),
        }
        Ok(())
    })
}

fn write_numbers(writer: &mut Writer<'_>, family: &MetricFamily, value: impl Fn(&Metric) -> f64) {
    for metric in &family.metric {
        writer.message(1, |writer| {
            write_labels(writer, ATTRIBUTES, &metric.label);
            writer.fixed64(3, nanoseconds(metric.timestamp_ms));
            writer.double(4, value(metric));
        });
    }
}

fn write_histogram(writer: &mut Writer<'_>, metric: &Metric) {
    let absent = Histogram::default();
    let histogram = metric.histogram.as_ref().unwrap_or(&absent);
    write_labels(writer, HISTOGRAM_ATTRIBUTES, &metric.label);
    writer.fixed64(3, nanoseconds(metric.timestamp_ms));
    writer.fixed64(4, histogram.sample_count);
    writer.double(5, histogram.sample_sum);
    let (mut counts, mut bounds) = (Vec::new(), Vec::new());
    let (mut before, mut highest) = (0, f64::NEG_INFINITY);
    let finite = histogram.bucket.iter().filter(|bucket| bucket.upper_bound.is_finite());
    // OTLP takes bounds in ascending order only, as Envoy sends them.
    for bucket in finite {
        if bucket.upper_bound > highest {
            counts.extend(bucket.cumulative_count.saturating_sub(before).to_le_bytes());
            bounds.extend(bucket.upper_bound.to_le_bytes());
            before = before.max(bucket.cumulative_count);
            highest = bucket.upper_bound;
        }
    }
    counts.extend(histogram.sample_count.saturating_sub(before).to_le_bytes());
    writer.bytes(6, &counts);
    writer.bytes(7, &bounds);
}

fn write_summary(writer: &mut Writer<'_>, metric: &Metric) {
    let absent = Summary::default();
    let summary = metric.summary.as_ref().unwrap_or(&absent);
    write_labels(writer, ATTRIBUTES, &metric.label);
    writer.fixed64(3, nanoseconds(metric.timestamp_ms));
    writer.fixed64(4, summary.sample_count);
    writer.double(5, summary.sample_sum);
    for quantile in &summary.quantile {
        writer.message(6, |writer| {
            writer.double(1, quantile.quantile);
            writer.double(2, quantile.value);
        });
    }
}

fn write_labels(writer: &mut Writer<'_>, number: u32, labels: &[LabelPair]) {
    for label in labels {
        write_attribute(writer, number, &escaped(&label.name), |writer| {
            writer.bytes(1, label.value.as_bytes());
        });
    }
}
