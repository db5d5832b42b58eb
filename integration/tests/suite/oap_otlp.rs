//! OpenTelemetry's SDK through Sluice to SkyWalking's OAP, read back through its query API.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Oap, PATIENCE, Setup, Sluice, eventually, eventually_within, python, sum, tag};

/// Sluice with OTLP in and this OAP out, three signals.
fn start(setup: &Setup, oap: &Oap, exporter: &str, processors: &str) -> Sluice {
    let rest = format!(
        "processors:
  batch: {{timeout: 2s}}
  groupbytrace: {{wait_duration: 2s}}
exporters:
  oap: {exporter}
extensions:
  oap:
    endpoints: ['{}']
    check_period: 1s",
        oap.grpc
    );
    let pipelines = ["traces", "metrics", "logs"].map(|signal| {
        let processors = if signal == "traces" { processors } else { "" };
        format!("    {signal}: {{receivers: [otlp], processors: [{processors}], exporters: [oap]}}\n")
    });
    let pipelines = pipelines.concat();
    let config = setup.config(&rest, &pipelines).replace("service:\n", "service:\n  extensions: [oap]\n");
    setup.start(&config, setup.grpc)
}

/// The traces of a shop whose spans came through Sluice.
fn shop(setup: &Setup, name: &str, more: &[&str]) -> Option<Vec<String>> {
    let endpoint = format!("http://{}", setup.grpc);
    let mut arguments = vec!["--endpoint", &endpoint, "--name", name];
    arguments.extend(more);
    let printed = python("otlp_shop.py", &arguments)?;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    Some(printed["traces"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect())
}

fn edge(from: &str, to: &str, seen_by: &str) -> (String, String, String) {
    (from.to_owned(), to.to_owned(), seen_by.to_owned())
}

/// Everything that OAP makes of spans, logs and metrics is there.
#[test]
fn spans_logs_and_metrics_of_the_python_sdk_reach_oap() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let sluice = start(&setup, oap, "{}", "");
    let Some(traces) = shop(&setup, "plain", &[]) else { return };
    assert_eq!(sum(setup.telemetry, "otelcol_exporter_send_failed_spans", "oap"), 0);
    sluice.stop();

    oap.knows("GENERAL", &["plain-web", "plain-stock"]);
    // OAP stores each kind of what it found on its own.
    eventually("the instances are known", || !oap.instances("plain-web").is_empty());
    eventually("the endpoints are known", || {
        oap.endpoints("plain-stock").len() == 2 && !oap.endpoints("plain-web").is_empty()
    });
    assert_eq!(oap.instances("plain-web"), ["plain-web-1"]);
    assert_eq!(oap.endpoints("plain-web"), ["GET /order"]);
    assert_eq!(oap.endpoints("plain-stock"), ["GET /stock", "orders process"]);

    // Seven spans, and three that stand for what caused the requests that leave.
    eventually("all segments are stored", || oap.trace(&traces[0]).len() == 10);
    let spans = oap.trace(&traces[0]);
    let of =
        |name: &str| spans.iter().find(|span| span["endpointName"] == name && span["spanId"] == 0).unwrap();
    for (name, kind, layer, peer) in [
        ("GET /order", "Entry", "Http", ""),
        ("GET", "Exit", "Http", "plain-stock.test:8080"),
        ("GET /stock", "Entry", "Http", ""),
        ("SELECT", "Exit", "Database", "db.test:3306"),
        ("render", "Local", "Unknown", ""),
        ("orders send", "Exit", "MQ", "kafka.test:9092"),
        ("orders process", "Entry", "MQ", "kafka.test:9092"),
    ] {
        let span = of(name);
        assert_eq!((&span["type"], &span["layer"]), (&kind.into(), &layer.into()), "{span:#}");
        assert_eq!(span["peer"].as_str().unwrap_or_default(), peer, "{span:#}");
    }
    let call = of("GET");
    assert_eq!(call["isError"], true);
    assert_eq!(tag(call, "http.status_code").as_deref(), Some("503"));
    assert_eq!(tag(call, "url").as_deref(), Some("http://plain-stock.test:8080/stock"));
    assert_eq!(tag(of("SELECT"), "db.type").as_deref(), Some("mysql"));
    assert_eq!(
        of("GET /stock")["refs"][0]["parentSegmentId"],
        call["segmentId"],
        "the caller's segment is found"
    );
    let told = of("GET /stock")["logs"][0]["data"].as_array().unwrap();
    assert!(told.iter().any(|pair| pair["key"] == "error.kind" && pair["value"] == "ValueError"), "{told:?}");

    eventually("the logs are stored", || oap.logs("plain-web").len() == 3);
    let logs = oap.logs("plain-web");
    let log = logs.iter().find(|log| log["traceId"] == traces[0].as_str()).unwrap();
    assert_eq!(log["content"], "order 0");
    assert_eq!(tag(log, "level").as_deref(), Some("WARN"));

    eventually("the meters are stored", || {
        !oap.metric("meter_test_orders", "plain-web", Some("plain-web-1")).is_empty()
    });
    assert_eq!(oap.metric("meter_test_orders", "plain-web", Some("plain-web-1")), [3.0]);
    eventually("rules compute with histograms", || {
        !oap.metric("meter_test_duration", "plain-stock", Some("plain-stock-1")).is_empty()
    });
    eventually("services have their traffic", || oap.metric("service_cpm", "plain-web", None) == [3.0]);
}

/// Caller and called in different batches: each end by itself, and the called one does not know who called.
#[test]
fn edges_are_seen_from_the_ends_that_know_them() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let sluice = start(&setup, oap, "{unknown_caller: somebody}", "");
    let mut edges = Vec::new();
    // OAP knows whose address it is some time after the called service has told; the next calls go there.
    eventually_within(PATIENCE * 3, Duration::ZERO, "the caller sees whom it calls", || {
        if shop(&setup, "apart", &[]).is_none() {
            return true;
        }
        std::thread::sleep(Duration::from_secs(1));
        edges = oap.edges(&["apart-web", "apart-stock"]);
        edges.contains(&edge("apart-web", "apart-stock", "CLIENT"))
    });
    sluice.stop();
    if edges.is_empty() {
        return;
    }
    let right = right_edges("apart");
    let seen: Vec<_> = right.iter().filter(|edge| edges.contains(edge)).collect();
    let _ = writeln!(
        std::io::stderr(),
        "edges without state: {} of {} right, all: {edges:?}",
        seen.len(),
        right.len()
    );
    assert_eq!(seen.len(), right.len() - 1, "{edges:#?}");
    assert!(!edges.contains(&edge("apart-web", "apart-stock", "SERVER")), "nothing can know this");
    assert!(edges.contains(&edge("somebody", "apart-stock", "SERVER")), "{edges:#?}");
}

/// With both in one batch the called end knows its caller as well: where one process sends both, or `groupbytrace` has
/// waited for them.
#[test]
fn edges_are_seen_from_both_ends_where_spans_come_together() {
    let Some(oap) = Oap::shared() else { return };
    for (name, exporter, processor, segments) in [
        ("joined", "{}", "batch", 7),
        ("whole", "{segments: whole}", "batch", 3),
        ("gathered", "{segments: whole}", "groupbytrace", 3),
    ] {
        let together: &[&str] = if processor == "batch" { &["--together"] } else { &[] };
        let setup = Setup::new();
        let sluice = start(&setup, oap, exporter, processor);
        let (web, stock) = (format!("{name}-web"), format!("{name}-stock"));
        let mut edges = Vec::new();
        let mut traces = Vec::new();
        let right = right_edges(name);
        eventually_within(PATIENCE * 3, Duration::ZERO, "each edge is seen from both ends", || {
            let Some(made) = shop(&setup, name, together) else { return true };
            traces = made;
            std::thread::sleep(Duration::from_secs(1));
            edges = oap.edges(&[&web, &stock]);
            right.iter().all(|edge| edges.contains(edge))
        });
        sluice.stop();
        let Some(trace) = traces.first() else { return };
        // The edges may be those of an earlier shop: OAP may yet have to store the last one's spans.
        eventually("the last trace has its segments", || {
            let spans = oap.trace(trace);
            let made: BTreeSet<_> = spans.iter().map(|span| span["segmentId"].to_string()).collect();
            made.len() == segments
        });
        assert_eq!(
            oap.endpoints(&stock),
            ["GET /stock", "orders process"],
            "requests that leave are no endpoints"
        );
    }
}

/// All edges around a shop, as its services are instrumented.
fn right_edges(name: &str) -> Vec<(String, String, String)> {
    let (web, stock) = (format!("{name}-web"), format!("{name}-stock"));
    vec![
        edge("User", &web, "SERVER"),
        edge(&web, &stock, "CLIENT"),
        edge(&web, &stock, "SERVER"),
        edge(&web, "kafka.test:9092", "CLIENT"),
        edge("kafka.test:9092", &stock, "SERVER"),
        edge(&stock, "db.test:3306", "CLIENT"),
    ]
}
