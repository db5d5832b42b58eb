//! A configuration of SkyWalking Satellite. `docs/from-satellite.md` says what becomes of each setting.

use std::fmt::Write as _;

use sluice_pipeline::config::{Node, Value};

/// Settings that have no counterpart, by the end of their path, and why.
const WITHOUT: [(&str, &str); 27] = [
    ("logger.log_pattern", "Sluice's log has one form; service.telemetry.logs.encoding chooses it"),
    ("logger.time_pattern", "times in the log are in UTC, as RFC 3339 has them"),
    ("telemetry.cluster", "Satellite's own meters are not in this build"),
    ("telemetry.service", "Satellite's own meters are not in this build"),
    ("telemetry.instance", "Satellite's own meters are not in this build"),
    ("metrics_service.client_name", "Satellite's own meters are not in this build"),
    ("metrics_service.interval", "Satellite's own meters are not in this build"),
    ("metrics_service.metric_prefix", "Satellite's own meters are not in this build"),
    ("pprof_service.address", "the pprof extension serves profiles"),
    ("prometheus.endpoint", "the path is /metrics"),
    ("server.network", "TCP, or a socket with transport: unix"),
    ("max_concurrent_streams", "Sluice's own default is as high as its budget allows"),
    ("timeout.unary", "exporters.oap.timeout holds for every call"),
    ("event_buffer_size", "the queue counts requests, not events; see sending_queue.queue_size"),
    ("queue.partition", "a queue is not cut into partitions"),
    ("segment_size", "files of the queue are as large as Sluice makes them"),
    ("max_in_mem_segments", "what is in memory is bounded by the memory budget"),
    ("queue_capacity_segments", "see sending_queue.queue_size"),
    ("flush_period", "the queue is synced before an agent is answered"),
    ("flush_ceiling_num", "the queue is synced before an agent is answered"),
    ("max_event_size", "messages may be as large as OAP allows"),
    ("flush_time", "messages go on as they arrive"),
    ("limit_count", "messages go on as they arrive"),
    ("max_buffer_size", "messages go on as they arrive"),
    ("min_flush_events", "messages go on as they arrive"),
    ("routing_label_keys", "meters are routed by service and instance"),
    ("kubernetes_config", "name a headless service under extensions.oap.endpoints"),
];

/// One configuration in the making.
struct Conversion<'a> {
    satellite: &'a Node,
    notes: Vec<String>,
}

/// The text of the configuration.
pub(super) fn convert(satellite: &Node) -> Result<String, String> {
    if satellite.get("sharing").is_none() || satellite.get("pipes").is_none() {
        let message = "this is no configuration of Satellite: it has no \"sharing\" and \"pipes\"";
        return Err(message.to_owned());
    }
    let mut conversion = Conversion { satellite, notes: Vec::new() };
    let body = conversion.body();
    conversion.note_the_rest(satellite, "");
    let mut text = "# Made of a configuration of SkyWalking Satellite by `sluice convert`.\n".to_owned();
    for note in &conversion.notes {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "# Not carried over: {note}");
    }
    text.push('\n');
    text.push_str(&body);
    Ok(text)
}

impl Conversion<'_> {
    fn body(&mut self) -> String {
        let mut text = "receivers:\n  skywalking:\n    protocols:\n".to_owned();
        let server = self.plugin("servers", "grpc-server");
        let grpc = server.as_ref();
        let setting = |key: &str, default: &str| {
            grpc.and_then(|server| scalar(server, key)).unwrap_or_else(|| default.to_owned())
        };
        let _ = writeln!(text, "      grpc:\n        endpoint: {}", quoted(&setting("address", ":11800")));
        let _ =
            writeln!(text, "        max_connections: {}", setting("accept_limit.connection_count", "4000"));
        let _ =
            writeln!(text, "        max_cpu_utilization: {}", setting("accept_limit.cpu_utilization", "75"));
        let certificate = (setting("tls_cert_file", ""), setting("tls_key_file", ""));
        if !written_default(&certificate.0).is_empty() {
            let (certificate, key) = (quoted(&certificate.0), quoted(&certificate.1));
            let _ = writeln!(text, "        tls: {{cert_file: {certificate}, key_file: {key}}}");
        }
        if let Some(size) = grpc.and_then(|server| scalar(server, "max_recv_msg_size")) {
            self.notes
                .push(format!("max_recv_msg_size: {size}: messages may be as large as OAP allows, 50 MiB"));
        }
        if let Some(address) =
            self.plugin("servers", "http-server").and_then(|server| scalar(&server, "address"))
        {
            let _ = writeln!(text, "      http:\n        endpoint: {}", quoted(&address));
        }
        text.push_str("    upstream: oap\n\nprocessors:\n  memory_limiter:\n    check_interval: 1s\n    limit_percentage: 50\n");
        text.push_str("    spike_limit_percentage: 10\n\n");
        let is_durable = self.pipes().any(|pipe| plugin_name(pipe, "gatherer.queue") == Some("mmap-queue"));
        text.push_str("exporters:\n  oap:");
        text.push_str(if is_durable {
            "\n    sending_queue:\n      wait_for_result: false\n      storage: file_storage\n\n"
        } else {
            " {}\n\n"
        });
        self.write_link(&mut text);
        if is_durable {
            text.push_str("  file_storage:\n    directory: ./queues\n    create_directory: true\n");
        }
        let storage = if is_durable { ", file_storage" } else { "" };
        let _ =
            writeln!(text, "  health_check: {{}}\n\nservice:\n  extensions: [oap, health_check{storage}]");
        self.write_telemetry(&mut text);
        text.push_str("  pipelines:\n");
        for signal in ["traces", "metrics", "logs"] {
            let line = "{ receivers: [skywalking], processors: [memory_limiter], exporters: [oap] }";
            let _ = writeln!(text, "    {signal}: {line}");
        }
        text
    }

    fn write_link(&mut self, text: &mut String) {
        let client = self.plugin("clients", "grpc-client");
        let value = |key: &str| client.as_ref().and_then(|client| scalar(client, key));
        let servers = value("server_addr").unwrap_or_else(|| "localhost:11800".to_owned());
        let servers: Vec<String> = match servers.starts_with("${") {
            true => vec![quoted(&servers)],
            false => servers.split(',').map(|server| quoted(server.trim())).collect(),
        };
        let _ = writeln!(text, "extensions:\n  oap:\n    endpoints: [{}]", servers.join(", "));
        if let Some(token) = value("authentication").filter(|token| !token.is_empty() && token != "\"\"") {
            let _ = writeln!(text, "    authentication: {}", quoted(&token));
        }
        if let Some(period) = value("check_period") {
            let _ = writeln!(text, "    check_period: {period}s");
        }
        if value("enable_TLS")
            .or_else(|| value("enable_tls"))
            .is_some_and(|is_on| written_default(&is_on) == "true")
        {
            text.push_str("    tls:\n");
            for (theirs, ours) in [
                ("ca_pem_path", "ca_file"),
                ("client_pem_path", "cert_file"),
                ("client_key_path", "key_file"),
                ("insecure_skip_verify", "insecure_skip_verify"),
            ] {
                if let Some(setting) = value(theirs) {
                    let _ = writeln!(text, "      {ours}: {}", quoted(&setting));
                }
            }
        }
        if self.plugin("clients", "kafka-client").is_some() {
            self.notes.push("sharing.clients.kafka-client: Kafka is not in this build".to_owned());
        }
        let is_found = value("finder_type").is_some_and(|finder| written_default(&finder) == "kubernetes");
        if is_found {
            let instead = "name a headless service under extensions.oap.endpoints";
            self.notes.push(format!("sharing.clients.finder_type: kubernetes: {instead}"));
        }
    }

    fn write_telemetry(&mut self, text: &mut String) {
        let exports = self.satellite.get("telemetry").and_then(|telemetry| scalar(telemetry, "export_type"));
        let exports = exports.map_or_else(String::new, |exports| written_default(&exports).to_owned());
        if !exports.contains("prometheus") {
            text.push_str("  telemetry:\n    metrics:\n      level: none\n");
        }
        if exports.contains("metrics_service") {
            let missing =
                "Satellite's own meters are not in this build; Sluice's are on its Prometheus endpoint";
            self.notes.push(format!("telemetry.export_type: metrics_service: {missing}"));
        }
    }

    /// Notes every setting that has no counterpart.
    fn note_the_rest(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Mapping(mapping) => {
                for entry in mapping.iter() {
                    let path =
                        if path.is_empty() { entry.key.to_string() } else { format!("{path}.{}", entry.key) };
                    if let Some((_, why)) = WITHOUT.iter().find(|(end, _)| path.ends_with(end)) {
                        self.note(&path, why);
                    } else {
                        self.note_the_rest(&entry.value, &path);
                    }
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.note_the_rest(item, path)),
            _ => {}
        }
    }

    /// Once for all pipes.
    fn note(&mut self, path: &str, why: &str) {
        let note = format!("{path}: {why}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn pipes(&self) -> impl Iterator<Item = &Node> {
        self.satellite.get("pipes").and_then(Node::as_sequence).into_iter().flatten()
    }

    /// A shared plugin by its name.
    fn plugin(&self, kind: &str, name: &str) -> Option<Node> {
        let plugins = self.satellite.get("sharing")?.get(kind)?.as_sequence()?;
        plugins.iter().find(|plugin| plugin_name(plugin, "") == Some(name)).cloned()
    }
}

fn plugin_name<'a>(node: &'a Node, path: &str) -> Option<&'a str> {
    node.nearest(path).get("plugin_name")?.as_text()
}

/// A value below a node, its variables as Sluice has them.
fn scalar(node: &Node, path: &str) -> Option<String> {
    let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
    let value = node.nearest(above).get(key)?;
    let text = match &value.value {
        Value::String(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Float(number) => number.to_string(),
        _ => return None,
    };
    Some(variable(&text))
}

/// `${NAME:default}` as `${env:NAME:-default}`.
fn variable(text: &str) -> String {
    let Some(inside) = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) else {
        return text.to_owned();
    };
    let (name, default) = inside.split_once(':').unwrap_or((inside, ""));
    format!("${{env:{name}:-{}}}", default.trim().trim_matches('"'))
}

/// The value as it is written, or the default of its variable.
fn written_default(text: &str) -> &str {
    let inside = text.strip_prefix("${env:").and_then(|text| text.strip_suffix('}'));
    inside.and_then(|inside| inside.split_once(":-")).map_or(text, |(_, default)| default)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
