//! Envoy's access logs and metrics.

use sluice_protocols::envoy::{
    data::v3 as envoy, service::accesslog::v3::StreamAccessLogsMessage, service::metrics::v3 as envoy_metrics,
};

use super::*;

#[test]
fn entries_of_envoy_keep_their_bytes() {
    let entry = envoy::HttpAccessLogEntry {
        common_properties: Some(envoy::AccessLogCommon {
            start_time: Some(envoy::Timestamp { seconds: 2, nanos: 3 }),
            upstream_cluster: "orders".to_owned(),
            ..Default::default()
        }),
        request: Some(envoy::HttpRequestProperties {
            request_method: 3,
            path: "/a".to_owned(),
            ..Default::default()
        }),
        response: Some(envoy::HttpResponseProperties {
            response_code: Some(envoy::UInt32Value { value: 404 }),
        }),
    };
    let mut raw = entry.encode_to_vec();
    // A field that this build does not know.
    raw.extend_from_slice(&[0xfa, 0x3e, 0x01, b'x']);
    let identifier =
        sluice_protocols::envoy::service::accesslog::v3::stream_access_logs_message::Identifier {
            node: Some(envoy::Node { id: "pod-1".to_owned(), metadata: vec![1, 2], ..Default::default() }),
            log_name: "als".to_owned(),
        };
    let mut first =
        StreamAccessLogsMessage { identifier: Some(identifier.clone()), log_entries: None }.encode_to_vec();
    let mut entries = Vec::new();
    sluice_pipeline::otlp::write::Writer::new(&mut entries).message(2, |entries| entries.bytes(1, &raw));
    first.extend_from_slice(&entries);
    let data = logs(&translate(Kind::EnvoyLogs, &[first, entries]).unwrap());
    assert_eq!(data.resource_logs.len(), 1);
    let group = &data.resource_logs[0];
    let resource = &group.resource.as_ref().unwrap().attributes;
    let bytes = attribute(resource, "envoy.identifier");
    assert_eq!(bytes, Some(&Value::BytesValue(identifier.encode_to_vec())));
    assert_eq!(text(resource, "envoy.node.id"), "pod-1");
    let records = &group.scope_logs[0].log_records;
    assert_eq!(records.len(), 2);
    assert_eq!(back::raw(&records[1]), raw);
    assert_eq!(records[0].time_unix_nano, 2_000_000_003);
    assert_eq!(text(&records[0].attributes, "http.request.method"), "POST");
    assert_eq!(int(&records[0].attributes, "http.response.status_code"), 404);
}

#[test]
fn families_of_envoy_become_metrics() {
    let family = |name: &str, kind: envoy_metrics::MetricType, metric| envoy_metrics::MetricFamily {
        name: name.to_owned(),
        r#type: kind as i32,
        metric: vec![metric],
        ..Default::default()
    };
    let histogram = envoy_metrics::Histogram {
        sample_count: 7,
        sample_sum: 1.5,
        bucket: vec![
            envoy_metrics::Bucket { cumulative_count: 2, upper_bound: 1.0 },
            envoy_metrics::Bucket { cumulative_count: 5, upper_bound: 2.0 },
        ],
    };
    let message = envoy_metrics::StreamMetricsMessage {
        identifier: None,
        envoy_metrics: vec![
            family(
                "c",
                envoy_metrics::MetricType::Counter,
                envoy_metrics::Metric {
                    counter: Some(envoy_metrics::Counter { value: 3.0 }),
                    timestamp_ms: 4,
                    ..Default::default()
                },
            ),
            family(
                "h",
                envoy_metrics::MetricType::Histogram,
                envoy_metrics::Metric { histogram: Some(histogram), ..Default::default() },
            ),
        ],
    };
    let data = metrics(&translate(Kind::EnvoyMetrics, &encoded(&[message])).unwrap());
    let read = &data.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = &read[0].data else { panic!("a counter is a sum") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.data_points[0].time_unix_nano, 4_000_000);
    let Some(Data::Histogram(histogram)) = &read[1].data else { panic!("a histogram is one") };
    assert_eq!(histogram.data_points[0].bucket_counts, [2, 3, 2]);
}
