//! The keys of the `prometheusremotewrite` exporter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem, Reference},
    export::{QueueConfig, RetryConfig},
    http::client::HttpClientConfig,
    squash,
};

use super::request::VERSION_HEADER;
use crate::prometheus_model::{
    LabelRules, ResourceConversion, Selection, TranslationStrategy, external_label_problem, strategy_problem,
};

/// How large a request is about to be before compression where nothing is configured, in bytes.
const BATCH_SIZE: usize = 3_000_000;

squash! {
    /// The keys of the `prometheusremotewrite` exporter.
    #[derive(Clone, Debug)]
    pub struct RemoteWriteConfig {
        /// The keys of the HTTP client. `timeout` is that of one request.
        pub client: HttpClientConfig = "{timeout: 5s, write_buffer_size: 524288, compression: snappy}",
        /// The exporter's own keys.
        pub own: RemoteWriteKeys,
    }
}

/// The keys of the `prometheusremotewrite` exporter beside those of the HTTP client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RemoteWriteKeys {
    /// The keys of the HTTP client in a block of their own, which wins over those beside it.
    pub http: Option<HttpBlock>,
    /// What is sent: `prometheus.WriteRequest` (remote write 1.0) or `io.prometheus.write.v2.Request` (2.0).
    pub protobuf_message: ProtobufMessage,
    /// What the name of every metric begins with.
    pub namespace: String,
    /// Labels of every series that has none of the name.
    pub external_labels: BTreeMap<String, String>,
    /// Whether names end in unit and kind; deprecated in favour of `translation_strategy`, which wins.
    pub add_metric_suffixes: bool,
    /// How names become Prometheus's.
    pub translation_strategy: TranslationStrategy,
    /// Makes labels of resource attributes.
    pub resource_to_telemetry_conversion: ResourceConversion,
    /// Makes labels of some resource attributes, by patterns with `*` and `?`.
    pub resource_constant_labels: Selection,
    /// Leaves out the labels `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and those of scope attributes.
    pub disable_scope_info: bool,
    /// The series `target_info`, with the attributes of resources.
    pub target_info: TargetInfo,
    /// The series `*_created`, with the times when counting began, in seconds.
    pub export_created_metric: CreatedMetric,
    /// Whether remote write 1.0 carries kind, help and unit of metrics; 2.0 always does.
    pub send_metadata: bool,
    /// About how large a request is before compression, in bytes; 0 means 3,000,000.
    pub max_batch_size_bytes: usize,
    /// How many requests of a batch are sent at the same time; unset means `remote_write_queue.num_consumers`.
    pub max_batch_request_parallelism: Option<usize>,
    /// The queue before the destination: the Collector's keys, and those of `sending_queue` elsewhere.
    pub remote_write_queue: RemoteWriteQueue,
    /// Whether and how failed requests are repeated.
    pub retry_on_failure: RemoteWriteRetry,
    /// Not in this build.
    pub wal: NotBuilt,
    /// Not in this build.
    pub sending_queue: NotBuilt,
    /// Not in this build.
    pub include_metadata_keys: NotBuilt,
    /// Not in this build.
    pub convert_explicit_histograms_to_nhcb: NotBuilt,
    /// Not in this build.
    pub keep_classic_histograms: NotBuilt,
}

squash! {
    /// The keys of the HTTP client in a block of their own.
    #[derive(Clone, Debug)]
    pub struct HttpBlock {
        /// The keys of the HTTP client.
        pub client: HttpClientConfig = "{timeout: 5s, write_buffer_size: 524288, compression: snappy}",
    }
}

squash! {
    /// The queue before the destination. Batches leave it one after another, so that samples keep their order;
    /// `num_consumers` is how many requests of a batch are sent at the same time.
    #[derive(Clone, Debug)]
    pub struct RemoteWriteQueue {
        /// The keys of a queue.
        pub queue: QueueConfig = "{queue_size: 10000, num_consumers: 5}",
    }
}

squash! {
    /// Whether and how failed requests are repeated.
    #[derive(Clone, Debug)]
    pub struct RemoteWriteRetry {
        /// The keys of retrying.
        pub retry: RetryConfig = "{initial_interval: 50ms}",
    }
}

/// The series `target_info`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetInfo {
    /// Whether it is sent.
    pub enabled: bool,
}

/// The series `*_created`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CreatedMetric {
    /// Whether they are sent.
    pub enabled: bool,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProtobufMessage {
    /// Remote write 1.0.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    /// Remote write 2.0.
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
}

impl Default for TargetInfo {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for RemoteWriteKeys {
    fn default() -> Self {
        Self {
            http: None,
            protobuf_message: ProtobufMessage::default(),
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            add_metric_suffixes: true,
            translation_strategy: TranslationStrategy::default(),
            resource_to_telemetry_conversion: ResourceConversion::default(),
            resource_constant_labels: Selection::default(),
            disable_scope_info: false,
            target_info: TargetInfo::default(),
            export_created_metric: CreatedMetric::default(),
            send_metadata: false,
            max_batch_size_bytes: BATCH_SIZE,
            max_batch_request_parallelism: None,
            remote_write_queue: RemoteWriteQueue::default(),
            retry_on_failure: RemoteWriteRetry::default(),
            wal: NotBuilt::default(),
            sending_queue: NotBuilt::default(),
            include_metadata_keys: NotBuilt::default(),
            convert_explicit_histograms_to_nhcb: NotBuilt::default(),
            keep_classic_histograms: NotBuilt::default(),
        }
    }
}

impl RemoteWriteConfig {
    /// The keys of the HTTP client that hold.
    #[must_use]
    pub fn http(&self) -> &HttpClientConfig {
        self.own.http.as_ref().map_or(&self.client, |block| &block.client)
    }

    /// Where they stand below the component.
    fn http_key(&self, key: &str) -> String {
        if self.own.http.is_some() { format!("http.{key}") } else { key.to_owned() }
    }
}

impl RemoteWriteKeys {
    /// How large a request is about to be, in bytes.
    pub(super) fn batch_size(&self) -> usize {
        if self.max_batch_size_bytes == 0 { BATCH_SIZE } else { self.max_batch_size_bytes }
    }

    /// How many requests are sent at the same time.
    pub(super) fn parallelism(&self) -> usize {
        self.max_batch_request_parallelism.unwrap_or(self.remote_write_queue.queue.num_consumers).max(1)
    }

    /// Whether names end in unit and kind.
    pub(super) fn suffixes(&self) -> bool {
        self.translation_strategy.suffixes(self.add_metric_suffixes)
    }

    /// What it says of labels.
    pub(super) fn label_rules(&self) -> LabelRules {
        LabelRules {
            constant: BTreeMap::new(),
            fallback: self.external_labels.clone(),
            conversion: self.resource_to_telemetry_conversion,
            resource_labels: self.resource_constant_labels.clone(),
            without_scope_info: self.disable_scope_info,
        }
    }

    fn not_built(&self, problems: &mut Vec<Problem>) {
        let storage =
            "to keep the queue on disk, name a file_storage extension in remote_write_queue.storage";
        self.wal.report("wal", storage, problems);
        let queue = "the queue of this exporter is remote_write_queue, which has the same keys";
        self.sending_queue.report("sending_queue", queue, problems);
        let headers = "use auth with a headers_setter extension, or headers";
        self.include_metadata_keys.report("include_metadata_keys", headers, problems);
        let nhcb = "remove it; exponential histograms are sent as native ones";
        self.convert_explicit_histograms_to_nhcb.report(
            "convert_explicit_histograms_to_nhcb",
            nhcb,
            problems,
        );
        self.keep_classic_histograms.report("keep_classic_histograms", "remove it", problems);
    }

    fn label_problems(&self, problems: &mut Vec<Problem>) {
        let names = self.external_labels.keys();
        problems.extend(names.filter_map(|name| external_label_problem("external_labels", name, true)));
        for (name, _) in self.external_labels.iter().filter(|(_, value)| value.is_empty()) {
            let message = format!("\"{name}\" has no value, which to Prometheus is no label; remove it");
            problems.push(Problem::at("external_labels", message));
        }
        let conversion = self.resource_to_telemetry_conversion;
        if conversion.enabled && !self.resource_constant_labels.included.is_empty() {
            let message = "cannot be combined with resource_constant_labels; remove one of them";
            problems.push(Problem::at("resource_to_telemetry_conversion", message));
        }
    }
}

impl ComponentConfig for RemoteWriteConfig {
    fn problems(&self) -> Vec<Problem> {
        let (client, own) = (self.http(), &self.own);
        let mut problems = client.problems();
        if client.endpoint.is_empty() {
            let message = "where to send to is missing, such as http://localhost:9090/api/v1/write";
            problems.push(Problem::at("endpoint", message));
        }
        if !matches!(client.compression.as_str(), "" | "snappy") {
            problems.push(Problem::at("compression", "remote write knows snappy only; remove it"));
        }
        for (name, _) in client.headers.iter().filter(|(name, _)| is_reserved(name)) {
            problems.push(Problem::at("headers", format!("\"{name}\" is the exporter's to set; remove it")));
        }
        for problem in &mut problems {
            problem.key = self.http_key(&problem.key);
        }
        problems.extend(strategy_problem(own.translation_strategy));
        own.label_problems(&mut problems);
        if own.max_batch_request_parallelism == Some(0) {
            problems.push(Problem::at("max_batch_request_parallelism", "must be at least 1"));
        }
        problems.extend(own.retry_on_failure.retry.problems("retry_on_failure"));
        problems.extend(own.remote_write_queue.queue.problems("remote_write_queue"));
        own.not_built(&mut problems);
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        let mut problems = self.http().file_problems();
        for problem in &mut problems {
            problem.key = self.http_key(&problem.key);
        }
        problems
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = self.http().references();
        for reference in &mut references {
            reference.key = self.http_key(&reference.key);
        }
        references.extend(self.own.remote_write_queue.queue.reference("remote_write_queue"));
        references
    }
}

fn is_reserved(header: &str) -> bool {
    let reserved = ["content-encoding", "content-type", VERSION_HEADER];
    reserved.iter().any(|name| header.eq_ignore_ascii_case(name))
}
