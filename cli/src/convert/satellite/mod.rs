//! A configuration of SkyWalking Satellite. `docs/from-satellite.md` says what becomes of each setting.

mod exporter;
mod settings;
mod value;

use std::fmt::Write as _;

use sluice_pipeline::config::{Node, Value};

use self::{
    settings::{Fate, fate, without_counterpart},
    value::Setting,
};

/// One configuration in the making. Writing to a string cannot fail.
struct Conversion<'a> {
    satellite: &'a Node,
    notes: Vec<String>,
    text: String,
}

/// The text of the configuration.
pub(super) fn convert(satellite: &Node) -> Result<String, String> {
    if satellite.get("sharing").is_none() || satellite.get("pipes").is_none() {
        let message = "this is no configuration of Satellite: it has no \"sharing\" and \"pipes\"";
        return Err(message.to_owned());
    }
    let mut conversion = Conversion { satellite, notes: Vec::new(), text: String::new() };
    conversion.write_all();
    conversion.note_the_rest(satellite, "");
    let mut text = "# Made of a configuration of SkyWalking Satellite by `sluice convert`.\n".to_owned();
    for note in &conversion.notes {
        // Names and values are others' words, and a comment ends with its line.
        let _ = writeln!(text, "# Not carried over: {}", note.replace(char::is_control, " "));
    }
    text.push('\n');
    text.push_str(&conversion.text);
    Ok(text)
}

impl Conversion<'_> {
    fn write_all(&mut self) {
        let is_durable =
            self.pipes().any(|pipe| plugin_below(pipe, "gatherer", "queue") == Some("mmap-queue"));
        self.write_receiver();
        self.write_exporter(is_durable);
        self.write_link();
        if is_durable {
            self.write("  file_storage:\n    directory: ./queues\n    create_directory: true\n");
        }
        let storage = if is_durable { ", file_storage" } else { "" };
        self.write(&format!(
            "  health_check: {{}}\n\nservice:\n  extensions: [oap, health_check{storage}]\n"
        ));
        self.write_telemetry();
        self.write("  pipelines:\n");
        for signal in ["traces", "metrics", "logs"] {
            let line = "{ receivers: [skywalking], processors: [memory_limiter], exporters: [oap] }";
            self.write(&format!("    {signal}: {line}\n"));
        }
    }

    fn write_receiver(&mut self) {
        let server = self.plugin("servers", "grpc-server").cloned();
        let setting = |path: &str| Setting::of(server.as_ref()?, path);
        let address = setting("address").map_or_else(|| "\":11800\"".to_owned(), |address| address.text());
        self.write("receivers:\n  skywalking:\n    protocols:\n      grpc:\n");
        self.write(&format!("        endpoint: {address}\n"));
        for (key, theirs, otherwise) in [
            ("max_connections", "accept_limit.connection_count", "4000"),
            ("max_cpu_utilization", "accept_limit.cpu_utilization", "75"),
        ] {
            let value =
                setting(theirs).and_then(|limit| limit.plain()).unwrap_or_else(|| otherwise.to_owned());
            self.write(&format!("        {key}: {value}\n"));
        }
        if let (Some(certificate), Some(key)) = (setting("tls_cert_file"), setting("tls_key_file")) {
            // A variable without a default is not set where there is no TLS.
            if !certificate.default().is_empty() {
                let (certificate, key) = (certificate.text(), key.text());
                self.write(&format!("        tls: {{cert_file: {certificate}, key_file: {key}}}\n"));
            } else if let Setting::Variable { name, .. } = certificate {
                self.notes
                    .push(format!("servers.tls_cert_file: where {name} is set, add tls to the receiver"));
            }
        }
        let http = self.plugin("servers", "http-server").and_then(|server| Setting::of(server, "address"));
        if let Some(address) = http {
            self.write(&format!("      http:\n        endpoint: {}\n", address.text()));
        }
        self.write("    upstream: oap\n\nprocessors:\n  memory_limiter:\n    check_interval: 1s\n");
        self.write("    limit_percentage: 50\n    spike_limit_percentage: 10\n\n");
    }

    fn write_link(&mut self) {
        self.write("extensions:\n  oap:\n");
        let finder = self.client("finder_type").unwrap_or(Setting::Literal("static".to_owned()));
        let is_found = finder.default() == "kubernetes";
        let change = match is_found {
            true => "Where it is static, write extensions.oap.endpoints in the place of kubernetes",
            false => "Where it is kubernetes, write extensions.oap.kubernetes in the place of endpoints",
        };
        self.note_choice("clients.finder_type", &finder, change);
        if is_found {
            self.write_finder();
        } else {
            let servers =
                self.client("server_addr").unwrap_or(Setting::Literal("localhost:11800".to_owned()));
            let servers = match &servers {
                // The list that a variable may hold is not known here; one server is.
                Setting::Variable { name, default } if !default.contains(',') => {
                    let why = format!(
                        "{name} is one server below; where it holds a list, write each into endpoints"
                    );
                    self.note("clients.server_addr", &why);
                    servers.text()
                }
                Setting::Variable { default, .. } => {
                    let change = "Write other servers into extensions.oap.endpoints";
                    self.note_choice("clients.server_addr", &servers, change);
                    list(default)
                }
                Setting::Literal(servers) => list(servers),
            };
            self.write(&format!("    endpoints: [{servers}]\n"));
        }
        if let Some(token) = self.client("authentication") {
            self.write(&format!("    authentication: {}\n", token.text()));
        }
        if let Some(period) = self.client("check_period") {
            self.write(&format!("    check_period: {}\n", with_unit(&period, "s")));
        }
        if let Some(switch) = self.client("enable_TLS").or_else(|| self.client("enable_tls")) {
            let is_encrypted = switch.default().eq_ignore_ascii_case("true");
            let change = match is_encrypted {
                true => "Where it is false, take extensions.oap.tls away",
                false => {
                    "Where it is true, add extensions.oap.tls, or telemetry and the token go out unencrypted"
                }
            };
            self.note_choice("clients.enable_TLS", &switch, change);
            if is_encrypted {
                self.write_tls(is_found);
            }
        }
        self.write_routing();
        self.write_meters();
    }

    fn write_tls(&mut self, is_found: bool) {
        let mut settings = Vec::new();
        for (theirs, ours) in
            [("ca_pem_path", "ca_file"), ("client_pem_path", "cert_file"), ("client_key_path", "key_file")]
        {
            if let Some(setting) = self.set_in_client(theirs, &format!("extensions.oap.tls.{ours}")) {
                settings.push(format!("{ours}: {}", setting.text()));
            }
        }
        let skips = self.client("insecure_skip_verify");
        if let Some(skips) = skips.as_ref().and_then(|skips| skips.plain()) {
            settings.push(format!("insecure_skip_verify: {skips}"));
        }
        if is_found && skips != Some(Setting::Literal("true".to_owned())) {
            settings.push("server_name_override: oap.example.com".to_owned());
            let why = "servers that are found have addresses only; in the place of oap.example.com, \
                       extensions.oap.tls.server_name_override has to be the name that their certificates are for";
            self.note("clients.enable_TLS", why);
        }
        self.write(&format!("    tls: {{{}}}\n", settings.join(", ")));
    }

    fn write_finder(&mut self) {
        let mut keys = Vec::new();
        for (theirs, ours) in [
            ("kubernetes_config.api_server", "api_server"),
            ("kubernetes_config.bearer_token_file", "token_file"),
            ("kubernetes_config.kind", "kind"),
        ] {
            if let Some(setting) = self.set_in_client(theirs, &format!("extensions.oap.kubernetes.{ours}")) {
                keys.push(format!("      {ours}: {}\n", setting.text()));
            }
        }
        let namespaces = self.plugin("clients", "grpc-client").and_then(|client| {
            client.get("kubernetes_config")?.get("namespaces")?.as_sequence().map(<[Node]>::to_vec)
        });
        let namespaces = namespaces.iter().flatten().filter_map(Node::as_text);
        let namespaces: Vec<String> =
            namespaces.map(|name| Setting::Literal(name.to_owned()).text()).collect();
        if namespaces.is_empty() {
            keys.push("      namespaces: [default]\n".to_owned());
        } else {
            keys.push(format!("      namespaces: [{}]\n", namespaces.join(", ")));
        }
        let mut is_selected = false;
        for key in ["label", "field"] {
            let (theirs, ours) = (
                format!("kubernetes_config.selector.{key}"),
                format!("extensions.oap.kubernetes.{key}_selector"),
            );
            if let Some(setting) = self.set_in_client(&theirs, &ours) {
                keys.push(format!("      {key}_selector: {}\n", setting.text()));
                is_selected = true;
            }
        }
        if !is_selected {
            keys.push("      label_selector: app=oap\n".to_owned());
            let why = "Satellite takes everything in the namespace for OAP, which Sluice does not; in the place of app=oap, \
                       extensions.oap.kubernetes.label_selector has to be labels that only OAP has";
            self.note("clients.kubernetes_config.selector", why);
        }
        let path = "kubernetes_config.extra_port.port";
        if let Some(port) = self.set_in_client(path, "extensions.oap.kubernetes.port") {
            match port.plain().filter(|_| port.default().parse::<u16>().is_ok()) {
                Some(port) => keys.push(format!("      port: {port}\n")),
                None => {
                    let why = format!("\"{}\" is no port; 11800 is taken", port.default());
                    self.note(&format!("clients.{path}"), &why);
                }
            }
        }
        self.write(&format!("    kubernetes:\n{}", keys.concat()));
    }

    fn write_routing(&mut self) {
        let forwarders =
            |pipe: &Node| pipe.get("sender")?.get("forwarders")?.as_sequence().map(<[Node]>::to_vec);
        let forwarders: Vec<Node> = self.pipes().filter_map(forwarders).flatten().collect();
        let setting = |key: &str| forwarders.iter().find_map(|forwarder| Setting::of(forwarder, key));
        let size = setting("routing_rule_lru_cache_size").and_then(|size| size.plain());
        let size = size.map(|size| format!("cache_size: {size}"));
        let lifetime = setting("routing_rule_lru_cache_ttl");
        let lifetime = lifetime.map(|lifetime| format!("cache_ttl: {}", with_unit(&lifetime, "s")));
        let keys: Vec<String> = size.into_iter().chain(lifetime).collect();
        if !keys.is_empty() {
            self.write(&format!("    routing: {{{}}}\n", keys.join(", ")));
        }
    }

    /// Satellite's own meters, if it sends them.
    fn write_meters(&mut self) {
        let Some(telemetry) = self.satellite.get("telemetry") else { return };
        if !exports(telemetry, "metrics_service") {
            return;
        }
        let mut keys = String::new();
        for (theirs, ours, unit) in [
            ("service", "service", ""),
            ("instance", "instance", ""),
            ("metrics_service.interval", "interval", "s"),
            ("metrics_service.metric_prefix", "prefix", ""),
        ] {
            if let Some(setting) = Setting::of(telemetry, theirs) {
                let _ = writeln!(keys, "      {ours}: {}", setting.text_with(unit));
            }
        }
        self.write(&match keys.is_empty() {
            true => "    satellite_meters: {}\n".to_owned(),
            false => format!("    satellite_meters:\n{keys}"),
        });
    }

    fn write_telemetry(&mut self) {
        let level = self.satellite.get("logger").and_then(|logger| Setting::of(logger, "level"));
        let level = level.map(|level| format!("    logs:\n      level: {}\n", level.text()));
        let telemetry = self.satellite.get("telemetry");
        if let Some(types) = telemetry.and_then(|telemetry| Setting::of(telemetry, "export_type")) {
            let change =
                "Where it is another, change service.telemetry.metrics and extensions.oap.satellite_meters";
            self.note_choice("telemetry.export_type", &types, change);
        }
        let metrics = match telemetry.filter(|telemetry| exports(telemetry, "prometheus")) {
            None => "    metrics:\n      level: none\n".to_owned(),
            Some(telemetry) => {
                let address = Setting::of(telemetry, "prometheus.address");
                if let Some(Setting::Variable { name, .. }) = &address {
                    let note = format!("telemetry.prometheus.address: {name}; its default is below");
                    self.notes.push(note);
                }
                let address = address.as_ref().map_or(":1234", Setting::default);
                let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
                let host = if host.is_empty() { "0.0.0.0" } else { host };
                let port = port.parse::<u16>().unwrap_or(1234);
                format!(
                    "    metrics:\n      readers:\n        - pull: {{exporter: {{prometheus: {{host: \"{host}\", port: \
                     {port}}}}}}}\n"
                )
            }
        };
        self.write(&format!("  telemetry:\n{}{metrics}", level.unwrap_or_default()));
    }

    /// Notes every setting that has no counterpart, and every one that Satellite's documentation does not have.
    fn note_the_rest(&mut self, node: &Node, path: &str) {
        if let Fate::NotCarried(why) = fate(path) {
            return self.note(path, why);
        }
        match &node.value {
            Value::Mapping(mapping) => {
                for entry in mapping.iter() {
                    let path = match path.is_empty() {
                        true => entry.key.to_string(),
                        false => format!("{path}.{}", entry.key),
                    };
                    self.note_the_rest(&entry.value, &path);
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.note_the_rest(item, path)),
            Value::Null => {}
            Value::String(name) if path.ends_with(".plugin_name") => {
                if let Some(why) = without_counterpart(name) {
                    self.note(path, &format!("{name}: {why}"));
                }
            }
            _ if fate(path) == Fate::Carried => {}
            _ => self.note(path, "no setting of Satellite's that this converter knows"),
        }
    }

    /// Notes that the default of a variable has decided what is written, and what to change where it has another value.
    fn note_choice(&mut self, path: &str, setting: &Setting, change: &str) {
        if let Setting::Variable { name, default } = setting {
            self.note(
                path,
                &format!("{name} is not read; below is what its default \"{default}\" means. {change}"),
            );
        }
    }

    /// Once for all pipes.
    fn note(&mut self, path: &str, why: &str) {
        let note = format!("{path}: {why}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn pipes(&self) -> impl Iterator<Item = &Node> {
        self.satellite.get("pipes").and_then(Node::as_sequence).into_iter().flatten()
    }

    /// A setting of the client that connects to OAP.
    fn client(&self, path: &str) -> Option<Setting> {
        Setting::of(self.plugin("clients", "grpc-client")?, path)
    }

    /// The same unless it is a variable that is empty by default, which is noted with the key that it is here.
    fn set_in_client(&mut self, path: &str, key: &str) -> Option<Setting> {
        let setting = self.client(path)?;
        if setting.default().is_empty() {
            self.note_choice(&format!("clients.{path}"), &setting, &format!("Where it is set, add {key}"));
            return None;
        }
        Some(setting)
    }

    /// A shared plugin by its name.
    fn plugin(&self, kind: &str, name: &str) -> Option<&Node> {
        let plugins = self.satellite.get("sharing")?.get(kind)?.as_sequence()?;
        plugins.iter().find(|plugin| plugin_name(plugin) == Some(name))
    }
}

fn plugin_name(node: &Node) -> Option<&str> {
    node.get("plugin_name")?.as_text()
}

fn plugin_below<'a>(node: &'a Node, above: &str, key: &str) -> Option<&'a str> {
    plugin_name(node.get(above)?.get(key)?)
}

/// Whether Satellite exports its own metrics this way.
fn exports(telemetry: &Node, how: &str) -> bool {
    let types = Setting::of(telemetry, "export_type");
    types.is_some_and(|types| types.default().split(',').any(|exported| exported.trim() == how))
}

/// Servers that are written in one text, as items of a list.
fn list(servers: &str) -> String {
    let servers = servers.split(',').map(|server| Setting::Literal(server.trim().to_owned()).text());
    servers.collect::<Vec<_>>().join(", ")
}

/// A duration: where Satellite has a bare number it is in this unit, but it takes a unit as well (`5s`).
fn with_unit(setting: &Setting, unit: &str) -> String {
    let has_unit = setting.default().ends_with(|last: char| last.is_ascii_alphabetic());
    setting.text_with(if has_unit { "" } else { unit })
}
