//! The commands as a user runs them. Having these tests also makes `cargo test` build the binary that the integration
//! suite starts.

use std::{
    path::Path,
    process::{Command, Output},
};

fn sluice(directory: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_sluice")).current_dir(directory).args(arguments).output()
}

#[test]
fn what_init_writes_is_valid_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| sluice(directory.path(), arguments).unwrap();
    assert!(run(&["init", "start.yaml"]).status.success());
    let checked = run(&["validate", "--config", "start.yaml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(checked.stdout.is_empty() && checked.stderr.is_empty(), "a fine file needs no words");
    assert_eq!(run(&["init", "start.yaml"]).status.code(), Some(1));
    let shown = run(&["init", "-"]).stdout;
    assert_eq!(shown, std::fs::read(directory.path().join("start.yaml")).unwrap());
}

#[test]
fn a_configuration_of_satellite_becomes_one_that_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let satellite = r#"
logger:
  log_pattern: '%time [%level] %msg'
  level: ${SATELLITE_LOGGER_LEVEL:"info"}
telemetry:
  cluster: c
  export_type: ${SATELLITE_TELEMETRY_EXPORT_TYPE:prometheus,pprof}
sharing:
  clients:
    - plugin_name: grpc-client
      finder_type: ${SATELLITE_GRPC_CLIENT_FINDER:static}
      server_addr: oap-1:11800, oap-2:11800
      authentication: ${SATELLITE_GRPC_AUTHENTICATION:""}
      check_period: ${SATELLITE_GRPC_CHECK_PERIOD:5}
      enable_TLS: ${SATELLITE_GRPC_ENABLE_TLS:false}
  servers:
    - plugin_name: grpc-server
      address: ${SATELLITE_GRPC_ADDRESS:":11800"}
      accept_limit:
        cpu_utilization: ${CPU:75}
        connection_count: 100
pipes:
  - common_config: {pipe_name: logpipe}
    gatherer:
      server_name: grpc-server
      receiver: {plugin_name: grpc-native-log-receiver}
      queue: {plugin_name: memory-queue, partition: 4, event_buffer_size: 5000}
    sender: {flush_time: 1000, client_name: grpc-client, forwarders: [{plugin_name: native-log-grpc-forwarder}]}
"#;
    std::fs::write(directory.path().join("satellite.yaml"), satellite).unwrap();
    let run = |arguments: &[&str]| sluice(directory.path(), arguments).unwrap();
    let converted = run(&["convert", "--from", "satellite", "satellite.yaml"]);
    let text = String::from_utf8(converted.stdout).unwrap();
    assert!(converted.status.success(), "{text}{}", String::from_utf8_lossy(&converted.stderr));
    for expected in [
        "endpoint: \"${env:SATELLITE_GRPC_ADDRESS:-:11800}\"",
        "max_connections: 100",
        "max_cpu_utilization: ${env:CPU:-75}",
        "endpoints: [\"oap-1:11800\", \"oap-2:11800\"]",
        "check_period: ${env:SATELLITE_GRPC_CHECK_PERIOD:-5}s",
        "# Not carried over: pipes.gatherer.queue.partition: a queue is not cut into partitions",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    std::fs::write(directory.path().join("sluice.yaml"), &text).unwrap();
    let checked = run(&["validate", "--config", "sluice.yaml"]);
    assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
    std::fs::write(directory.path().join("other.yaml"), "receivers: {}\n").unwrap();
    let refused = run(&["convert", "--from", "satellite", "other.yaml"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn secrets_are_not_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = "receivers: {otlp: {protocols: {grpc: }}}\n\
                exporters: {otlp: {endpoint: 'localhost:1', headers: {authorization: hush}}}\n\
                service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}}\n";
    std::fs::write(directory.path().join("secret.yaml"), file).unwrap();
    let shown = sluice(directory.path(), &["print-config", "--config", "secret.yaml"]).unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("[REDACTED]") && !text.contains("hush"), "{text}");
}

#[test]
fn plain_sluice_names_three_next_steps() {
    let directory = tempfile::tempdir().unwrap();
    let shown = String::from_utf8(sluice(directory.path(), &[]).unwrap().stdout).unwrap();
    for step in ["sluice init", "sluice validate", "sluice run"] {
        assert!(shown.contains(step), "{shown}");
    }
}

#[test]
fn the_schema_is_json_and_knows_the_components() {
    let directory = tempfile::tempdir().unwrap();
    let shown = sluice(directory.path(), &["schema"]).unwrap().stdout;
    let schema: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert!(schema["properties"]["receivers"].is_object(), "{schema:#}");
    let components = sluice(directory.path(), &["components"]).unwrap().stdout;
    assert!(String::from_utf8(components).unwrap().contains("- name: otlp_grpc\n"));
}
