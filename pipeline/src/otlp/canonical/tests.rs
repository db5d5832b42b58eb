use opentelemetry_proto::tonic::{
    common::v1::any_value,
    logs::v1::LogsData,
    metrics::v1::{MetricsData, metric::Data},
    trace::v1::TracesData,
};
use prost::Message as _;

use super::*;
use crate::otlp::wire::Value;

fn item(fill: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| group.message(2, |scope| scope.message(2, |item| fill(item))));
    bytes
}

#[test]
fn singular_fields_follow_the_merge_rules() {
    let bytes = item(|span| {
        span.bytes(5, b"first");
        span.message(15, |status| status.bytes(2, b"broken"));
        span.bytes(5, b"second");
        span.message(15, |status| status.varint(3, 2));
    });
    let rewritten = canonical(Signal::Traces, &bytes).bytes;
    let span = &TracesData::decode(&rewritten[..]).unwrap().resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "second");
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.message.as_str(), status.code), ("broken", 2));
}

#[test]
fn of_a_one_of_only_the_last_run_of_a_member_counts() {
    let bytes = item(|metric| {
        metric.message(5, |gauge| gauge.message(1, |point| point.fixed64(3, 1)));
        metric.message(7, |sum| sum.varint(2, 2));
        metric.message(5, |gauge| gauge.message(1, |point| point.fixed64(3, 2)));
        metric.bytes(1, b"name");
        metric.message(5, |gauge| gauge.message(1, |point| point.fixed64(3, 3)));
    });
    let rewritten = canonical(Signal::Metrics, &bytes).bytes;
    let metrics = MetricsData::decode(&rewritten[..]).unwrap();
    let Some(Data::Gauge(gauge)) = &metrics.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!("not a gauge")
    };
    assert_eq!(gauge.data_points.iter().map(|point| point.time_unix_nano).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn values_spread_over_several_pieces_at_several_levels_are_merged() {
    let array = |value: &mut Writer<'_>, number| {
        value.message(5, |array| array.message(1, |element| element.int(3, number)));
    };
    let bytes = item(|record| {
        record.message(5, |body| body.bytes(1, b"replaced"));
        record.message(5, |body| array(body, 1));
        record.message(5, |body| {
            array(body, 2);
            array(body, 3);
        });
    });
    let rewritten = canonical(Signal::Logs, &bytes).bytes;
    let logs = LogsData::decode(&rewritten[..]).unwrap();
    let body = logs.resource_logs[0].scope_logs[0].log_records[0].body.clone().unwrap();
    let Some(any_value::Value::ArrayValue(array)) = body.value else { panic!("not an array") };
    let numbers: Vec<_> = array.values.into_iter().map(|value| value.value.unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3].map(any_value::Value::IntValue));
}

#[test]
fn unknown_fields_and_groups_stay() {
    let group = [0xa3, 0x06, 0x08, 0x07, 0xa4, 0x06]; // 100: { 1: 7 }
    let bytes = item(|span| {
        span.varint(200, 9);
        span.bytes(5, b"a");
        span.raw(&group);
        span.bytes(5, b"b");
    });
    let rewritten = canonical(Signal::Traces, &bytes).bytes;
    let expected = item(|span| {
        span.bytes(5, b"b");
        span.varint(200, 9);
        span.raw(&group);
    });
    assert_eq!(rewritten, expected);
}

#[test]
fn many_pieces_take_linear_time_and_space() {
    // Were it quadratic, this would take hours.
    let pieces = 300_000;
    let bytes = item(|record| {
        for _ in 0..pieces {
            record.message(5, |body| body.message(6, |pairs| pairs.message(1, |_| ())));
        }
    });
    let rewritten = canonical(Signal::Logs, &bytes);
    assert!(rewritten.bytes.len() < bytes.len());
    let logs = LogsData::decode(&rewritten.bytes[..]).unwrap();
    let body = logs.resource_logs[0].scope_logs[0].log_records[0].body.clone().unwrap();
    let Some(any_value::Value::KvlistValue(list)) = body.value else { panic!("not a list") };
    assert_eq!(list.values.len(), pieces);
}

#[test]
fn the_deepest_nesting_fits_a_small_stack() {
    let mut value = Vec::new();
    Writer::new(&mut value).bytes(1, b"\xff");
    for _ in 0..(DEPTH - 5) / 2 {
        let inner = std::mem::take(&mut value);
        let mut writer = Writer::new(&mut value);
        writer.message(5, |_| ());
        writer.message(5, |array| array.message(1, |element| element.raw(&inner)));
    }
    let bytes = item(|record| record.message(5, |body| body.raw(&value)));
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let rewritten = small.spawn(move || canonical(Signal::Logs, &bytes)).unwrap().join().unwrap();
    assert_eq!(rewritten.repaired, 1);
}

#[test]
fn what_follows_a_broken_field_is_lost_without_panic() {
    let rewritten = canonical(Signal::Traces, &[0x98, 0x06, 0x01, 0x0a, 0x7f]);
    let fields: Vec<_> = Fields::of(&rewritten.bytes).flatten().map(|field| field.value).collect();
    assert_eq!(fields, [Value::Varint(1)]);
}
