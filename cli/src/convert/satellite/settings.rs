//! Satellite's settings: which are carried over, and why the others are not.

/// Settings that are carried over, by the end of their path.
const CARRIED: [&str; 38] = [
    "plugin_name",
    "pipe_name",
    "server_name",
    "client_name",
    "logger.level",
    "telemetry.service",
    "telemetry.instance",
    "telemetry.export_type",
    "telemetry.prometheus.address",
    "metrics_service.interval",
    "metrics_service.metric_prefix",
    "servers.address",
    "servers.tls_cert_file",
    "servers.tls_key_file",
    "accept_limit.cpu_utilization",
    "accept_limit.connection_count",
    "clients.finder_type",
    "clients.server_addr",
    "clients.enable_TLS",
    "clients.enable_tls",
    "clients.ca_pem_path",
    "clients.client_pem_path",
    "clients.client_key_path",
    "clients.insecure_skip_verify",
    "clients.authentication",
    "clients.check_period",
    "timeout.stream",
    "kubernetes_config.api_server",
    "kubernetes_config.bearer_token_file",
    "kubernetes_config.namespaces",
    "kubernetes_config.kind",
    "selector.label",
    "selector.field",
    "extra_port.port",
    "fallbacker.exponential_backoff",
    "fallbacker.max_backoff",
    "routing_rule_lru_cache_size",
    "routing_rule_lru_cache_ttl",
];

/// Settings that have no counterpart, by the end of their path or a level above it, and why.
const WITHOUT: [(&str, &str); 37] = [
    ("logger.log_pattern", "Sluice's log has one form; service.telemetry.logs.encoding chooses it"),
    ("logger.time_pattern", "times in the log are in UTC, as RFC 3339 has them"),
    ("telemetry.cluster", "Satellite has it in its Prometheus labels only"),
    ("metrics_service.client_name", "meters go to the OAP of the oap extension"),
    ("pprof_service.address", "the pprof extension serves profiles"),
    ("prometheus.endpoint", "the path is /metrics"),
    ("servers.network", "it is TCP; transport: unix is for sockets"),
    (
        "max_recv_msg_size",
        "messages may be as large as OAP allows, 50 MiB; max_recv_msg_size_mib bounds them",
    ),
    ("max_concurrent_streams", "agents may open as many streams as the memory budget allows"),
    ("timeout.unary", "exporters.oap.timeout holds for every call"),
    ("basic_auth", "give a token file"),
    ("kubernetes_config.bearer_token", "give a token file: tokens of service accounts change"),
    ("proxy_url", "connect directly"),
    ("tls_config", "extensions.oap.kubernetes.tls has these keys; carry them over by hand"),
    ("brokers", "Kafka is not in this build"),
    ("forwarders.topic", "Kafka is not in this build"),
    ("clients.version", "Kafka is not in this build"),
    ("required_acks", "Kafka is not in this build"),
    ("event_buffer_size", "the queue counts requests, not events; see sending_queue.queue_size"),
    ("queue.partition", "a queue is not cut into partitions; see sending_queue.num_consumers"),
    ("queue_dir", "the files of the queue are in the directory of file_storage"),
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
    ("max_attempts", "retry_on_failure.max_elapsed_time bounds how long, not how often"),
    ("receiver.uri", "the path is /logging"),
    ("receiver.timeout", "an agent is answered when OAP has answered"),
    ("routing_label_keys", "meters are routed by service and instance"),
    ("processor.filters", "Satellite comes with no filters; Sluice's are processors"),
    ("parser", "Satellite comes with no parsers"),
];

/// What Satellite's native receivers and forwarders are for: `grpc-native-…-receiver`, `native-…-grpc-forwarder`.
const NATIVE: &[&str] = &[
    "async-profiler",
    "cds",
    "clr",
    "ebpf-accesslog",
    "ebpf-profiling",
    "event",
    "jvm",
    "log",
    "management",
    "meter",
    "process",
    "profile",
    "tracing",
];

/// Satellite's other plugins, but those for Kafka.
const PLUGINS: &[&str] = &[
    "grpc-client",
    "grpc-server",
    "http-server",
    "grpc-envoy-als-v2-receiver",
    "grpc-envoy-als-v3-receiver",
    "grpc-envoy-metrics-v2-receiver",
    "grpc-envoy-metrics-v3-receiver",
    "grpc-otlp-metrics-v1-receiver",
    "http-native-log-receiver",
    "envoy-als-v2-grpc-forwarder",
    "envoy-als-v3-grpc-forwarder",
    "envoy-metrics-v2-grpc-forwarder",
    "envoy-metrics-v3-grpc-forwarder",
    "otlp-metrics-v1-grpc-forwarder",
    "memory-queue",
    "mmap-queue",
    "none-queue",
    "none-fallbacker",
    "timer-fallbacker",
];

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Carried,
    /// And why.
    NotCarried(&'static str),
    /// What is below it decides, if anything is.
    Open,
}

/// Why nothing does what the plugin of this name does; `None` if something does.
pub(super) fn without_counterpart(plugin: &str) -> Option<&'static str> {
    let between = |begin: &str, end: &str| plugin.strip_prefix(begin)?.strip_suffix(end);
    let native = between("grpc-native-", "-receiver").or_else(|| between("native-", "-grpc-forwarder"));
    if PLUGINS.contains(&plugin) || native.is_some_and(|what| NATIVE.contains(&what)) {
        return None;
    }
    Some(match plugin == "kafka-client" || plugin.ends_with("-kafka-forwarder") {
        true => "Kafka is not in this build",
        false => "no plugin of Satellite's that this converter knows",
    })
}

/// What becomes of the setting at this path.
pub(super) fn fate(path: &str) -> Fate {
    let ends =
        |end: &str| path.strip_suffix(end).is_some_and(|above| above.is_empty() || above.ends_with('.'));
    if CARRIED.into_iter().any(ends) {
        return Fate::Carried;
    }
    let without = WITHOUT.iter().find(|(end, _)| ends(end));
    without.map_or(Fate::Open, |(_, why)| Fate::NotCarried(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_nothing_replaces_are_known() {
        for plugin in ["grpc-native-log-receiver", "native-ebpf-accesslog-grpc-forwarder", "none-queue"] {
            assert_eq!(without_counterpart(plugin), None, "{plugin}");
        }
        assert_eq!(without_counterpart("native-log-kafka-forwarder"), Some("Kafka is not in this build"));
        for plugin in ["grpc-native-tea-receiver", "native-log-receiver", "${QUEUE:mmap-queue}", ""] {
            assert!(without_counterpart(plugin).is_some_and(|why| why.starts_with("no plugin")), "{plugin}");
        }
    }
}
