//! The OpenTelemetry SDK for Python.

use crate::support::{Setup, assert_same_telemetry, python};

fn arrives(protocol: &str, compression: &str) {
    let setup = Setup::new();
    let endpoint = if protocol == "grpc" { setup.grpc } else { setup.http };
    let sluice = setup.start(
        &setup.config(&FILES.replace("$DIRECTORY", setup.directory.path().to_str().unwrap()), PIPELINES),
        endpoint,
    );
    let endpoint = format!("http://{endpoint}");
    let mut sent = Vec::new();
    for signal in ["traces", "metrics", "logs"] {
        let arguments = [
            "--signal",
            signal,
            "--protocol",
            protocol,
            "--endpoint",
            &endpoint,
            "--compression",
            compression,
        ];
        let Some(printed) = python("otlp.py", &arguments) else { return };
        sent.push((signal, printed));
    }
    sluice.stop();
    for (signal, printed) in sent {
        assert_same_telemetry(&printed, &setup.path(&format!("{signal}.jsonl")));
    }
}

pub(crate) const FILES: &str = "exporters:
  file/traces:
    path: $DIRECTORY/traces.jsonl
  file/metrics:
    path: $DIRECTORY/metrics.jsonl
  file/logs:
    path: $DIRECTORY/logs.jsonl";

pub(crate) const PIPELINES: &str = "    traces: {receivers: [otlp, zipkin], exporters: [file/traces]}
    metrics: {receivers: [otlp], exporters: [file/metrics]}
    logs: {receivers: [otlp], exporters: [file/logs]}";

#[test]
fn every_field_arrives_over_grpc() {
    arrives("grpc", "none");
}

#[test]
fn every_field_arrives_over_grpc_with_gzip() {
    arrives("grpc", "gzip");
}

#[test]
fn every_field_arrives_over_http() {
    arrives("http", "none");
}

#[test]
fn every_field_arrives_over_http_with_gzip() {
    arrives("http", "gzip");
}

#[test]
fn every_field_arrives_over_http_with_deflate() {
    arrives("http", "deflate");
}
