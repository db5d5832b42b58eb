//! Envoy as a proxy in front of nginx, with its Zipkin tracer or without.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::{
    Outcome,
    process::{Process, tied},
};

const TYPES: &str = "type.googleapis.com/envoy";

/// Starts Envoy with two workers; `tracing` is where its spans go, and the percentage of requests that have one.
pub(super) fn start(
    envoy: &Path,
    folder: &Path,
    front: SocketAddr,
    nginx: SocketAddr,
    tracing: (SocketAddr, Option<f64>),
) -> Outcome<Process> {
    let path = folder.join("envoy.json");
    fs::write(&path, bootstrap(front, nginx, tracing).to_string())?;
    let mut command = tied(envoy);
    command.args(["--disable-hot-restart", "--concurrency", "2", "-l", "warn", "-c"]).arg(path);
    Process::start(&mut command, &folder.join("envoy.log"))
}

fn bootstrap(front: SocketAddr, nginx: SocketAddr, (spans_to, sampling): (SocketAddr, Option<f64>)) -> Value {
    let mut manager = json!({
        "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "nginx"}}],
        }]},
        "http_filters": [{
            "name": "router",
            "typed_config": {"@type": format!("{TYPES}.extensions.filters.http.router.v3.Router")},
        }],
    });
    if let Some(sampling) = sampling {
        manager["tracing"] = json!({
            "random_sampling": {"value": sampling},
            "provider": {"name": "zipkin", "typed_config": {
                "@type": format!("{TYPES}.config.trace.v3.ZipkinConfig"),
                "collector_cluster": "spans",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
                "trace_id_128bit": true,
            }},
        });
    }
    json!({
        "node": {"id": "front", "cluster": "front"},
        "static_resources": {
            "listeners": [{
                "name": "front",
                "address": socket(front),
                // Else chance gives one worker more connections than the other.
                "connection_balance_config": {"exact_balance": {}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [cluster("nginx", nginx), cluster("spans", spans_to)],
        },
    })
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        // The default refuses what more than 1,024 requests at a time ask for, which is not what is measured.
        "circuit_breakers": {"thresholds": [{"max_requests": 100_000, "max_pending_requests": 100_000}]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(address)}}]}],
        },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
