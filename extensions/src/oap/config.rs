//! The keys of the `oap` extension.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::{Duration, Secret},
    grpc::{
        GrpcClientConfig, KeepaliveClientConfig,
        client::{Affinity, Destination},
    },
    kubernetes::ApiConfig,
    squash,
    tls::ClientTlsConfig,
};

/// The keys of the `oap` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OapConfig {
    /// The OAP servers: `host:port`, or a map with `endpoint` and `weight`. All addresses of a name are servers. Names are
    /// looked up every `check_period`. Absent means `localhost:11800`, or with `kubernetes` none.
    pub endpoints: Option<Vec<EndpointConfig>>,
    /// Servers in Kubernetes that are found by their labels, and watched.
    #[serde(alias = "kubernetes=null")]
    pub kubernetes: Option<KubernetesConfig>,
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
    /// Sends what SkyWalking Satellite tells of itself to OAP, of this Sluice. Absent means not.
    #[serde(alias = "satellite_meters=null")]
    pub satellite_meters: Option<MetersConfig>,
}

/// What SkyWalking Satellite tells of itself, of this Sluice: received, queued and sent items by signal, the queues, the
/// open gRPC connections, and how busy the machine's processors are.
///
/// OAP makes metrics of it with the rules for Satellite, which `SW_METER_ANALYZER_ACTIVE_FILES=satellite` activates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetersConfig {
    /// The service; OAP's rules put `satellite::` before it.
    pub service: String,
    /// The instance; empty means the host's name.
    pub instance: String,
    /// How often.
    pub interval: Duration,
    /// What stands before the names; OAP's rules want the default.
    pub prefix: String,
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

squash! {
    /// Servers in Kubernetes that are found by their labels. In a pod, its service account needs a role with the verbs `list`
    /// and `watch` on the `pods` (`services`, `endpointslices`) of the namespaces.
    #[derive(Clone, Debug)]
    pub struct KubernetesConfig {
        /// How the API is reached.
        pub api: ApiConfig,
        /// Which servers.
        pub select: SelectConfig,
    }
}

/// Which servers in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SelectConfig {
    /// The namespaces that they are in.
    pub namespaces: Vec<String>,
    /// What has the addresses.
    pub kind: ServerKind,
    /// Its labels, such as `app=oap,component in (oap)`.
    pub label_selector: String,
    /// Its fields, such as `metadata.name=oap-0`.
    pub field_selector: String,
    /// The port of them all.
    pub port: u16,
}

/// What has the addresses of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerKind {
    /// Pods that are ready.
    #[default]
    Pod,
    /// Services, by their cluster addresses: Kubernetes chooses a pod for each connection.
    Service,
    /// The ready endpoints of services, whose labels they have too, and `kubernetes.io/service-name` with its name.
    Endpoints,
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
            endpoints: None,
            kubernetes: None,
            authentication: Secret::default(),
            tls: None,
            keepalive: None,
            check_period: Duration::from_secs(5),
            routing: RoutingConfig::default(),
            satellite_meters: None,
        }
    }
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self {
            namespaces: vec!["default".to_owned()],
            kind: ServerKind::default(),
            label_selector: String::new(),
            field_selector: String::new(),
            port: 11800,
        }
    }
}

impl ServerKind {
    /// For messages.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Endpoints => "endpoints",
        }
    }
}

impl Default for MetersConfig {
    fn default() -> Self {
        Self {
            service: "sluice".to_owned(),
            instance: String::new(),
            interval: Duration::from_secs(10),
            prefix: "sw_stl_".to_owned(),
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
    /// The servers that are named.
    pub(super) fn destinations(&self) -> Vec<Destination> {
        match (&self.endpoints, &self.kubernetes) {
            (Some(endpoints), _) => endpoints.iter().map(EndpointConfig::destination).collect(),
            (None, Some(_)) => Vec::new(),
            (None, None) => vec![Destination { endpoint: "localhost:11800".to_owned(), weight: 1 }],
        }
    }

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

impl KubernetesConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.api.problems("kubernetes");
        let SelectConfig { namespaces, label_selector, field_selector, port, .. } = &self.select;
        let is_name = |name: &String| {
            let is_of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !name.is_empty() && name.len() <= 63 && name.bytes().all(is_of)
        };
        if namespaces.is_empty() || !namespaces.iter().all(is_name) {
            problems.push(Problem::at(
                "kubernetes.namespaces",
                "names of namespaces are needed, such as default",
            ));
        }
        if label_selector.is_empty() && field_selector.is_empty() {
            let message =
                "what is selected would be everything in the namespace; write labels such as app=oap";
            problems.push(Problem::at("kubernetes.label_selector", message));
        }
        if *port == 0 {
            problems.push(Problem::at("kubernetes.port", "must be a port; OAP listens on 11800"));
        }
        problems
    }
}

impl ComponentConfig for OapConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.destinations().is_empty() && self.kubernetes.is_none() {
            problems.push(Problem::at("endpoints", "a server is needed, such as oap.example.com:11800"));
        }
        for (index, Destination { endpoint, weight }) in self.destinations().into_iter().enumerate() {
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
        if let Some(kubernetes) = &self.kubernetes {
            problems.extend(kubernetes.problems());
            let has_name = self.tls.as_ref().is_none_or(|tls| {
                tls.server_name_override.is_some() || tls.insecure_skip_verify || tls.insecure
            });
            if !has_name {
                let message =
                    "servers that are found have addresses only; name what their certificates are for";
                problems.push(Problem::at("tls.server_name_override", message));
            }
        }
        if let Some(tls) = &self.tls {
            problems.extend(tls.problems("tls"));
        }
        if self.check_period.is_zero() {
            problems.push(Problem::at("check_period", "must be longer than 0"));
        }
        if let Some(meters) = &self.satellite_meters {
            if meters.service.is_empty() {
                problems.push(Problem::at("satellite_meters.service", "OAP wants the name of a service"));
            }
            if meters.interval.is_zero() {
                problems.push(Problem::at("satellite_meters.interval", "must be longer than 0"));
            }
        }
        if http::HeaderValue::from_str(self.authentication.expose()).is_err() {
            problems.push(Problem::at("authentication", "has a character that no header may have"));
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        let tls = self.tls.iter().flat_map(|tls| tls.file_problems("tls"));
        let kubernetes = self.kubernetes.iter().flat_map(|it| it.api.file_problems("kubernetes"));
        tls.chain(kubernetes).collect()
    }
}
