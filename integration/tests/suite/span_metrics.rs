//! Spans of the Python SDK as metrics in a real Prometheus, behind what drops some of them.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_integration::process::free_address;

use crate::prometheus::{query, traces};
use crate::support::{PrometheusServer, Setup, lines, python, sum};

#[test]
fn spans_of_the_python_sdk_are_counted_in_prometheus() {
    let setup = Setup::new();
    let scraped = free_address().unwrap();
    let components = format!(
        "processors:
  filter: {{spans: {{exclude: {{match_type: strict, span_kinds: [SPAN_KIND_INTERNAL]}}}}}}
  probabilistic_sampler: {{sampling_percentage: 100}}
connectors:
  spanmetrics: {{metrics_flush_interval: 500ms, exemplars: {{enabled: true}}}}
exporters:
  nop:
  prometheus: {{endpoint: '{scraped}', enable_open_metrics: true}}"
    );
    let pipelines = "    traces: {receivers: [otlp], processors: [filter, probabilistic_sampler], exporters: [spanmetrics, nop]}
    metrics: {receivers: [spanmetrics], exporters: [prometheus]}";
    let sluice = setup.start(&setup.config(&components, pipelines), setup.grpc);
    let endpoint = format!("http://{}", setup.grpc);
    let arguments = ["--signal", "traces", "--protocol", "grpc", "--endpoint", &endpoint];
    let Some(printed) = python("otlp.py", &arguments) else { return };
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, "exemplar-storage") else {
        return;
    };

    let mut expected: BTreeMap<[String; 3], (f64, f64)> = BTreeMap::new();
    let (mut internal, mut trace_ids) = (0, Vec::new());
    for span in lines(&printed).iter().flat_map(spans) {
        let kind = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
            [usize::try_from(span["kind"].as_u64().unwrap_or(0)).unwrap()];
        if kind == "INTERNAL" {
            internal += 1;
            continue;
        }
        let status =
            ["UNSET", "OK", "ERROR"][usize::try_from(span["status"]["code"].as_u64().unwrap_or(0)).unwrap()];
        let key = [
            span["name"].as_str().unwrap().to_owned(),
            format!("SPAN_KIND_{kind}"),
            format!("STATUS_CODE_{status}"),
        ];
        let nanoseconds = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        let duration = nanoseconds("endTimeUnixNano") - nanoseconds("startTimeUnixNano");
        let entry = expected.entry(key).or_default();
        *entry = (entry.0 + 1.0, entry.1 + duration as f64 / 1e6);
        trace_ids.push(span["traceId"].as_str().unwrap().to_owned());
    }
    assert!(internal > 0 && expected.len() > 3, "{printed}");

    let series = |name: &str| -> BTreeMap<[String; 3], f64> {
        let found = query(&server, &format!("traces_span_metrics_{name}"));
        let of = |(labels, value): (Value, f64)| {
            let label = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
            assert_eq!((label("job"), label("service_name")), ("python-shop".into(), "python-shop".into()));
            ([label("span_name"), label("span_kind"), label("status_code")], value)
        };
        found.into_iter().map(of).collect()
    };
    let calls: BTreeMap<_, _> = expected.iter().map(|(key, (count, _))| (key.clone(), *count)).collect();
    assert_eq!(series("calls_total"), calls);
    assert_eq!(series("duration_milliseconds_count"), calls);
    for (key, sum) in series("duration_milliseconds_sum") {
        assert!((sum - expected[&key].1).abs() < 1e-6, "{key:?}: {sum}");
    }
    let exemplars = traces(&server, "traces_span_metrics_duration_milliseconds_bucket");
    assert!(exemplars.iter().all(|id| trace_ids.contains(id)), "{exemplars:?}");
    let all = usize::try_from(calls.values().sum::<f64>() as u64).unwrap();
    assert_eq!(sum(setup.telemetry, "otelcol_processor_filter_spans_filtered", ""), internal);
    let sampled = "otelcol_processor_probabilistic_sampler_count_traces_sampled";
    assert_eq!(sum(setup.telemetry, sampled, "sampled=\"true\""), all);
    drop(server);
    sluice.stop();
}

fn spans(export: &Value) -> Vec<&Value> {
    let groups = export["resourceSpans"].as_array().unwrap().iter();
    let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
    scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).collect()
}
