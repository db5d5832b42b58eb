//! A registry of component types that resemble real ones, for tests of whole configurations.

use std::{collections::HashMap, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;

use super::types::{Duration, Headers, Secret};
use crate::{
    component::{
        BuildError, ComponentConfig, ConnectorContext, ConnectorFactory, Declaration, Endpoint,
        ExporterContext, ExporterFactory, Problem, ProcessorContext, ProcessorFactory, Receiver,
        ReceiverContext, ReceiverFactory, Registry,
    },
    consumer::Consumer,
    same_signals,
    signal::Signal,
};

/// A receiver `otlp`, a processor `batch`, exporters `otlp_http` (alias `otlphttp`) and `debug`, a connector `forward`.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.receiver::<Otlp>();
    registry.processor::<Batch>();
    registry.exporter::<OtlpHttp>();
    registry.exporter::<Debug>();
    registry.connector::<Forward>();
    registry
}

const fn declaration(name: &'static str, aliases: &'static [&'static str]) -> Declaration {
    Declaration {
        name,
        aliases,
        summary: "Stands for a real one.",
        signals: same_signals!(Beta: Traces, Logs),
        absorbs: false,
        example: "",
    }
}

fn never_built<T>() -> Result<T, BuildError> {
    Err(BuildError::Other("only its configuration is real".to_owned()))
}

struct Otlp;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct OtlpConfig {
    protocols: Protocols,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Protocols {
    #[serde(alias = "grpc=null")]
    grpc: Option<Server>,
    #[serde(alias = "http=null")]
    http: Option<Server>,
}

/// A server.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Server {
    /// Where to listen.
    endpoint: String,
    /// The largest message, in MiB.
    max_recv_msg_size_mib: u64,
    include_metadata: bool,
}

impl ComponentConfig for OtlpConfig {
    fn problems(&self) -> Vec<Problem> {
        if self.protocols.grpc.is_none() && self.protocols.http.is_none() {
            return vec![Problem::at("protocols", "no protocol is on; add grpc or http")];
        }
        Vec::new()
    }
}

impl ReceiverFactory for Otlp {
    type Config = OtlpConfig;
    const DECLARATION: Declaration = declaration("otlp", &[]);

    fn endpoints(_config: &OtlpConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn build(_config: OtlpConfig, _context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        never_built()
    }
}

struct Batch;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct BatchConfig {
    timeout: Duration,
    send_batch_size: u32,
    metadata_keys: Vec<String>,
}

impl ComponentConfig for BatchConfig {}

impl ProcessorFactory for Batch {
    type Config = BatchConfig;
    const DECLARATION: Declaration = declaration("batch", &[]);

    fn build(
        _config: BatchConfig,
        _context: ProcessorContext,
        _next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        never_built()
    }
}

struct OtlpHttp;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Client {
    /// The base URL.
    endpoint: String,
    timeout: Duration,
    headers: Headers,
    tls: Tls,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Tls {
    insecure: bool,
    cert: Secret,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct OtlpHttpOwn {
    #[serde(alias = "encoding")]
    format: Option<Encoding>,
    labels: HashMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Proto,
    Json,
}

crate::squash! {
    struct OtlpHttpConfig {
        client: Client = "{timeout: 30s}",
        own: OtlpHttpOwn,
    }
}

impl ComponentConfig for OtlpHttpConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.client.endpoint.is_empty() {
            problems.push(Problem::at("endpoint", "an endpoint is required"));
        }
        if self.client.timeout.is_zero() || self.client.headers.is_empty() && self.client.tls.insecure {
            problems.push(Problem::at("tls.insecure", "does not go without headers"));
        }
        if self.own.labels.contains_key("bad")
            || !self.client.tls.cert.is_empty() && self.own.format.is_none()
        {
            problems.push(Problem::at("labels.bad", "this label is reserved"));
        }
        problems
    }
}

impl ExporterFactory for OtlpHttp {
    type Config = OtlpHttpConfig;
    const DECLARATION: Declaration = declaration("otlp_http", &["otlphttp"]);

    fn build(_config: OtlpHttpConfig, _context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        never_built()
    }

    fn answers_later(_config: &OtlpHttpConfig) -> bool {
        true
    }
}

struct Debug;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct DebugConfig {
    verbosity: Verbosity,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    #[default]
    Basic,
    Normal,
    Detailed,
}

impl ComponentConfig for DebugConfig {}

impl ExporterFactory for Debug {
    type Config = DebugConfig;
    const DECLARATION: Declaration = declaration("debug", &[]);

    fn build(_config: DebugConfig, _context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        never_built()
    }

    fn answers_later(_config: &DebugConfig) -> bool {
        true
    }
}

struct Forward;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ForwardConfig {}

impl ComponentConfig for ForwardConfig {}

impl ConnectorFactory for Forward {
    type Config = ForwardConfig;
    const DECLARATION: Declaration = declaration("forward", &[]);

    fn build(
        _config: ForwardConfig,
        _context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
        never_built()
    }
}
