//! What the kernel sees of a pod, through `k8sattributes` to Prometheus and Zipkin.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};
use sluice_integration::process::free_address;

use crate::support::{
    Cluster, ControlGroup, PrometheusServer, Setup, Sluice, ZipkinServer, eventually_every, get, is_root,
    kernel::{Nginx, free_health, start, trace_in_zipkin},
    pod, post, skip_for_host,
};

const JSON: (&str, &str) = ("content-type", "application/json");
const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const POD: &str = "8f3c1a52-7d0e-4b61-9a3f-2f6f0c8d1e90";

/// What the kernel saw of an nginx in a pod: its measurements in a real Prometheus with the pod's labels, its exchange on
/// a span in a real Zipkin with the pod's tags.
#[test]
fn kernel_events_are_enriched_on_their_way_to_prometheus_and_zipkin() {
    let (true, Some(zipkin)) = (is_root(), ZipkinServer::shared()) else { return };
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    let mut known = pod("front", "10.0.0.1");
    known["metadata"]["uid"] = POD.into();
    known["status"]["containerStatuses"][0]["containerID"] = format!("containerd://{CONTAINER}").into();
    cluster.server.set_of("pods", "shop", "front", known);
    let owners = json!([{"kind": "Deployment", "name": "cart", "uid": "deployment-1"}]);
    let set = json!({"metadata": {"uid": "rs", "ownerReferences": owners}});
    cluster.server.set_of("replicasets", "shop", "cart-6c45f8d6f6", set);

    let group = match ControlGroup::of_container(POD, CONTAINER) {
        Ok(group) => group,
        Err(why) => return skip_for_host("kernel events of a pod", &why),
    };
    let Some(nginx) = Nginx::start(&setup, "location / { return 200 'fine'; }") else { return };
    group.add(nginx.process.id());
    let scraped = free_address().unwrap();
    let Setup { http, grpc, telemetry, .. } = &setup;
    let config = format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}
  ebpf_network:
    ports: [{port}]
    metrics: {{interval: 1s}}
    sampling: {{window: 100ms, default: {{ratio: 1}}}}
connectors:
  trace_events: {{}}
processors:
  k8sattributes:
    auth_type: kubeConfig
    kube_config_path: kubeconfig
    wait_for_metadata: true
    extract:
      metadata: [k8s.pod.name, k8s.namespace.name, k8s.deployment.name, k8s.container.name, container.image.tag,
        service.name]
      labels: [{{key: team, tag_name: team}}]
    pod_association:
      - sources: [{{from: resource_attribute, name: container.id}}]
exporters:
  file/unjoined: {{path: unjoined.jsonl}}
  zipkin: {{endpoint: 'http://{zipkin}/api/v2/spans'}}
  prometheus:
    endpoint: '{scraped}'
    resource_to_telemetry_conversion: {{enabled: true}}
extensions:
  health_check: {{endpoint: '{health}'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {host}, port: {own}}}}}}}}}]}}}}
  pipelines:
    logs/kernel: {{receivers: [ebpf_network], exporters: [trace_events]}}
    logs/unjoined: {{receivers: [trace_events], exporters: [file/unjoined]}}
    traces/in: {{receivers: [otlp], exporters: [trace_events]}}
    traces: {{receivers: [trace_events], processors: [k8sattributes], exporters: [zipkin]}}
    metrics: {{receivers: [ebpf_network], processors: [k8sattributes], exporters: [prometheus]}}
",
        port = nginx.address.port(),
        zipkin = zipkin.address,
        health = free_health(&setup),
        host = telemetry.ip(),
        own = telemetry.port(),
    );
    let sluice: Sluice = start(&setup, &config);
    let Some(prometheus) = PrometheusServer::start(setup.directory.path(), scraped, "native-histograms")
    else {
        return;
    };

    let (trace, span) = (format!("{:032x}", u128::from(rand()) << 64 | 9), "a2fb4a1d1a96d312");
    for _ in 0..10 {
        let mut command = Command::new("curl");
        command.args(["-s", "-o", "/dev/null"]).arg(format!("http://{}/pay", nginx.address));
        assert!(command.status().unwrap().success());
    }
    let labels = "k8s_pod_name=%22front%22,k8s_namespace_name=%22shop%22,k8s_deployment_name=%22cart%22,\
         k8s_container_name=%22app%22,container_image_tag=%221.2%22,team=%22blue%22,service_name=%22cart%22";
    let query = format!("/api/v1/query?query=sum(http_server_request_duration_seconds_count%7B{labels}%7D)");
    eventually_every(Duration::from_millis(50), "Prometheus has ten requests of the pod", || {
        let answer: Value = serde_json::from_slice(&get(prometheus.address, &query).body).unwrap_or_default();
        answer["data"]["result"][0]["value"][1] == "10"
    });

    // A request out of the container, which a tracer in it reports.
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let begin = now();
    let headers = format!("traceparent: 00-{trace}-{span}-01");
    let request = format!("http://{}/pay", nginx.address);
    assert!(group.run(&["curl", "-s", "-o", "/dev/null", "-H", &headers, &request]));
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "container.id", "value": {"stringValue": CONTAINER}}]},
        "scopeSpans": [{"spans": [{
            "traceId": trace, "spanId": span, "name": "pay", "kind": 3,
            "startTimeUnixNano": begin.to_string(), "endTimeUnixNano": now().to_string(),
        }]}],
    }]});
    assert_eq!(post(setup.http, "/v1/traces", &[JSON], body.to_string()).status, 200);
    let found = trace_in_zipkin(zipkin, &trace, 1);
    assert_eq!(found[0]["localEndpoint"]["serviceName"], "cart", "{found:#?}");
    for (tag, value) in [
        ("k8s.pod.name", "front"),
        ("k8s.namespace.name", "shop"),
        ("k8s.deployment.name", "cart"),
        ("team", "blue"),
    ] {
        assert_eq!(found[0]["tags"][tag], value, "{found:#?}");
    }
    sluice.stop();
    drop(nginx);
}

/// Another number each time the test runs, since Zipkin is shared.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};

    RandomState::new().hash_one(0)
}
