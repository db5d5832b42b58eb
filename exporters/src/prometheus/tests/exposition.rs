//! What the text formats say.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    metrics::v1::{Summary, SummaryDataPoint, metric::Data, summary_data_point::ValueAtQuantile},
};

use proptest::prelude::*;
use sluice_protocols::prometheus::{is_label_name, label_name};

use super::fixture::*;

#[test]
fn every_kind_is_exposed_in_text() {
    let exporter = Fixture::new(|_| {});
    let summary = SummaryDataPoint {
        time_unix_nano: TIME,
        count: 4,
        sum: 10.5,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.99, value: 4.0 },
            ValueAtQuantile { quantile: 0.5, value: 2.5 },
        ],
        ..SummaryDataPoint::default()
    };
    let reply = exporter.take(vec![
        sum("http.requests", CUMULATIVE, true, vec![point(TIME, TIME, 17.0, &[("http.method", "GET")])]),
        gauge("memory.usage", "By", vec![point(0, TIME, 0.5, &[])]),
        histogram("latency", CUMULATIVE, vec![buckets(TIME, TIME, &[0.1, 1.0], &[3, 2, 1], 4.25)]),
        metric("quantiles", "", Data::Summary(Summary { data_points: vec![summary] })),
    ]);
    assert_eq!(refused(reply), (0, String::new()));
    assert_eq!(
        exporter.text(),
        "# HELP http_requests_total What http.requests says.
# TYPE http_requests_total counter
http_requests_total{http_method=\"GET\"} 17
# HELP latency_seconds What latency says.
# TYPE latency_seconds histogram
latency_seconds_bucket{le=\"0.1\"} 3
latency_seconds_bucket{le=\"1\"} 5
latency_seconds_bucket{le=\"+Inf\"} 6
latency_seconds_sum 4.25
latency_seconds_count 6
# HELP memory_usage_bytes What memory.usage says.
# TYPE memory_usage_bytes gauge
memory_usage_bytes 0.5
# HELP quantiles What quantiles says.
# TYPE quantiles summary
quantiles{quantile=\"0.5\"} 2.5
quantiles{quantile=\"0.99\"} 4
quantiles_sum 10.5
quantiles_count 4
"
    );
}

#[test]
fn open_metrics_has_exemplars_units_and_start_times() {
    let exporter = Fixture::new(|keys| {
        keys.enable_open_metrics = true;
        keys.send_timestamps = true;
    });
    let mut counted = point(TIME, TIME + SECOND, 2.0, &[]);
    counted.exemplars = vec![measured(1.0, TIME)];
    let mut spread = buckets(TIME, TIME + SECOND, &[1.0], &[1, 1], 3.0);
    spread.exemplars = vec![measured(0.5, TIME), measured(2.5, TIME), measured(0.25, TIME + 1)];
    exporter.take(vec![
        sum("jobs", CUMULATIVE, true, vec![counted]),
        histogram("wait", CUMULATIVE, vec![spread]),
    ]);
    let ids = "trace_id=\"0102030405060708090a0b0c0d0e0f10\",span_id=\"0102030405060708\"";
    assert_eq!(
        exporter.open_metrics(),
        format!(
            "# HELP jobs What jobs says.
# TYPE jobs counter
jobs_total 2 1700000001.000 # {{{ids}}} 1 1700000000.000
jobs_created 1700000000.000 1700000001.000
# HELP wait_seconds What wait says.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{{le=\"1.0\"}} 1 1700000001.000 # {{{ids}}} 0.25 1700000000.000
wait_seconds_bucket{{le=\"+Inf\"}} 2 1700000001.000 # {{{ids}}} 2.5 1700000000.000
wait_seconds_sum 3 1700000001.000
wait_seconds_count 2 1700000001.000
wait_seconds_created 1700000000.000 1700000001.000
# EOF
"
        )
    );
    assert!(exporter.text().contains("jobs_total 2 1700000001000\n"), "milliseconds in 0.0.4");
    assert_eq!(Fixture::new(|_| {}).open_metrics(), "# EOF\n", "nothing is well-formed too");
}

#[test]
fn exemplars_do_not_outlive_their_buckets() {
    let exporter = Fixture::new(|keys| keys.enable_open_metrics = true);
    let take = |time, bounds: &[f64], counts: &[u64], values: &[f64]| {
        let mut spread = buckets(TIME, TIME + time, bounds, counts, 3.0);
        spread.exemplars = values.iter().map(|value| measured(*value, TIME + time)).collect();
        exporter.take(vec![histogram("wait", CUMULATIVE, vec![spread])]);
    };
    take(1, &[1.0, 2.0], &[1, 1, 1], &[0.5, 1.5]);
    take(2, &[1.0, 2.0], &[1, 1, 2], &[9.0]);
    assert_eq!(exporter.open_metrics().matches("trace_id").count(), 3, "one a bucket");
    take(3, &[3.0], &[2, 2], &[5.0]);
    let lines = exporter.open_metrics();
    assert_eq!(lines.matches("trace_id").count(), 1);
    assert!(lines.lines().any(|line| line.contains("+Inf") && line.contains("} 5 ")), "{lines}");
}

#[test]
fn hostile_text_is_harmless() {
    let exporter = Fixture::new(|_| {});
    let mut hostile = gauge(
        "a\"b\n# HELP",
        "{\n}",
        vec![point(
            0,
            TIME,
            1.0,
            &[("x\"}\n", "v\"\\\n1"), ("__name__", "other"), ("", "nameless"), ("empty", "")],
        )],
    );
    hostile.description = "one\ntwo \\ \"three\"".to_owned();
    exporter.take(vec![hostile]);
    assert_eq!(
        exporter.text(),
        "# HELP a_b_HELP one\\ntwo \\\\ \"three\"
# TYPE a_b_HELP gauge
a_b_HELP{key_=\"nameless\",key__name__=\"other\",x___=\"v\\\"\\\\\\n1\"} 1
"
    );
}

#[test]
fn colliding_labels_are_joined_in_the_order_of_their_keys() {
    let exporter = Fixture::new(|_| {});
    let labels = [("a-b", "3"), ("a.b", "1"), ("a_b", "2"), ("a.b", "again")];
    exporter.take(vec![gauge("m", "", vec![point(0, TIME, 1.0, &labels)])]);
    assert_eq!(exporter.samples(), ["m{a_b=\"3;1;2\"} 1"]);
}

#[test]
fn labels_that_are_taken_are_exported_under_another_name() {
    let exporter = Fixture::new(|keys| {
        keys.const_labels.insert("region".to_owned(), "eu".to_owned());
    });
    let resource = [("service.name", "shop"), ("service.namespace", "web"), ("service.instance.id", "1")];
    let mut spread = buckets(TIME, TIME, &[], &[1], 1.0);
    spread.attributes = attributes(&[("le", "x"), ("job", "own"), ("region", "us"), ("quantile", "q")]);
    exporter.take_from(&resource, None, vec![histogram("h", CUMULATIVE, vec![spread])]);
    let labels = "exported_job=\"own\",exported_le=\"x\",exported_region=\"us\",instance=\"1\",job=\"web/shop\",\
                  quantile=\"q\",region=\"eu\"";
    assert_eq!(
        exporter.samples(),
        [
            format!("h_seconds_bucket{{{labels},le=\"+Inf\"}} 1"),
            format!("h_seconds_sum{{{labels}}} 1"),
            format!("h_seconds_count{{{labels}}} 1"),
        ]
    );
}

#[test]
fn a_target_is_described_once() {
    let exporter = Fixture::new(|keys| keys.namespace = "app".to_owned());
    let take = |resource: &[(&str, &str)]| {
        exporter.take_from(resource, None, vec![gauge("up", "", vec![point(0, TIME, 1.0, &[])])])
    };
    take(&[("host.name", "anonymous")]);
    take(&[("service.name", "bare")]);
    assert!(!exporter.text().contains("target_info"), "no identity, or nothing beside it");
    take(&[("service.name", "shop"), ("host.name", "old")]);
    take(&[("service.name", "shop"), ("host.name", "new"), ("os.type", "linux")]);
    let text = exporter.text();
    let targets: Vec<&str> = text.lines().filter(|line| line.starts_with("app_target_info")).collect();
    assert_eq!(targets, ["app_target_info{host_name=\"new\",job=\"shop\",os_type=\"linux\"} 1"]);
    assert!(text.contains("# TYPE app_target_info gauge\n"), "{text}");
    assert!(exporter.open_metrics().contains("# TYPE app_target info\napp_target_info{"), "the info type");
}

#[test]
fn scopes_and_resources_become_labels_as_configured() {
    let scope = || {
        Some(InstrumentationScope {
            name: "lib".to_owned(),
            version: "2".to_owned(),
            attributes: attributes(&[("short.name", "x")]),
            ..InstrumentationScope::default()
        })
    };
    let resource = [("service.name", "shop"), ("host.name", "h"), ("os.type", "linux")];
    let samples = |change: fn(&mut crate::prometheus::PrometheusKeys)| {
        let exporter = Fixture::new(change);
        exporter.take_from(
            &resource,
            scope(),
            vec![gauge("m", "", vec![point(0, TIME, 1.0, &[("host.name", "p")])])],
        );
        exporter.samples().into_iter().find(|line| line.starts_with("m{")).unwrap()
    };
    assert_eq!(
        samples(|_| {}),
        "m{host_name=\"p\",job=\"shop\",otel_scope_name=\"lib\",otel_scope_short_name=\"x\",otel_scope_version=\"2\"} 1"
    );
    assert_eq!(samples(|keys| keys.without_scope_info = true), "m{host_name=\"p\",job=\"shop\"} 1");
    assert_eq!(
        samples(|keys| {
            keys.without_scope_info = true;
            keys.resource_to_telemetry_conversion.enabled = true;
        }),
        "m{host_name=\"h\",job=\"shop\",os_type=\"linux\",service_name=\"shop\"} 1",
        "of one key the resource wins, as in the Collector"
    );
    assert_eq!(
        samples(|keys| {
            keys.without_scope_info = true;
            keys.resource_to_telemetry_conversion.enabled = true;
            keys.resource_to_telemetry_conversion.exclude_service_attributes = true;
        }),
        "m{host_name=\"h\",job=\"shop\",os_type=\"linux\"} 1"
    );
    assert_eq!(
        samples(|keys| {
            keys.without_scope_info = true;
            keys.resource_constant_labels.included = vec!["os.*".to_owned()];
        }),
        "m{host_name=\"p\",job=\"shop\",os_type=\"linux\"} 1"
    );
}

#[test]
fn what_is_exposed_comes_in_pieces_in_order() {
    let exporter = Fixture::new(|_| {});
    for name in ["b", "a", "c"] {
        let points = (0..6_000).map(|index| point(0, TIME, 1.0, &[("index", &index.to_string())])).collect();
        exporter.take(vec![gauge(name, "", points)]);
    }
    let pieces: Vec<Vec<u8>> = crate::prometheus::expose::Exposition::of(
        &exporter.store,
        crate::prometheus::expose::Format::Text,
        crate::prometheus::expose::Style::default(),
    )
    .collect();
    assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() < 150_000), "{} pieces", pieces.len());
    let samples = exporter.samples();
    assert_eq!(samples.len(), 18_000);
    assert!(samples.is_sorted_by_key(|line| line.chars().next()), "the samples of a family are together");
    assert_eq!(exporter.text().matches("# TYPE").count(), 3);
}

/// The labels of a point as simply as they can be told.
fn naive(attributes: &[(String, String)]) -> Vec<(String, String)> {
    let mut by_name: BTreeMap<String, BTreeMap<&str, &str>> = BTreeMap::new();
    for (key, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
        by_name.entry(label_name(key).into_owned()).or_default().entry(key).or_insert(value);
    }
    let joined = |values: BTreeMap<&str, &str>| values.into_values().collect::<Vec<_>>().join(";");
    by_name.into_iter().map(|(name, values)| (name, joined(values))).collect()
}

proptest! {
    #[test]
    fn hostile_attributes_are_labels_that_read_back(
        attributes in proptest::collection::vec(("((?s:.{0,12})|[a-c._-]{0,3})", "(?s:.{0,12})"), 0..8)
    ) {
        let exporter = Fixture::new(|_| {});
        let pairs: Vec<(&str, &str)> =
            attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        exporter.take(vec![gauge("m", "", vec![point(0, TIME, 1.0, &pairs)])]);
        let text = exporter.text();
        let sample = text.split('\n').find(|line| line.starts_with('m')).unwrap();
        let labels = sample.strip_prefix("m{").and_then(|rest| rest.strip_suffix("} 1")).unwrap_or_default();
        let read: Vec<(String, String)> = crate::prometheus::labels::pairs(labels)
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect();
        prop_assert!(read.iter().all(|(name, _)| is_label_name(name) && !name.starts_with("__")));
        prop_assert_eq!(read, naive(&attributes));
    }
}
