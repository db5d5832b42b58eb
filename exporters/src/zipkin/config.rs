//! The keys of the `zipkin` exporter.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem, Reference},
    export::{QueueConfig, RetryConfig},
    http::client::HttpClientConfig,
    squash,
};

use super::Format;

squash! {
    /// The keys of the `zipkin` exporter.
    #[derive(Clone, Debug)]
    pub struct ZipkinConfig {
        /// The keys of the HTTP client.
        pub client: HttpClientConfig = "{timeout: 5s, write_buffer_size: 524288}",
        /// The exporter's own keys.
        pub own: ZipkinKeys,
    }
}

/// The keys of the `zipkin` exporter beside those of the HTTP client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ZipkinKeys {
    /// How requests are encoded: `json` or `proto`.
    pub format: Format,
    /// The service name of spans whose resource has none.
    pub default_service_name: String,
    /// Whether and how failed requests are repeated.
    pub retry_on_failure: RetryConfig,
    /// The queue before the destination.
    pub sending_queue: QueueConfig,
}

impl ComponentConfig for ZipkinConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.client.problems();
        if self.client.endpoint.is_empty() {
            let message = "where to send to is missing, such as http://localhost:9411/api/v2/spans";
            problems.push(Problem::at("endpoint", message));
        }
        problems.extend(self.own.retry_on_failure.problems("retry_on_failure"));
        problems.extend(self.own.sending_queue.problems("sending_queue"));
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.client.file_problems()
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = self.client.references();
        references.extend(self.own.sending_queue.reference("sending_queue"));
        references
    }
}
