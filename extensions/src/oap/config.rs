//! The keys of the `oap` extension.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::{Duration, Secret},
    grpc::{
        GrpcClientConfig, KeepaliveClientConfig,
        client::{Affinity, Destination},
    },
    tls::ClientTlsConfig,
};

/// The keys of the `oap` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OapConfig {
    /// The OAP servers: `host:port`, or a map with `endpoint` and `weight`. All addresses of a name are servers. Names are
    /// looked up every `check_period`.
    pub endpoints: Vec<EndpointConfig>,
    /// The pods of a Kubernetes service. Not in this build.
    pub kubernetes: NotBuilt,
    /// The token that OAP wants (`SW_AUTHENTICATION`), sent with every call.
    pub authentication: Secret,
    /// Encrypts connections; absent means that they are not, which is how OAP listens unless told otherwise.
    pub tls: Option<ClientTlsConfig>,
    /// When connections are pinged; absent means never.
    pub keepalive: Option<KeepaliveClientConfig>,
    /// How often names are looked up, and servers asked whether they serve (`grpc.health.v1`).
    pub check_period: Duration,
    /// How the meters of a service instance stay at one server.
    pub routing: RoutingConfig,
}

/// An OAP server, or the name of several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EndpointConfig {
    /// `host:port`, with weight 1.
    Plain(String),
    /// With a weight.
    Weighted(WeightedEndpoint),
}

/// An OAP server with its share of calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedEndpoint {
    /// `host:port`.
    pub endpoint: String,
    /// How many calls it gets for each that a server with weight 1 gets; at least 1.
    pub weight: u32,
}

/// How the meters of a service instance stay at one server, as OAP's aggregation needs it.
///
/// Which server is decided by a hash that moves few instances when servers come and go, the same in every Sluice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoutingConfig {
    /// How many instances are remembered with their server; others go where the hash says.
    pub cache_size: usize,
    /// How long an instance stays at its server though the hash would move it, since a server came.
    pub cache_ttl: Duration,
}

impl Default for OapConfig {
    fn default() -> Self {
        Self {
            endpoints: vec![EndpointConfig::Plain("localhost:11800".to_owned())],
            kubernetes: NotBuilt::default(),
            authentication: Secret::default(),
            tls: None,
            keepalive: None,
            check_period: Duration::from_secs(5),
            routing: RoutingConfig::default(),
        }
    }
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self { cache_size: 5000, cache_ttl: Duration::from_secs(180) }
    }
}

impl EndpointConfig {
    pub(super) fn destination(&self) -> Destination {
        match self {
            Self::Plain(endpoint) => Destination { endpoint: endpoint.clone(), weight: 1 },
            Self::Weighted(WeightedEndpoint { endpoint, weight }) => {
                Destination { endpoint: endpoint.clone(), weight: *weight }
            }
        }
    }
}

impl OapConfig {
    /// How a connection to one of the servers is made.
    pub(super) fn client(&self, endpoint: &str) -> GrpcClientConfig {
        GrpcClientConfig {
            endpoint: endpoint.to_owned(),
            compression: "none".to_owned(),
            tls: self.tls.clone().unwrap_or(ClientTlsConfig { insecure: true, ..ClientTlsConfig::default() }),
            keepalive: self.keepalive.clone(),
            ..GrpcClientConfig::default()
        }
    }

    pub(super) fn affinity(&self) -> Affinity {
        Affinity { capacity: self.routing.cache_size, lifetime: self.routing.cache_ttl.into() }
    }
}

impl ComponentConfig for OapConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.endpoints.is_empty() {
            problems.push(Problem::at("endpoints", "a server is needed, such as oap.example.com:11800"));
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let Destination { endpoint, weight } = endpoint.destination();
            let wrong = self.client(&endpoint).problems();
            let endpoint_is_wrong = |problem: &Problem| problem.key == "endpoint";
            problems.extend(
                wrong
                    .into_iter()
                    .filter(endpoint_is_wrong)
                    .map(|problem| Problem { key: format!("endpoints.{index}"), ..problem }),
            );
            if weight == 0 {
                problems.push(Problem::at(format!("endpoints.{index}.weight"), "must be at least 1"));
            }
        }
        let instead = "a headless service's name under endpoints gives the same addresses";
        self.kubernetes.report("kubernetes", instead, &mut problems);
        if let Some(tls) = &self.tls {
            problems.extend(tls.problems("tls"));
        }
        if self.check_period.is_zero() {
            problems.push(Problem::at("check_period", "must be longer than 0"));
        }
        if http::HeaderValue::from_str(self.authentication.expose()).is_err() {
            problems.push(Problem::at("authentication", "has a character that no header may have"));
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.tls.as_ref().map_or_else(Vec::new, |tls| tls.file_problems("tls"))
    }
}
