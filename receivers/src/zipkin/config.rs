//! The keys of the `zipkin` receiver.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem, Reference},
    http::server::HttpServerConfig,
    squash,
};

squash! {
    /// The keys of the `zipkin` receiver.
    #[derive(Clone, Debug)]
    pub struct ZipkinConfig {
        /// The keys of the HTTP server.
        pub server: HttpServerConfig = "{endpoint: 'localhost:9411'}",
        /// The receiver's own keys.
        pub own: ZipkinKeys,
    }
}

/// The keys that only the `zipkin` receiver has.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ZipkinKeys {
    /// Whether tags that look like integers, decimals or booleans become such; otherwise all are text.
    pub parse_string_tags: bool,
}

impl ComponentConfig for ZipkinConfig {
    fn problems(&self) -> Vec<Problem> {
        self.server.problems("")
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.server.file_problems("")
    }

    fn references(&self) -> Vec<Reference> {
        self.server.references("")
    }
}
