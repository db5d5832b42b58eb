//! The keys of the `health_check` extension.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem, Reference},
    http::server::HttpServerConfig,
    squash,
};

squash! {
    /// The keys of the `health_check` extension.
    #[derive(Clone, Debug)]
    pub struct HealthCheckConfig {
        /// The server's keys.
        pub server: HttpServerConfig = "{endpoint: \"localhost:13133\"}",
        /// Its own keys.
        pub own: OwnConfig,
    }
}

/// What `health_check` has besides the keys of a server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnConfig {
    /// The path that health checks ask for.
    pub path: String,
    /// What is answered instead of the report in JSON.
    pub response_body: Option<ResponseBodies>,
    /// Accepted for the Collector's files; documented there as not working, and without effect here too. Sluice warns of
    /// it at start.
    pub check_collector_pipeline: CheckCollectorPipeline,
    /// Not in this build.
    pub use_v2: NotBuilt,
    /// Not in this build.
    pub component_health: NotBuilt,
    /// Not in this build.
    pub http: NotBuilt,
    /// Not in this build.
    pub grpc: NotBuilt,
}

/// What is answered instead of the report in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResponseBodies {
    /// While Sluice is healthy.
    pub healthy: String,
    /// While it is not.
    pub unhealthy: String,
}

/// The Collector's check of failing exporters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CheckCollectorPipeline {
    /// Whether it is asked for.
    pub enabled: bool,
    /// Over which time failures would be counted.
    pub interval: String,
    /// How many failures would be too many.
    pub exporter_failure_threshold: i64,
}

impl Default for OwnConfig {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            response_body: None,
            check_collector_pipeline: CheckCollectorPipeline::default(),
            use_v2: NotBuilt::default(),
            component_health: NotBuilt::default(),
            http: NotBuilt::default(),
            grpc: NotBuilt::default(),
        }
    }
}

impl Default for CheckCollectorPipeline {
    fn default() -> Self {
        Self { enabled: false, interval: "5m".to_owned(), exporter_failure_threshold: 5 }
    }
}

impl ComponentConfig for HealthCheckConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server.problems("");
        if !self.own.path.starts_with('/') {
            problems.push(Problem::at("path", "path must start with /"));
        }
        for (key, asked) in [
            ("use_v2", self.own.use_v2),
            ("component_health", self.own.component_health),
            ("http", self.own.http),
            ("grpc", self.own.grpc),
        ] {
            asked.report(key, "remove it; the answer at \"path\" covers all components", &mut problems);
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.server.file_problems("")
    }

    fn references(&self) -> Vec<Reference> {
        self.server.references("")
    }
}
