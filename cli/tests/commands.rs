//! The commands as a user runs them. Having these tests also makes `cargo test` build the binary that the integration
//! suite starts.
#![allow(clippy::unwrap_used)]

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

/// What `sluice convert` makes of a configuration of Satellite, which must be valid.
fn converted(directory: &Path, satellite: &str) -> String {
    std::fs::write(directory.join("satellite.yaml"), satellite).unwrap();
    let converted = sluice(directory, &["convert", "--from", "satellite", "satellite.yaml"]).unwrap();
    let text = String::from_utf8(converted.stdout).unwrap();
    assert!(converted.status.success(), "{text}{}", String::from_utf8_lossy(&converted.stderr));
    std::fs::write(directory.join("sluice.yaml"), &text).unwrap();
    let checked = sluice(directory, &["validate", "--config", "sluice.yaml"]).unwrap();
    assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
    text
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|it| it.trim() == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_configuration_of_satellite_becomes_one_that_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let text = converted(
        directory.path(),
        r#"
logger:
  log_pattern: '%time [%level] %msg'
  level: ${SATELLITE_LOGGER_LEVEL:"info"}
telemetry:
  cluster: c
  export_type: ${SATELLITE_TELEMETRY_EXPORT_TYPE:prometheus,pprof}
  prometheus:
    address: ${SATELLITE_TELEMETRY_PROMETHEUS_ADDRESS::1235}
    endpoint: /metrics
sharing:
  clients:
    - plugin_name: grpc-client
      finder_type: ${SATELLITE_GRPC_CLIENT_FINDER:static}
      server_addr: oap-1:11800, oap-2:11800
      authentication: "pa$$word"
      check_period: ${SATELLITE_GRPC_CHECK_PERIOD:5}
      enable_TLS: ${SATELLITE_GRPC_ENABLE_TLS:false}
      timeout: {unary: 5s, stream: 15s}
  servers:
    - plugin_name: grpc-server
      address: ${SATELLITE_GRPC_ADDRESS:":11800"}
      accept_limit:
        cpu_utilization: ${CPU:75}
        connection_count: 100
    - plugin_name: http-server
      address: 127.0.0.1:12800
pipes:
  - common_config: {pipe_name: logpipe}
    gatherer:
      server_name: grpc-server
      receiver: {plugin_name: grpc-native-log-receiver}
      queue: {plugin_name: memory-queue, partition: 4, event_buffer_size: 5000}
    processor: {filters: }
    sender:
      fallbacker:
        plugin_name: timer-fallbacker
        max_attempts: 3
        exponential_backoff: 2000
        max_backoff: ${MOST:5000}
      flush_time: 1000
      client_name: grpc-client
      forwarders: [{plugin_name: native-log-grpc-forwarder}]
  - gatherer: {receiver: {plugin_name: grpc-native-meter-receiver}, queue: {plugin_name: memory-queue, colour: red}}
    sender:
      fallbacker: {plugin_name: timer-fallbacker, exponential_backoff: 1000}
      forwarders:
        - {plugin_name: native-meter-grpc-forwarder, routing_rule_lru_cache_size: 300, routing_rule_lru_cache_ttl: 60}
"#,
    );
    assert_lines(
        &text,
        &[
            "endpoint: \"${env:SATELLITE_GRPC_ADDRESS:-:11800}\"",
            "endpoint: \"127.0.0.1:12800\"",
            "max_connections: 100",
            "max_cpu_utilization: ${env:CPU:-75}",
            "timeout: \"15s\"",
            "retry_on_failure: {initial_interval: \"2000ms\", max_interval: \"${env:MOST:-5000}ms\"}",
            "endpoints: [\"oap-1:11800\", \"oap-2:11800\"]",
            "authentication: \"pa$$$$word\"",
            "check_period: \"${env:SATELLITE_GRPC_CHECK_PERIOD:-5}s\"",
            "routing: {cache_size: 300, cache_ttl: \"60s\"}",
            "level: \"${env:SATELLITE_LOGGER_LEVEL:-info}\"",
            "- pull: {exporter: {prometheus: {host: \"0.0.0.0\", port: 1235}}}",
            "# Not carried over: pipes.gatherer.queue.partition: a queue is not cut into partitions; see \
             sending_queue.num_consumers",
            "# Not carried over: clients.finder_type: SATELLITE_GRPC_CLIENT_FINDER is not read; below is what its \
             default \"static\" means. Where it is kubernetes, write extensions.oap.kubernetes in the place of endpoints",
            "# Not carried over: clients.enable_TLS: SATELLITE_GRPC_ENABLE_TLS is not read; below is what its default \
             \"false\" means. Where it is true, add extensions.oap.tls, or telemetry and the token go out unencrypted",
            "# Not carried over: telemetry.export_type: SATELLITE_TELEMETRY_EXPORT_TYPE is not read; below is what its \
             default \"prometheus,pprof\" means. Where it is another, change service.telemetry.metrics and \
             extensions.oap.satellite_meters",
            "# Not carried over: pipes.sender.fallbacker: pipes differ in exponential_backoff or max_backoff; those of \
             the first are taken for all",
            "# Not carried over: pipes.gatherer.queue.colour: no setting of Satellite's that this converter knows",
        ],
    );
    let once = "# Not carried over: pipes.sender.flush_time: messages go on as they arrive";
    assert_eq!(text.lines().filter(|line| *line == once).count(), 1, "{text}");
    std::fs::write(directory.path().join("other.yaml"), "receivers: {}\n").unwrap();
    let refused = sluice(directory.path(), &["convert", "--from", "satellite", "other.yaml"]).unwrap();
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn satellites_finder_queue_and_meters_are_carried_over() {
    let directory = tempfile::tempdir().unwrap();
    let text = converted(
        directory.path(),
        r#"
telemetry:
  service: ${SATELLITE_TELEMETRY_SERVICE:satellite-service}
  instance: ${SATELLITE_TELEMETRY_INSTANCE:satellite-instance}
  export_type: metrics_service
  metrics_service: {client_name: grpc-client, interval: 10, metric_prefix: sw_stl_}
sharing:
  clients:
    - plugin_name: grpc-client
      finder_type: ${SATELLITE_GRPC_CLIENT_FINDER:kubernetes}
      enable_TLS: true
      kubernetes_config:
        api_server: ${SATELLITE_KUBERNETES_API_SERVER:}
        namespaces: [oap]
        kind: ${SATELLITE_KUBERNETES_KIND:pod}
        selector: {label: "${SATELLITE_KUBERNETES_SELECTOR:app=oap}", field: }
        extra_port: {port: 11801}
  servers:
    - plugin_name: grpc-server
pipes:
  - gatherer:
      receiver: {plugin_name: grpc-native-log-receiver}
      queue: {plugin_name: mmap-queue, segment_size: 262114, queue_dir: a}
"#,
    );
    assert_lines(
        &text,
        &[
            "storage: file_storage",
            "tls: {server_name_override: oap.example.com}",
            "# Not carried over: clients.kubernetes_config.api_server: SATELLITE_KUBERNETES_API_SERVER is not read; below is \
             what its default \"\" means. Where it is set, add extensions.oap.kubernetes.api_server",
            "# Not carried over: clients.enable_TLS: servers that are found have addresses only; in the place of \
             oap.example.com, extensions.oap.tls.server_name_override has to be the name that their certificates are for",
            "kind: \"${env:SATELLITE_KUBERNETES_KIND:-pod}\"",
            "namespaces: [\"oap\"]",
            "label_selector: \"${env:SATELLITE_KUBERNETES_SELECTOR:-app=oap}\"",
            "port: 11801",
            "service: \"${env:SATELLITE_TELEMETRY_SERVICE:-satellite-service}\"",
            "interval: \"10s\"",
            "prefix: \"sw_stl_\"",
        ],
    );
}

#[test]
fn what_the_pipes_of_satellite_agree_on_is_carried_over() {
    let directory = tempfile::tempdir().unwrap();
    let convert = |queue: &str, fallbacker: &str| {
        converted(
            directory.path(),
            &format!(
                r#"
sharing:
  clients: [{{plugin_name: grpc-client, server_addr: "${{OAP:oap-1:11800,oap-2:11800}}"}}]
  servers: [{{plugin_name: grpc-server}}]
pipes:
  - gatherer: {{receiver: {{plugin_name: grpc-native-cds-receiver}}, queue: {{plugin_name: none-queue}}}}
    sender: {{fallbacker: {{plugin_name: none-fallbacker}}, forwarders: [{{plugin_name: native-tea-grpc-forwarder}}]}}
  - gatherer: {{receiver: {{plugin_name: grpc-native-log-receiver}}, queue: {{plugin_name: {queue}}}}}
    sender: {{fallbacker: {{plugin_name: {fallbacker}, max_backoff: 5000}}}}
"#
            ),
        )
    };
    let agreed = convert("none-queue", "none-fallbacker");
    assert_lines(
        &agreed,
        &[
            "retry_on_failure: {enabled: false}",
            "sending_queue: {enabled: false}",
            "endpoints: [\"oap-1:11800\", \"oap-2:11800\"]",
            "# Not carried over: clients.server_addr: OAP is not read; below is what its default \
             \"oap-1:11800,oap-2:11800\" means. Write other servers into extensions.oap.endpoints",
            "# Not carried over: pipes.sender.forwarders.plugin_name: native-tea-grpc-forwarder: no plugin of \
             Satellite's that this converter knows",
        ],
    );
    let mixed = convert("memory-queue", "timer-fallbacker");
    assert_lines(
        &mixed,
        &[
            "retry_on_failure: {max_interval: \"5000ms\"}",
            "# Not carried over: pipes.sender.fallbacker: none-fallbacker of some pipes; what fails is sent again for \
             all of them",
            "# Not carried over: pipes.gatherer.queue: none-queue of some pipes; the exporter's queue is for all of \
             them, but what agents ask of OAP goes through none",
        ],
    );
    assert!(!mixed.contains("sending_queue:"), "{mixed}");
}

#[test]
fn what_becomes_of_mixed_queues_and_impossible_ports_of_satellite_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let convert = |other_queue: &str, port: &str| {
        converted(
            directory.path(),
            &format!(
                r#"
sharing:
  clients:
    - plugin_name: grpc-client
      finder_type: kubernetes
      kubernetes_config: {{selector: {{label: app=oap}}, extra_port: {{port: {port}}}}}
  servers: [{{plugin_name: grpc-server}}]
pipes:
  - gatherer: {{receiver: {{plugin_name: grpc-native-log-receiver}}, queue: {{plugin_name: mmap-queue}}}}
  - gatherer: {{receiver: {{plugin_name: grpc-native-jvm-receiver}}, queue: {{plugin_name: {other_queue}}}}}
"#
            ),
        )
    };
    let mixed = convert("memory-queue", "grpc");
    assert_lines(
        &mixed,
        &[
            "storage: file_storage",
            "# Not carried over: pipes.gatherer.queue: memory-queue of some pipes; the queue on disk is for all of them, \
             and their agents are answered once it is synced",
            "# Not carried over: clients.kubernetes_config.extra_port.port: \"grpc\" is no port; 11800 is taken",
        ],
    );
    assert!(!mixed.contains("port: grpc"), "{mixed}");
    let empty = convert("mmap-queue", "\"${PORT:}\"");
    assert_lines(
        &empty,
        &[
            "# Not carried over: clients.kubernetes_config.extra_port.port: PORT is not read; below is what its default \
           \"\" means. Where it is set, add extensions.oap.kubernetes.port",
        ],
    );
    let plain = convert("mmap-queue", "\"${PORT:11801}\"");
    assert_lines(&plain, &["port: ${env:PORT:-11801}"]);
    assert!(!plain.contains("gatherer.queue"), "{plain}");
}

#[test]
fn what_satellite_does_not_select_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let convert = |selector: &str| {
        let satellite = format!(
            "sharing:
  clients: [{{plugin_name: grpc-client, finder_type: kubernetes, kubernetes_config: {{kind: pod{selector}}}}}]
  servers: [{{plugin_name: grpc-server}}]
pipes: [{{gatherer: {{receiver: {{plugin_name: grpc-native-log-receiver}}}}}}]
"
        );
        converted(directory.path(), &satellite)
    };
    for selector in ["", ", selector: {label: '${LABELS:}'}"] {
        let text = convert(selector);
        let note = "# Not carried over: clients.kubernetes_config.selector: Satellite takes everything in the namespace \
                    for OAP, which Sluice does not; in the place of app=oap, \
                    extensions.oap.kubernetes.label_selector has to be labels that only OAP has";
        assert_lines(&text, &[note, "label_selector: app=oap"]);
    }
    let selected = convert(", selector: {field: metadata.name=oap}");
    assert!(!selected.contains("app=oap"), "{selected}");
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
