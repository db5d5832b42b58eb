//! Envoy's access logs and metrics over gRPC, as it sends them itself.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};
use sluice_integration::process::{Process, free_address, tied};
use sluice_protocols::envoy::data::v3::{HttpAccessLogEntry, TcpAccessLogEntry};

use super::{attribute, items, start};
use crate::support::{PATIENCE, Setup, envoy, eventually, get, sum};

const TYPES: &str = "type.googleapis.com/envoy";

#[test]
fn access_logs_and_metrics_of_envoy_arrive() {
    let Some(program) = envoy() else { return };
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let (http, tcp) = (free_address().unwrap(), free_address().unwrap());
    let config = setup.write("envoy.json", &bootstrap(http, tcp, setup.grpc, setup.telemetry).to_string());
    let _envoy = run(&program, &config, &setup, http);

    assert_eq!(get(http, "/metrics?of=all").status, 200, "Sluice's own metrics, through Envoy");
    assert_eq!(get(http, "/unwell").status, 503);
    assert_eq!(get(tcp, "/metrics").status, 200);

    let (resource, served) = record(&setup, "envoy.access_log.http", "/metrics?of=all");
    assert_eq!(attribute(&resource, "envoy.node.id"), "edge-1");
    assert_eq!(attribute(&resource, "envoy.node.cluster"), "edge");
    assert_eq!(attribute(&served, "http.request.method"), "GET");
    assert_eq!(attribute(&served, "http.response.status_code"), "200");
    assert_eq!(attribute(&served, "envoy.upstream_cluster"), "telemetry");
    let entry = HttpAccessLogEntry::decode(body(&served).as_slice()).unwrap();
    let (request, common) = (entry.request.unwrap(), entry.common_properties.unwrap());
    assert_eq!((request.path.as_str(), request.authority), ("/metrics?of=all", http.to_string()));
    let begin = common.start_time.unwrap();
    let nanoseconds = begin.seconds * 1_000_000_000 + i64::from(begin.nanos);
    assert_eq!(served["timeUnixNano"], nanoseconds.to_string());
    assert!(begin.seconds > 1_700_000_000);

    let (_, failed) = record(&setup, "envoy.access_log.http", "/unwell");
    assert_eq!(attribute(&failed, "http.response.status_code"), "503");
    let (_, relayed) = first(&setup, "envoy.access_log.tcp", |_| true);
    assert_eq!(attribute(&relayed, "envoy.upstream_cluster"), "telemetry");
    let entry = TcpAccessLogEntry::decode(body(&relayed).as_slice()).unwrap();
    let upstream = entry.common_properties.unwrap().upstream_remote_address.unwrap().socket_address.unwrap();
    assert_eq!(upstream.port_value, u32::from(setup.telemetry.port()));

    // As each sends, in whatever order: a counter, a gauge and a histogram.
    metric(&setup, "cluster.upstream_rq_total", |metric| {
        let points = metric["sum"]["dataPoints"].as_array().cloned().unwrap_or_default();
        points.iter().any(|point| {
            attribute(point, "envoy.cluster_name") == "telemetry" && point["asDouble"].as_f64() >= Some(1.0)
        })
    });
    metric(&setup, "server.live", |metric| {
        metric["gauge"]["dataPoints"][0]["asDouble"].as_f64() == Some(1.0)
    });
    metric(&setup, "cluster.upstream_rq_time", |metric| {
        let points = metric["histogram"]["dataPoints"].as_array().cloned().unwrap_or_default();
        points.iter().any(|point| point["explicitBounds"].as_array().is_some_and(|bounds| bounds.len() > 5))
    });
    assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "skywalking"), 0);
    sluice.stop();
}

fn run(program: &Path, config: &Path, setup: &Setup, listens: SocketAddr) -> Process {
    let mut command = tied(program);
    command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "warn", "-c"]).arg(config);
    let log = setup.path("envoy.log");
    let mut process = Process::start(&mut command, &log).unwrap();
    if let Err(error) = process.wait_until_listening(listens, PATIENCE) {
        panic!("{error}\n{}", std::fs::read_to_string(log).unwrap());
    }
    process
}

/// The first record with this event name that is as wanted.
fn first(setup: &Setup, name: &str, wanted: impl Fn(&Value) -> bool) -> (Value, Value) {
    let mut found = None;
    eventually(&format!("a record {name} arrives"), || {
        found = items(setup, "logs")
            .into_iter()
            .find(|(_, record)| record["eventName"] == name && wanted(record));
        found.is_some()
    });
    found.unwrap()
}

fn record(setup: &Setup, name: &str, path: &str) -> (Value, Value) {
    first(setup, name, |record| attribute(record, "url.path") == path)
}

fn body(record: &Value) -> Vec<u8> {
    STANDARD.decode(record["body"]["bytesValue"].as_str().unwrap()).unwrap()
}

/// Waits for a metric of this name that is as wanted.
fn metric(setup: &Setup, name: &str, wanted: impl Fn(&Value) -> bool) {
    eventually(&format!("a metric {name} arrives as Envoy counted"), || {
        let metrics = items(setup, "metrics");
        metrics.iter().any(|(of, metric)| {
            attribute(of, "envoy.node.id") == "edge-1" && metric["name"] == name && wanted(metric)
        })
    });
}

/// A listener for HTTP and one for TCP before Sluice's metrics; logs and metrics go to Sluice.
fn bootstrap(http: SocketAddr, tcp: SocketAddr, sluice: SocketAddr, telemetry: SocketAddr) -> Value {
    let to_sluice = json!({"envoy_grpc": {"cluster_name": "sluice"}});
    let logger = |of: &str| {
        json!({
            "name": format!("envoy.access_loggers.{}_grpc", of.to_lowercase()),
            "typed_config": {
                "@type": format!("{TYPES}.extensions.access_loggers.grpc.v3.{of}GrpcAccessLogConfig"),
                "common_config": {
                    "log_name": of, "transport_api_version": "V3", "grpc_service": to_sluice,
                    "buffer_flush_interval": "0.1s",
                },
            },
        })
    };
    let listener = |name: &str, address: SocketAddr, filter: Value| json!({"name": name, "address": socket(address), "filter_chains": [{"filters": [filter]}]});
    let manager = json!({
        "name": "http",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "edge",
            "access_log": [logger("Http")],
            "route_config": {"virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [
                    {"match": {"path": "/unwell"}, "direct_response": {"status": 503}},
                    {"match": {"prefix": "/"}, "route": {"cluster": "telemetry"}},
                ],
            }]},
            "http_filters": [{
                "name": "router",
                "typed_config": {"@type": format!("{TYPES}.extensions.filters.http.router.v3.Router")},
            }],
        },
    });
    let proxy = json!({
        "name": "tcp",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "edge", "cluster": "telemetry", "access_log": [logger("Tcp")],
        },
    });
    let mut sluice = cluster("sluice", sluice);
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    sluice["typed_extension_protocol_options"] = json!({options: {
        "@type": format!("type.googleapis.com/{options}"),
        "explicit_http_config": {"http2_protocol_options": {}},
    }});
    json!({
        "node": {"id": "edge-1", "cluster": "edge", "metadata": {"NAMESPACE": "shop"}},
        "stats_flush_interval": "0.5s",
        "stats_sinks": [{
            "name": "envoy.stat_sinks.metrics_service",
            "typed_config": {
                "@type": format!("{TYPES}.config.metrics.v3.MetricsServiceConfig"),
                "transport_api_version": "V3", "grpc_service": to_sluice, "emit_tags_as_labels": true,
            },
        }],
        "static_resources": {
            "listeners": [listener("http", http, manager), listener("tcp", tcp, proxy)],
            "clusters": [sluice, cluster("telemetry", telemetry)],
        },
    })
}

fn cluster(name: &str, to: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(to)}}]}],
        },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
