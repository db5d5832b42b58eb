//! The keys of the `otlphttp` exporter.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    Signal,
    component::{ComponentConfig, Problem, Reference},
    export::{QueueConfig, RetryConfig},
    http::client::{HttpClientConfig, uri_problem},
    squash,
};

squash! {
    /// The keys of the `otlphttp` exporter.
    #[derive(Clone, Debug)]
    pub struct OtlpHttpConfig {
        /// The HTTP client's keys. `/v1/<signal>` is appended to `endpoint`.
        pub client: HttpClientConfig = "{compression: gzip, timeout: 30s, write_buffer_size: 524288}",
        /// The exporter's own keys.
        pub own: OwnConfig,
    }
}

/// The exporter's own keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnConfig {
    /// How requests are encoded: `proto` or `json`.
    pub encoding: Encoding,
    /// Where traces go, used as it is instead of `endpoint`.
    pub traces_endpoint: String,
    /// Where metrics go, used as it is instead of `endpoint`.
    pub metrics_endpoint: String,
    /// Where logs go, used as it is instead of `endpoint`.
    pub logs_endpoint: String,
    /// Where profiles go, used as it is instead of `endpoint`.
    pub profiles_endpoint: String,
    /// Whether and how failed requests are sent again.
    pub retry_on_failure: RetryConfig,
    /// The queue before the destination.
    pub sending_queue: QueueConfig,
}

/// How requests are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON.
    Json,
}

impl OtlpHttpConfig {
    /// Where a signal goes; `None` if neither its own endpoint nor the common one is set.
    #[must_use]
    pub fn endpoint(&self, signal: Signal) -> Option<String> {
        let (own, path) = match signal {
            Signal::Traces => (&self.own.traces_endpoint, "v1/traces"),
            Signal::Metrics => (&self.own.metrics_endpoint, "v1/metrics"),
            Signal::Logs => (&self.own.logs_endpoint, "v1/logs"),
            Signal::Profiles => (&self.own.profiles_endpoint, "v1development/profiles"),
        };
        match (own.as_str(), self.client.endpoint.as_str()) {
            ("", "") => None,
            ("", base) => Some(format!("{}/{path}", base.strip_suffix('/').unwrap_or(base))),
            (own, _) => Some(own.to_owned()),
        }
    }
}

impl ComponentConfig for OtlpHttpConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.client.problems();
        if Signal::ALL.into_iter().all(|signal| self.endpoint(signal).is_none()) {
            problems.push(Problem::at(
                "endpoint",
                "at least one endpoint must be specified, such as http://collector.example.com:4318",
            ));
        }
        for (key, endpoint) in [
            ("traces_endpoint", &self.own.traces_endpoint),
            ("metrics_endpoint", &self.own.metrics_endpoint),
            ("logs_endpoint", &self.own.logs_endpoint),
            ("profiles_endpoint", &self.own.profiles_endpoint),
        ] {
            if !endpoint.is_empty() {
                problems.extend(uri_problem(key, endpoint));
            }
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
