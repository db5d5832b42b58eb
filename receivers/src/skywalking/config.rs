//! The keys of the `skywalking` receiver.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{Capability, ComponentConfig, ComponentId, Problem, Reference},
    grpc::GrpcServerConfig,
    http::server::{AcceptLimits, HttpServerConfig},
    squash,
};
use sluice_protocols::skywalking::id::Rules;

use crate::servers::Keys;

/// Keys of the `skywalking` receiver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// What is listened for. A protocol that is not named is off; one named without keys is on with its defaults.
    pub protocols: Protocols,
    /// An extension that relays calls to OAP: the configuration and the tasks that agents ask for, what they answer to
    /// them, and every method that Sluice does not know. Without it agents get an empty answer.
    pub upstream: Option<ComponentId>,
    /// How OTLP's ids are made from SkyWalking's.
    pub id_compatibility: IdCompatibility,
}

/// What is listened for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Protocols {
    /// SkyWalking's gRPC services, Envoy's, OTLP's and `grpc.health.v1`, on `localhost:11800`.
    #[serde(alias = "grpc=null")]
    pub grpc: Option<GrpcConfig>,
    /// SkyWalking's HTTP endpoints, on `localhost:12800`.
    #[serde(alias = "http=null")]
    pub http: Option<HttpConfig>,
}

/// How OTLP's ids are made from SkyWalking's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdCompatibility {
    /// Every form of id gives distinct ids.
    #[default]
    None,
    /// As the Collector's receiver makes them, so that spans from both join. Neighbouring segments of Java agents then
    /// share span ids now and then.
    Contrib,
}

squash! {
    /// Keys of SkyWalking over gRPC.
    #[derive(Clone, Debug)]
    pub struct GrpcConfig {
        /// The server's keys. Messages may be as large as OAP allows.
        pub server: GrpcServerConfig = "{endpoint: 'localhost:11800', max_recv_msg_size_mib: 50}",
        /// When new connections are refused.
        pub accept: AcceptConfig,
    }
}

/// When new connections are refused, so that their agents go to another Sluice. Connections that exist are left alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AcceptConfig {
    /// The most connections; 0 is no limit beside that of the memory budget.
    pub max_connections: usize,
    /// How busy the machine's processors may be, in percent; 0 is no limit.
    pub max_cpu_utilization: f64,
}

squash! {
    /// Keys of SkyWalking over HTTP.
    #[derive(Clone, Debug)]
    pub struct HttpConfig {
        /// The server's keys. As in OAP, pages of any origin may send; each is named in the answer, since browsers send
        /// beacons with credentials and refuse `*` then. The time limits are off, as in the Collector.
        pub server: HttpServerConfig = "{endpoint: 'localhost:12800', read_header_timeout: 0s, write_timeout: 0s, idle_timeout: 0s, cors: {allowed_origins: ['http*', 'null'], allowed_headers: ['*']}}",
    }
}

impl AcceptConfig {
    pub(super) fn limits(&self) -> AcceptLimits {
        AcceptLimits {
            connections: (self.max_connections > 0).then_some(self.max_connections),
            cpu_utilization: (self.max_cpu_utilization > 0.0).then_some(self.max_cpu_utilization),
        }
    }
}

impl From<IdCompatibility> for Rules {
    fn from(compatibility: IdCompatibility) -> Self {
        match compatibility {
            IdCompatibility::None => Self::Distinct,
            IdCompatibility::Contrib => Self::Contrib,
        }
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
        let mut problems = self.protocols.keys().problems("SkyWalking");
        let grpc = self.protocols.grpc.as_ref();
        if grpc.is_some_and(|grpc| !(0.0..=100.0).contains(&grpc.accept.max_cpu_utilization)) {
            problems.push(Problem::at("protocols.grpc.max_cpu_utilization", "must be from 0 to 100 percent"));
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.protocols.keys().file_problems()
    }

    fn references(&self) -> Vec<Reference> {
        let upstream = self.upstream.iter().map(|id| Reference {
            key: UPSTREAM.to_owned(),
            id: id.clone(),
            needs: Capability::Upstream,
        });
        self.protocols.keys().references().into_iter().chain(upstream).collect()
    }
}

/// The key that names the extension.
pub(super) const UPSTREAM: &str = "upstream";
