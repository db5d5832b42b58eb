use std::time::Duration;

use sluice_pipeline::{
    component::ComponentConfig,
    config::{Problems, decode, parse},
};

use crate::prometheusremotewrite::{HttpBlock, ProtobufMessage, RemoteWriteConfig};

fn keys(config: &RemoteWriteConfig) -> Vec<String> {
    config.problems().into_iter().map(|problem| problem.key).collect()
}

/// A configuration as it is read from a file.
fn read(text: &str) -> RemoteWriteConfig {
    let mut problems = Problems::default();
    let node = parse("test.yaml", text, &mut problems).unwrap();
    decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

#[test]
fn defaults_are_the_collectors() {
    let config = RemoteWriteConfig::default();
    let own = &config.own;
    assert_eq!(
        (config.client.timeout.get(), config.client.compression.as_str()),
        (Duration::from_secs(5), "snappy")
    );
    let queue = &own.remote_write_queue.queue;
    assert_eq!((queue.enabled, queue.queue_size, queue.num_consumers), (true, 10_000, 5));
    let retry = &own.retry_on_failure.retry;
    assert_eq!(
        (retry.enabled, retry.initial_interval.get(), retry.max_interval.get(), retry.max_elapsed_time.get()),
        (true, Duration::from_millis(50), Duration::from_secs(30), Duration::from_secs(300))
    );
    assert_eq!(
        (own.batch_size(), own.parallelism(), own.protobuf_message),
        (3_000_000, 5, ProtobufMessage::V1)
    );
    assert!(
        own.target_info.enabled && own.suffixes() && !own.export_created_metric.enabled && !own.send_metadata
    );
    assert_eq!(keys(&config), ["endpoint"]);
}

#[test]
fn a_part_of_a_block_leaves_the_rest_at_its_defaults() {
    let config = read(
        "endpoint: http://localhost:9090/api/v1/write\nprotobuf_message: io.prometheus.write.v2.Request\n\
         remote_write_queue: {num_consumers: 2}\nretry_on_failure: {max_elapsed_time: 10m}\n\
         max_batch_size_bytes: 0\ntarget_info: {enabled: false}\nexternal_labels: {cluster: a, __replica__: b}\n",
    );
    assert_eq!(keys(&config), [""; 0]);
    assert_eq!(config.own.remote_write_queue.queue.queue_size, 10_000);
    assert_eq!(config.own.parallelism(), 2);
    assert_eq!(config.own.retry_on_failure.retry.initial_interval.get(), Duration::from_millis(50));
    assert_eq!((config.own.batch_size(), config.own.target_info.enabled), (3_000_000, false));
    assert_eq!(config.own.protobuf_message, ProtobufMessage::V2);
}

#[test]
fn the_keys_of_the_client_may_stand_in_a_block() {
    let mut config = read("endpoint: http://localhost:1/\nhttp: {endpoint: http://localhost:2/}\n");
    assert_eq!(config.http().endpoint, "http://localhost:2/");
    assert_eq!(
        (config.http().timeout.get(), config.http().compression.as_str()),
        (Duration::from_secs(5), "snappy")
    );
    config.own.http = Some(HttpBlock::default());
    assert_eq!(keys(&config), ["http.endpoint"]);
}

#[test]
fn what_cannot_work_is_said_at_its_key() {
    let config = read(
        "endpoint: http://localhost:9090/api/v1/write\ncompression: gzip\n\
         headers: {X-Prometheus-Remote-Write-Version: 3.0.0, X-Scope-OrgID: me}\n\
         external_labels: {le: a, __name__: b, a-b: c, empty: ''}\nmax_batch_request_parallelism: 0\n\
         resource_to_telemetry_conversion: {enabled: true}\nresource_constant_labels: {included: ['*']}\n\
         remote_write_queue: {queue_size: 0}\ntranslation_strategy: NoTranslation\n\
         wal: {directory: /tmp/wal}\nsending_queue: {queue_size: 5}\ninclude_metadata_keys: [tenant]\n\
         convert_explicit_histograms_to_nhcb: true\nkeep_classic_histograms: true\n",
    );
    assert_eq!(
        keys(&config),
        [
            "compression",
            "headers",
            "translation_strategy",
            "external_labels",
            "external_labels",
            "external_labels",
            "external_labels",
            "resource_to_telemetry_conversion",
            "max_batch_request_parallelism",
            "remote_write_queue.queue_size",
            "wal",
            "sending_queue",
            "include_metadata_keys",
            "convert_explicit_histograms_to_nhcb",
            "keep_classic_histograms",
        ]
    );
    let wal = config.problems().into_iter().find(|problem| problem.key == "wal").unwrap();
    assert!(wal.message.contains("remote_write_queue.storage"), "{}", wal.message);
}
