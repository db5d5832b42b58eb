//! Envoy as a proxy in front of nginx, with its Zipkin tracer or without.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::{
    Outcome,
    process::{Process, tied},
};

const TYPES: &str = "type.googleapis.com/envoy";

/// How much Envoy does beside proxying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Bare,
    /// What it does as Istio configures a sidecar, as far as that comes with Envoy itself: an access log in Istio's default
    /// format, and the filters for faults, CORS and gRPC's statistics. The log goes nowhere.
    Mesh,
}

/// What Envoy traces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracing {
    /// The percentage of requests that have a span.
    pub(super) sampling: f64,
    /// Where spans go.
    pub(super) to: SocketAddr,
}

/// Istio's, in its order.
const ACCESS_LOG: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
"#;

/// Starts Envoy with two workers.
pub(super) fn start(
    envoy: &Path,
    folder: &Path,
    front: SocketAddr,
    nginx: SocketAddr,
    kind: Kind,
    tracing: Option<Tracing>,
) -> Outcome<Process> {
    let path = folder.join("envoy.json");
    fs::write(&path, bootstrap(front, nginx, kind, tracing).to_string())?;
    let mut command = tied(envoy);
    command.args(["--disable-hot-restart", "--concurrency", "2", "-l", "warn", "-c"]).arg(path);
    Process::start(&mut command, &folder.join("envoy.log"))
}

fn bootstrap(front: SocketAddr, nginx: SocketAddr, kind: Kind, tracing: Option<Tracing>) -> Value {
    let mut manager = json!({
        "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "nginx"}}],
        }]},
        "http_filters": filters(kind),
    });
    if kind == Kind::Mesh {
        manager["access_log"] = json!([{
            "name": "log",
            "typed_config": {
                "@type": format!("{TYPES}.extensions.access_loggers.file.v3.FileAccessLog"),
                "path": "/dev/null",
                "log_format": {"text_format_source": {"inline_string": ACCESS_LOG}},
            },
        }]);
    }
    if let Some(Tracing { sampling, .. }) = tracing {
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
    // Where nothing is traced, nothing is sent.
    let spans_to = tracing.map_or(nginx, |tracing| tracing.to);
    json!({
        "node": {"id": "front", "cluster": "front"},
        // The default sends five spans at a time.
        "layered_runtime": {"layers": [{"name": "own", "static_layer": {"tracing.zipkin.min_flush_spans": 50}}]},
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

fn filters(kind: Kind) -> Vec<Value> {
    let beside: &[(&str, &str)] = match kind {
        Kind::Bare => &[],
        Kind::Mesh => &[
            ("fault", "fault.v3.HTTPFault"),
            ("cors", "cors.v3.Cors"),
            ("grpc_stats", "grpc_stats.v3.FilterConfig"),
        ],
    };
    let all = beside.iter().chain(&[("router", "router.v3.Router")]);
    all.map(|(name, of)| {
        json!({"name": name, "typed_config": {"@type": format!("{TYPES}.extensions.filters.http.{of}")}})
    })
    .collect()
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
