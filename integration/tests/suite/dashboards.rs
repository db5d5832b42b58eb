//! The dashboards in `deploy/grafana` before a real Prometheus: every query finds something.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sluice_integration::process::free_address;

use crate::support::kernel::{Nginx, free_health, start};
use crate::support::{PrometheusServer, Setup, eventually, get, is_root, post};

/// The queries of a dashboard, as its panels ask them of all instances over ten seconds.
fn queries(dashboard: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let query = |target: &Value| {
        let text = target["expr"].as_str().unwrap();
        text.replace("$__rate_interval", "10s").replace("$instance", ".*").replace("$job", ".*")
    };
    let queries: Vec<String> = targets.map(query).collect();
    assert!(queries.len() > 15 && queries.iter().all(|query| !query.contains('$')), "{queries:#?}");
    queries
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Asks every query until each has an answer, while `traffic` goes on.
fn assert_answered(server: &PrometheusServer, dashboard: &str, traffic: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, traffic) = (&done, &traffic);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                traffic();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        // Also when an assertion fails, or the traffic would go on for ever.
        let _end = End(done);
        for query in queries(dashboard) {
            let path = format!("/api/v1/query?query={}", encoded(&query));
            eventually(&format!("Prometheus has data for {query}"), || {
                // While Prometheus starts it answers with a text.
                let answer: Value =
                    serde_json::from_slice(&get(server.address, &path).body).unwrap_or_default();
                assert_ne!(answer["status"], "error", "{query}: {answer}");
                let found = answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty());
                if !found {
                    std::thread::sleep(Duration::from_millis(100));
                }
                found
            });
        }
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_dashboard_of_sluice_itself_has_data_everywhere() {
    let setup = Setup::new();
    let (http, telemetry) = (setup.http, setup.telemetry);
    // Nobody is there, so that the queue fills and requests are sent again.
    let nowhere = free_address().unwrap();
    let config = format!(
        "extensions:
  file_storage: {{directory: {}, create_directory: true}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: '{http}'}}}}}}
processors:
  batch:
exporters:
  debug:
  otlphttp: {{endpoint: 'http://{nowhere}', sending_queue: {{storage: file_storage}}}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}}}
  pipelines:
    logs: {{receivers: [otlp], processors: [batch], exporters: [debug, otlphttp]}}
",
        setup.path("queue").display(),
        telemetry.ip(),
        telemetry.port()
    );
    let sluice = setup.start(&config, http);
    let Some(server) = PrometheusServer::start(setup.directory.path(), telemetry, "exemplar-storage") else {
        return;
    };
    let record = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
    assert_answered(&server, include_str!("../../../deploy/grafana/sluice.json"), || {
        let answer = post(http, "/v1/logs", &[("content-type", "application/json")], record.as_slice());
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    drop(server);
    sluice.stop();
}

#[test]
fn the_dashboard_of_http_and_tcp_has_data_everywhere() {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let scraped = free_address().unwrap();
    let config = format!(
        "receivers:
  ebpf_network:
    metrics: {{interval: 500ms}}
exporters:
  prometheus: {{endpoint: '{scraped}', resource_to_telemetry_conversion: {{enabled: true, exclude_service_attributes: true}}}}
extensions:
  health_check: {{endpoint: '{}'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [ebpf_network], exporters: [prometheus]}}
",
        free_health(&setup)
    );
    let locations = "location /ok { return 200 'fine'; } location /bad { return 500 'broken'; }";
    let Some(nginx) = Nginx::start(&setup, locations) else { return };
    let sluice = start(&setup, &config);
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, "exemplar-storage") else {
        return;
    };
    let nobody: SocketAddr = free_address().unwrap();
    assert_answered(&server, include_str!("../../../deploy/grafana/kernel.json"), || {
        assert_eq!(get(nginx.address, "/ok").status, 200);
        assert_eq!(get(nginx.address, "/bad").status, 500);
        assert!(TcpStream::connect(nobody).is_err());
    });
    drop(server);
    sluice.stop();
}
