//! OAP servers that are found in Kubernetes: an API server of the test's, a real OAP and a server with the stubs of
//! SkyWalking's agent as its pods.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sluice_integration::process::{Process, tied};
use sluice_pipeline::kubernetes::testing::ApiServer;
use tokio::runtime::Runtime;

use crate::support::{Oap, PATIENCE, Setup, certificates::issue_all, eventually, post, python_server};

fn pod(address: &str, ready: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "oap"}},
        "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
    })
}

#[test]
fn telemetry_goes_to_the_pods_that_are_ready() {
    let Some(oap) = Oap::shared() else { return };
    let Some((program, script)) = python_server("skywalking_server.py") else { return };
    let (setup, runtime) = (Setup::new(), Runtime::new().unwrap());
    issue_all(&setup, &[("api", 2100)]);
    let read = |name: &str| fs::read_to_string(setup.path(name)).unwrap();
    let cluster = runtime.block_on(ApiServer::start(&read("api.crt"), &read("api.key"))).unwrap();
    setup.write("token", "secret-token\n");

    let (port, notes) = (oap.grpc.port(), setup.path("notes"));
    let mut command = tied(&program);
    command.arg(script).args(["--host", "127.0.0.2", "--port", &port.to_string(), "--log"]).arg(&notes);
    let mut other = Process::start(&mut command, &setup.path("server.log")).unwrap();
    other.wait_until_listening(format!("127.0.0.2:{port}").parse().unwrap(), PATIENCE).unwrap();
    let noted = || fs::read_to_string(&notes).unwrap_or_default().lines().count();

    let rest = format!(
        "exporters:
  oap:
    retry_on_failure: {{initial_interval: 50ms, max_interval: 200ms}}
extensions:
  oap:
    # Not by looking from time to time.
    check_period: 1h
    kubernetes:
      api_server: https://localhost:{}
      token_file: token
      tls: {{ca_file: ca.crt}}
      label_selector: app=oap
      port: {port}",
        cluster.address.port()
    );
    let config = setup
        .config(&rest, "    traces: {receivers: [otlp], exporters: [oap]}")
        .replace("service:\n", "service:\n  extensions: [oap]\n");
    cluster.set("other", pod("127.0.0.2", "False"));
    let sluice = setup.start(&config, setup.http);
    let http = setup.http;
    let send = move || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "found"}}]},
            "scopeSpans": [{"spans": [{
                "traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b174", "name": "a", "kind": 2,
                "startTimeUnixNano": now, "endTimeUnixNano": now,
            }]}],
        }]});
        post(http, "/v1/traces", &[("content-type", "application/json")], body.to_string()).status
    };

    let first = std::thread::spawn(send);
    eventually("the pods are watched", || cluster.is_watched());
    assert!(!first.is_finished(), "nobody is there to take it");
    cluster.set("other", pod("127.0.0.2", "True"));
    assert_eq!(first.join().unwrap(), 200, "it went to the pod that became ready");
    assert_eq!(noted(), 1);

    cluster.set("oap-0", pod("127.0.0.1", "True"));
    eventually("OAP gets its share", || {
        assert_eq!(send(), 200);
        oap.services("GENERAL").contains(&"found".to_owned())
    });
    cluster.remove("other");
    eventually("the pod that is gone gets nothing", || {
        let before = noted();
        (0..6).for_each(|_| assert_eq!(send(), 200));
        noted() == before
    });

    let asked = cluster.asked();
    assert!(asked.iter().all(|asked| asked.authorization == "Bearer secret-token"), "{asked:?}");
    assert!(
        asked.iter().all(|asked| asked.path.starts_with("/api/v1/namespaces/default/pods?")),
        "{asked:?}"
    );
    let log = sluice.stop();
    assert!(!log.contains("secret-token"), "{log}");
}
