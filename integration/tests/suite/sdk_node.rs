//! The OpenTelemetry SDK for Node.

use crate::sdk_python::{FILES, PIPELINES};
use crate::support::{Setup, assert_same_telemetry, node};

fn arrives(protocol: &str) {
    let setup = Setup::new();
    let endpoint = if protocol == "grpc" { setup.grpc } else { setup.http };
    let sluice = setup.start(
        &setup.config(&FILES.replace("$DIRECTORY", setup.directory.path().to_str().unwrap()), PIPELINES),
        endpoint,
    );
    let endpoint = format!("http://{endpoint}");
    let mut sent = Vec::new();
    for signal in ["traces", "metrics", "logs"] {
        let Some(printed) = node("otlp.cjs", &[signal, protocol, &endpoint]) else { return };
        sent.push((signal, printed));
    }
    sluice.stop();
    for (signal, printed) in sent {
        assert_same_telemetry(&printed, &setup.path(&format!("{signal}.jsonl")));
    }
}

#[test]
fn every_field_arrives_over_grpc() {
    arrives("grpc");
}

#[test]
fn every_field_arrives_over_http_as_protobuf() {
    arrives("http-protobuf");
}

#[test]
fn every_field_arrives_over_http_as_json() {
    arrives("http-json");
}
