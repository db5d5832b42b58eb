//! Views compared with what `prost` decodes.

use opentelemetry_proto::tonic::{
    common::v1::{self as common, any_value},
    logs::v1 as logs,
    metrics::v1::{self as metrics, exemplar, exponential_histogram_data_point, metric, number_data_point},
    profiles::v1development as profiles,
    resource::v1::Resource as ProtoResource,
    trace::v1 as trace,
};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::{
    otlp::{
        check::check,
        testing::{any_signal, mutated_bytes, valid_bytes},
    },
    signal::Signal,
};

proptest! {
    #[test]
    fn traces_read_as_decoded(bytes in valid_bytes(Signal::Traces)) {
        let bytes = check(Signal::Traces, bytes.into()).unwrap().bytes;
        let mut expected = trace::TracesData::decode(&bytes[..]).unwrap();
        expected.resource_spans.iter_mut().for_each(|group| forget_entities(&mut group.resource));
        let read = resource_groups(&bytes).map(|group| trace::ResourceSpans {
            resource: resource(&group),
            scope_spans: group.scope_groups().map(|group| trace::ScopeSpans {
                scope: scope(&group),
                spans: group.spans().map(span).collect(),
                schema_url: text(group.schema_url()),
            }).collect(),
            schema_url: text(group.schema_url()),
        }).collect();
        prop_assert_eq!(trace::TracesData { resource_spans: read }, expected);
    }

    #[test]
    fn logs_read_as_decoded(bytes in valid_bytes(Signal::Logs)) {
        let bytes = check(Signal::Logs, bytes.into()).unwrap().bytes;
        let mut expected = logs::LogsData::decode(&bytes[..]).unwrap();
        expected.resource_logs.iter_mut().for_each(|group| forget_entities(&mut group.resource));
        let read = resource_groups(&bytes).map(|group| logs::ResourceLogs {
            resource: resource(&group),
            scope_logs: group.scope_groups().map(|group| logs::ScopeLogs {
                scope: scope(&group),
                log_records: group.log_records().map(log_record).collect(),
                schema_url: text(group.schema_url()),
            }).collect(),
            schema_url: text(group.schema_url()),
        }).collect();
        prop_assert_eq!(logs::LogsData { resource_logs: read }, expected);
    }

    #[test]
    fn metrics_read_as_decoded(bytes in valid_bytes(Signal::Metrics)) {
        let bytes = check(Signal::Metrics, bytes.into()).unwrap().bytes;
        let mut expected = metrics::MetricsData::decode(&bytes[..]).unwrap();
        expected.resource_metrics.iter_mut().for_each(|group| forget_entities(&mut group.resource));
        let read = resource_groups(&bytes).map(|group| metrics::ResourceMetrics {
            resource: resource(&group),
            scope_metrics: group.scope_groups().map(|group| metrics::ScopeMetrics {
                scope: scope(&group),
                metrics: group.metrics().map(metric).collect(),
                schema_url: text(group.schema_url()),
            }).collect(),
            schema_url: text(group.schema_url()),
        }).collect();
        prop_assert_eq!(metrics::MetricsData { resource_metrics: read }, expected);
    }

    #[test]
    fn profiles_read_as_decoded(bytes in valid_bytes(Signal::Profiles)) {
        let bytes = check(Signal::Profiles, bytes.into()).unwrap().bytes;
        let mut expected = profiles::ProfilesData::decode(&bytes[..]).unwrap();
        expected.resource_profiles.iter_mut().for_each(|group| forget_entities(&mut group.resource));
        let read: Vec<_> = resource_groups(&bytes).map(|group| profiles::ResourceProfiles {
            resource: resource(&group),
            scope_profiles: group.scope_groups().map(|group| profiles::ScopeProfiles {
                scope: scope(&group),
                profiles: group.profiles().map(profile).collect(),
                schema_url: text(group.schema_url()),
            }).collect(),
            schema_url: text(group.schema_url()),
        }).collect();
        prop_assert_eq!(read, expected.resource_profiles);
        compare_dictionary(&Dictionary::of_profiles_data(&bytes), &expected.dictionary.unwrap_or_default());
    }

    #[test]
    fn any_bytes_are_walked_without_panic(
        (signal, bytes) in any_signal().prop_flat_map(|signal| (Just(signal), mutated_bytes(signal))),
    ) {
        for group in resource_groups(&bytes) {
            let _ = resource(&group);
            for group in group.scope_groups() {
                let _ = scope(&group);
                match signal {
                    Signal::Traces => group.spans().map(span).for_each(drop),
                    Signal::Metrics => group.metrics().map(metric).for_each(drop),
                    Signal::Logs => group.log_records().map(log_record).for_each(drop),
                    Signal::Profiles => group.profiles().map(profile).for_each(drop),
                }
            }
        }
        let dictionary = Dictionary::of_profiles_data(&bytes);
        for index in [-1, 0, 1, 1000, i32::MAX, i32::MIN] {
            let _ = (dictionary.string(index), dictionary.attribute(index), dictionary.stack(index));
        }
    }
}

#[test]
fn unpacked_and_packed_numbers_are_read_in_order() {
    // bucket_counts (6): 1 packed, 2 unpacked, 3 and 4 packed.
    let mut bytes = Vec::new();
    let mut writer = crate::otlp::write::Writer::new(&mut bytes);
    writer.bytes(6, &1u64.to_le_bytes());
    writer.fixed64(6, 2);
    writer.fixed64(4, 10);
    writer.bytes(6, &[3u64.to_le_bytes(), 4u64.to_le_bytes()].concat());
    let point = HistogramDataPoint::of(&bytes);
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(histogram_data_point(point), metrics::HistogramDataPoint::decode(&bytes[..]).unwrap());
}

/// There is no view of these.
fn forget_entities(resource: &mut Option<ProtoResource>) {
    resource.iter_mut().for_each(|resource| resource.entity_refs.clear());
}

fn text(bytes: &[u8]) -> String {
    bytes.as_str().to_owned()
}

/// Whether a message has a field, which views of resource, scope and status do not tell.
fn has(message: &[u8], number: u32) -> bool {
    Fields::of(message).flatten().any(|field| field.number == number)
}

fn resource(group: &ResourceGroup<'_>) -> Option<ProtoResource> {
    let resource = group.resource();
    has(group.message(), 1).then(|| ProtoResource {
        attributes: attributes(resource.attributes()),
        dropped_attributes_count: resource.dropped_attributes_count,
        entity_refs: Vec::new(),
    })
}

fn scope(group: &ScopeGroup<'_>) -> Option<common::InstrumentationScope> {
    let scope = group.scope();
    has(group.message(), 1).then(|| common::InstrumentationScope {
        name: text(scope.name),
        version: text(scope.version),
        attributes: attributes(scope.attributes()),
        dropped_attributes_count: scope.dropped_attributes_count,
    })
}

fn attributes(attributes: Attributes<'_>) -> Vec<common::KeyValue> {
    attributes
        .map(|pair| common::KeyValue {
            key: text(pair.key),
            value: has(pair.message, 2).then(|| value(pair.value)),
            key_strindex: pair.key_strindex,
        })
        .collect()
}

fn value(any: AnyValue<'_>) -> common::AnyValue {
    let value = match any {
        AnyValue::Empty => None,
        AnyValue::String(string) => Some(any_value::Value::StringValue(text(string))),
        AnyValue::Bool(flag) => Some(any_value::Value::BoolValue(flag)),
        AnyValue::Int(number) => Some(any_value::Value::IntValue(number)),
        AnyValue::Double(number) => Some(any_value::Value::DoubleValue(number)),
        AnyValue::Array(values) => {
            Some(any_value::Value::ArrayValue(common::ArrayValue { values: values.map(value).collect() }))
        }
        AnyValue::KeyValues(pairs) => {
            Some(any_value::Value::KvlistValue(common::KeyValueList { values: attributes(pairs) }))
        }
        AnyValue::Bytes(bytes) => Some(any_value::Value::BytesValue(bytes.to_vec())),
        AnyValue::StringIndex(index) => Some(any_value::Value::StringValueStrindex(index)),
    };
    common::AnyValue { value }
}

fn span(span: Span<'_>) -> trace::Span {
    let status = span.status();
    trace::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        trace_state: text(span.trace_state),
        parent_span_id: span.parent_span_id.to_vec(),
        flags: span.flags,
        name: text(span.name),
        kind: span.kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: attributes(span.attributes()),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events().map(span_event).collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links().map(span_link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: has(span.message, 15)
            .then(|| trace::Status { message: text(status.message), code: status.code }),
    }
}

fn span_event(event: SpanEvent<'_>) -> trace::span::Event {
    trace::span::Event {
        time_unix_nano: event.time_unix_nano,
        name: text(event.name),
        attributes: attributes(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn span_link(link: SpanLink<'_>) -> trace::span::Link {
    trace::span::Link {
        trace_id: link.trace_id.to_vec(),
        span_id: link.span_id.to_vec(),
        trace_state: text(link.trace_state),
        attributes: attributes(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    }
}

fn log_record(record: LogRecord<'_>) -> logs::LogRecord {
    logs::LogRecord {
        time_unix_nano: record.time_unix_nano,
        observed_time_unix_nano: record.observed_time_unix_nano,
        severity_number: record.severity_number,
        severity_text: text(record.severity_text),
        body: record.body().map(value),
        attributes: attributes(record.attributes()),
        dropped_attributes_count: record.dropped_attributes_count,
        flags: record.flags,
        trace_id: record.trace_id.to_vec(),
        span_id: record.span_id.to_vec(),
        event_name: text(record.event_name),
    }
}

fn metric(metric: Metric<'_>) -> metrics::Metric {
    let data = match metric.data {
        MetricData::Empty => None,
        MetricData::Gauge(gauge) => Some(metric::Data::Gauge(metrics::Gauge {
            data_points: gauge.data_points().map(number_data_point).collect(),
        })),
        MetricData::Sum(sum) => Some(metric::Data::Sum(metrics::Sum {
            data_points: sum.data_points().map(number_data_point).collect(),
            aggregation_temporality: temporality(sum.message, sum.temporality),
            is_monotonic: sum.is_monotonic,
        })),
        MetricData::Histogram(histogram) => Some(metric::Data::Histogram(metrics::Histogram {
            data_points: histogram.data_points().map(histogram_data_point).collect(),
            aggregation_temporality: temporality(histogram.message, histogram.temporality),
        })),
        MetricData::ExponentialHistogram(histogram) => {
            Some(metric::Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: histogram.data_points().map(exponential_histogram_data_point).collect(),
                aggregation_temporality: temporality(histogram.message, histogram.temporality),
            }))
        }
        MetricData::Summary(summary) => Some(metric::Data::Summary(metrics::Summary {
            data_points: summary.data_points().map(summary_data_point).collect(),
        })),
    };
    metrics::Metric {
        name: text(metric.name),
        description: text(metric.description),
        unit: text(metric.unit),
        metadata: attributes(metric.metadata()),
        data,
    }
}

/// Views take numbers that the protocol does not define for unspecified.
fn temporality(message: &[u8], read: Temporality) -> i32 {
    let number = Fields::of(message).flatten().filter(|field| field.number == 2).last();
    let number = number.map_or(0, |field| field.value.signed() as i32);
    assert_eq!(
        read,
        match number {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        }
    );
    number
}

fn number_data_point(point: NumberDataPoint<'_>) -> metrics::NumberDataPoint {
    metrics::NumberDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags,
        value: point.value.map(|value| match value {
            Number::Double(number) => number_data_point::Value::AsDouble(number),
            Number::Int(number) => number_data_point::Value::AsInt(number),
        }),
    }
}

fn exemplar(exemplar: Exemplar<'_>) -> metrics::Exemplar {
    metrics::Exemplar {
        filtered_attributes: attributes(exemplar.filtered_attributes()),
        time_unix_nano: exemplar.time_unix_nano,
        span_id: exemplar.span_id.to_vec(),
        trace_id: exemplar.trace_id.to_vec(),
        value: exemplar.value.map(|value| match value {
            Number::Double(number) => exemplar::Value::AsDouble(number),
            Number::Int(number) => exemplar::Value::AsInt(number),
        }),
    }
}

fn histogram_data_point(point: HistogramDataPoint<'_>) -> metrics::HistogramDataPoint {
    metrics::HistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts().collect(),
        explicit_bounds: point.explicit_bounds().collect(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags,
        min: point.min,
        max: point.max,
    }
}

fn exponential_histogram_data_point(
    point: ExponentialHistogramDataPoint<'_>,
) -> metrics::ExponentialHistogramDataPoint {
    let buckets = |buckets: Buckets<'_>| exponential_histogram_data_point::Buckets {
        offset: buckets.offset,
        bucket_counts: buckets.bucket_counts().collect(),
    };
    metrics::ExponentialHistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        positive: point.positive().map(buckets),
        negative: point.negative().map(buckets),
        flags: point.flags,
        exemplars: point.exemplars().map(exemplar).collect(),
        min: point.min,
        max: point.max,
        zero_threshold: point.zero_threshold,
    }
}

fn summary_data_point(point: SummaryDataPoint<'_>) -> metrics::SummaryDataPoint {
    metrics::SummaryDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        quantile_values: point
            .quantile_values()
            .map(|pair| metrics::summary_data_point::ValueAtQuantile {
                quantile: pair.quantile,
                value: pair.value,
            })
            .collect(),
        flags: point.flags,
    }
}

fn profile(profile: Profile<'_>) -> profiles::Profile {
    let value_type = |number, kind: ValueType| {
        has(profile.message, number).then_some(profiles::ValueType {
            type_strindex: kind.type_strindex,
            unit_strindex: kind.unit_strindex,
        })
    };
    profiles::Profile {
        sample_type: value_type(1, profile.sample_type()),
        samples: profile.samples().map(sample).collect(),
        time_unix_nano: profile.time_unix_nano,
        duration_nano: profile.duration_nano,
        period_type: value_type(5, profile.period_type()),
        period: profile.period,
        profile_id: profile.profile_id.to_vec(),
        dropped_attributes_count: profile.dropped_attributes_count,
        original_payload_format: text(profile.original_payload_format),
        original_payload: profile.original_payload.to_vec(),
        attribute_indices: profile.attribute_indices().collect(),
    }
}

fn sample(sample: Sample<'_>) -> profiles::Sample {
    profiles::Sample {
        stack_index: sample.stack_index,
        attribute_indices: sample.attribute_indices().collect(),
        link_index: sample.link_index,
        values: sample.values().collect(),
        timestamps_unix_nano: sample.timestamps_unix_nano().collect(),
    }
}

/// Compares every entry, and the first index that is out of range.
fn compare_dictionary(read: &Dictionary<'_>, expected: &profiles::ProfilesDictionary) {
    let strings = &expected.string_table;
    compare(strings, |index| read.string(index).map(text));
    compare(&expected.mapping_table, |index| {
        read.mapping(index).map(|mapping| profiles::Mapping {
            memory_start: mapping.memory_start,
            memory_limit: mapping.memory_limit,
            file_offset: mapping.file_offset,
            filename_strindex: mapping.filename_strindex,
            attribute_indices: mapping.attribute_indices().collect(),
        })
    });
    compare(&expected.location_table, |index| {
        read.location(index).map(|location| profiles::Location {
            mapping_index: location.mapping_index,
            address: location.address,
            lines: location
                .lines()
                .map(|line| profiles::Line {
                    function_index: line.function_index,
                    line: line.line,
                    column: line.column,
                })
                .collect(),
            attribute_indices: location.attribute_indices().collect(),
        })
    });
    compare(&expected.function_table, |index| {
        read.function(index).map(|function| profiles::Function {
            name_strindex: function.name_strindex,
            system_name_strindex: function.system_name_strindex,
            filename_strindex: function.filename_strindex,
            start_line: function.start_line,
        })
    });
    compare(&expected.link_table, |index| {
        read.link(index)
            .map(|link| profiles::Link { trace_id: link.trace_id.to_vec(), span_id: link.span_id.to_vec() })
    });
    compare(&expected.stack_table, |index| {
        read.stack(index)
            .map(|stack| profiles::Stack { location_indices: stack.location_indices().collect() })
    });
    for (index, attribute) in (0..).zip(&expected.attribute_table) {
        let string = |index: i32| strings.get(usize::try_from(index).ok()?);
        let any = match attribute.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(any_value::Value::StringValueStrindex(index)) => string(*index).is_some(),
            _ => true,
        };
        let (key, unit) = (string(attribute.key_strindex), string(attribute.unit_strindex));
        let attribute = read.attribute(index);
        assert_eq!(attribute.is_some(), any && key.is_some() && unit.is_some());
        if let (Some(attribute), Some(key), Some(unit)) = (attribute, key, unit) {
            assert_eq!((attribute.key, attribute.unit), (key.as_bytes(), unit.as_bytes()));
        }
    }
}

fn compare<T: Clone + PartialEq + std::fmt::Debug>(expected: &[T], read: impl Fn(i32) -> Option<T>) {
    let end = i32::try_from(expected.len()).unwrap();
    let all: Vec<T> = (0..end).map_while(&read).collect();
    assert_eq!(all, expected);
    assert_eq!(read(end), None);
    assert_eq!(read(-1), None);
}
