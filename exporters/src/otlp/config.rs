//! The keys of the `otlp` exporter.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem, Reference},
    config::types::Duration,
    export::{QueueConfig, RetryConfig},
    grpc::GrpcClientConfig,
    squash,
};

squash! {
    /// The keys of the `otlp` exporter.
    #[derive(Clone, Debug)]
    pub struct OtlpConfig {
        /// The gRPC client's keys.
        pub client: GrpcClientConfig = "{compression: gzip, write_buffer_size: 524288}",
        /// The keys of every exporter.
        pub export: ExportConfig,
    }
}

/// The keys of every exporter that sends over the network.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExportConfig {
    /// How long one attempt may take; 0 means no limit.
    pub timeout: Duration,
    /// Whether and how failed requests are sent again.
    pub retry_on_failure: RetryConfig,
    /// The queue before the destination.
    pub sending_queue: QueueConfig,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            retry_on_failure: RetryConfig::default(),
            sending_queue: QueueConfig::default(),
        }
    }
}

impl ComponentConfig for OtlpConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.client.problems();
        problems.extend(self.export.retry_on_failure.problems("retry_on_failure"));
        problems.extend(self.export.sending_queue.problems("sending_queue"));
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.client.file_problems()
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = self.client.references();
        references.extend(self.export.sending_queue.reference("sending_queue"));
        references
    }
}
