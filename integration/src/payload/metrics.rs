//! Data points: a metric of one gauge, sum or histogram point each, with four attributes.

use fastrand::Rng;
use sluice_pipeline::otlp::write::Writer;

use super::attributes::{EPOCH_NANOS, METHODS, SERVICES, STATUSES, integer, pick, text};

const CUMULATIVE: u64 = 2;

/// Writes one metric with one data point as field 2 of its scope's group.
pub(super) fn metric(writer: &mut Writer<'_>, random: &mut Rng, index: usize) {
    writer.message(2, |metric| match index % 3 {
        0 => {
            describe(metric, "process.runtime.jvm.memory.usage", "By");
            metric.message(5, |gauge| gauge.message(1, |point| number(point, random, index)));
        }
        1 => {
            describe(metric, "http.server.active_requests", "{request}");
            metric.message(7, |sum| {
                sum.message(1, |point| number(point, random, index));
                sum.varint(2, CUMULATIVE);
                sum.varint(3, 1);
            });
        }
        _ => {
            describe(metric, "http.server.request.duration", "s");
            metric.message(9, |histogram| {
                histogram.message(1, |point| buckets(point, random, index));
                histogram.varint(2, CUMULATIVE);
            });
        }
    });
}

fn describe(metric: &mut Writer<'_>, name: &str, unit: &str) {
    metric.bytes(1, name.as_bytes());
    metric.bytes(2, b"What the service measures of itself");
    metric.bytes(3, unit.as_bytes());
}

fn number(point: &mut Writer<'_>, random: &mut Rng, index: usize) {
    times(point, index);
    point.fixed64(6, random.u64(..1 << 32));
    attributes(point, 7, random);
}

fn buckets(point: &mut Writer<'_>, random: &mut Rng, index: usize) {
    const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
    let counts: [u64; 9] = std::array::from_fn(|_| random.u64(..500));
    times(point, index);
    point.fixed64(4, counts.iter().sum());
    point.double(5, random.f64() * 100.0);
    point.bytes(6, counts.map(u64::to_le_bytes).as_flattened());
    point.bytes(7, BOUNDS.map(f64::to_le_bytes).as_flattened());
    attributes(point, 9, random);
}

fn times(point: &mut Writer<'_>, index: usize) {
    point.fixed64(2, EPOCH_NANOS);
    point.fixed64(3, EPOCH_NANOS + index as u64);
}

fn attributes(point: &mut Writer<'_>, number: u32, random: &mut Rng) {
    text(point, number, "http.request.method", pick(random, &METHODS));
    text(point, number, "http.route", "/api/v1/orders/{order_id}");
    integer(point, number, "http.response.status_code", pick(random, &STATUSES));
    text(point, number, "peer.service", pick(random, &SERVICES));
}
