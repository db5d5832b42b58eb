//! The keys of the `otlp` receiver.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    Signal,
    component::{ComponentConfig, Problem, Reference},
    grpc::GrpcServerConfig,
    http::server::HttpServerConfig,
    squash,
};

use crate::servers::Keys;

/// Where profiles come in over HTTP; not configurable, as long as the protocol is in development.
const PROFILES_PATH: &str = "/v1development/profiles";

/// Keys of the `otlp` receiver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// What is listened for. A protocol that is not named is off; one named without keys is on with its defaults.
    pub protocols: Protocols,
}

/// What is listened for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Protocols {
    /// OTLP over gRPC, on `localhost:4317`.
    #[serde(alias = "grpc=null")]
    pub grpc: Option<GrpcConfig>,
    /// OTLP over HTTP, on `localhost:4318`.
    #[serde(alias = "http=null")]
    pub http: Option<HttpConfig>,
}

squash! {
    /// Keys of OTLP over gRPC.
    #[derive(Clone, Debug)]
    pub struct GrpcConfig {
        /// The server's keys.
        pub server: GrpcServerConfig = "{endpoint: 'localhost:4317', read_buffer_size: 524288}",
    }
}

squash! {
    /// Keys of OTLP over HTTP.
    #[derive(Clone, Debug)]
    pub struct HttpConfig {
        /// The server's keys. As in the Collector, its time limits are off.
        pub server: HttpServerConfig =
            "{endpoint: 'localhost:4318', read_header_timeout: 0s, write_timeout: 0s, idle_timeout: 0s}",
        /// Where each signal comes in.
        pub paths: Paths,
    }
}

/// Where each signal comes in over HTTP. Profiles come in at `/v1development/profiles`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Paths {
    /// The path for traces.
    pub traces_url_path: String,
    /// The path for metrics.
    pub metrics_url_path: String,
    /// The path for logs.
    pub logs_url_path: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
        }
    }
}

impl Paths {
    /// The path of each signal, with the slash that the configuration may leave out.
    pub(super) fn all(&self) -> [(Signal, String); 4] {
        let path = |path: &str| format!("/{}", path.trim_start_matches('/'));
        [
            (Signal::Traces, path(&self.traces_url_path)),
            (Signal::Metrics, path(&self.metrics_url_path)),
            (Signal::Logs, path(&self.logs_url_path)),
            (Signal::Profiles, PROFILES_PATH.to_owned()),
        ]
    }
}

impl Protocols {
    pub(super) fn keys(&self) -> Keys<'_> {
        Keys {
            grpc: self.grpc.as_ref().map(|grpc| &grpc.server),
            http: self.http.as_ref().map(|http| &http.server),
        }
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<Problem> {
        self.protocols.keys().problems("OTLP")
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.protocols.keys().file_problems()
    }

    fn references(&self) -> Vec<Reference> {
        self.protocols.keys().references()
    }
}
