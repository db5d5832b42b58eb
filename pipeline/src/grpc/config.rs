//! The keys of gRPC servers and clients: the Collector's `configgrpc`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::client::Endpoint;
use crate::{
    component::{NotBuilt, Problem, Reference, Transport},
    compression::Encoding,
    config::types::{Duration, Headers},
    http::{
        ClientAuthConfig,
        server::{AuthConfig, below, bind, bind_problems},
    },
    tls::{ClientTlsConfig, ServerTlsConfig},
};

/// What `max_recv_msg_size_mib: 0` means, in bytes.
const MESSAGE_LIMIT: usize = 4 << 20;

/// Keys of a gRPC server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcServerConfig {
    /// Where to listen: `host:port`, or a path with `transport: unix`.
    pub endpoint: String,
    /// `tcp` or `unix`.
    pub transport: String,
    /// Encrypts connections.
    pub tls: Option<ServerTlsConfig>,
    /// The largest message in MiB, as it comes and decompressed; 0 means 4.
    pub max_recv_msg_size_mib: u64,
    /// How many calls a connection may carry at once; 0 means 1,000.
    pub max_concurrent_streams: u32,
    /// Accepted for the Collector's files. Sluice reads frame by frame, of a size that follows the byte budget.
    pub read_buffer_size: u64,
    /// Accepted for the Collector's files. Answers are a few bytes.
    pub write_buffer_size: u64,
    /// When connections are pinged and ended.
    pub keepalive: Option<KeepaliveServerConfig>,
    /// Checks the credentials of every call.
    pub auth: Option<AuthConfig>,
    /// Makes request headers visible to `metadata_keys` and `from_context`.
    pub include_metadata: bool,
    /// Not in this build.
    pub middlewares: NotBuilt,
}

/// When connections of a server are pinged and ended.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeepaliveServerConfig {
    /// What the server does.
    pub server_parameters: Option<KeepaliveServerParameters>,
    /// What clients may do.
    pub enforcement_policy: Option<KeepaliveEnforcement>,
}

/// When a server ends connections of its own accord. 0 is never.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeepaliveServerParameters {
    /// After this time without a call.
    pub max_connection_idle: Duration,
    /// After this time, give or take a tenth.
    pub max_connection_age: Duration,
    /// How long calls may still take then; 0 waits for them.
    pub max_connection_age_grace: Duration,
    /// How long a connection may be silent before it is pinged; 0 means two hours.
    pub time: Duration,
    /// How long the answer to a ping may take; 0 means 20 s.
    pub timeout: Duration,
}

/// What clients may do to keep connections alive.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeepaliveEnforcement {
    /// Accepted for the Collector's files. A client that pings too often is cut by HTTP/2 itself, which limits the
    /// frames that ask for an answer.
    pub min_time: Duration,
    /// Accepted for the Collector's files. Clients may always ping without a call under way.
    pub permit_without_stream: bool,
}

/// Keys of a gRPC client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcClientConfig {
    /// Where to send: `host:port`, `http://host:port` (plaintext), `https://host:port` or `unix:///path`.
    pub endpoint: String,
    /// `gzip`, `zstd`, `snappy` or `none`.
    pub compression: String,
    /// Connections are encrypted unless `insecure` is true.
    pub tls: ClientTlsConfig,
    /// When connections are pinged; absent means never.
    pub keepalive: Option<KeepaliveClientConfig>,
    /// Accepted for the Collector's files. Answers are a few bytes.
    pub read_buffer_size: u64,
    /// Bytes that may wait to be written on a connection; 0 means 512 KiB.
    pub write_buffer_size: u64,
    /// Whether a call waits for a connection until its deadline, instead of failing when none can be made.
    pub wait_for_ready: bool,
    /// Headers that every call carries.
    pub headers: Headers,
    /// The `user-agent`; empty means Sluice's own.
    pub user_agent: String,
    /// `round_robin` uses a connection to each address of the name in turn, up to eight of them; `pick_first` one to
    /// the first address that answers. The name is looked up again every 30 s while calls are made: new addresses are
    /// used, connections to others are given up with their last call.
    pub balancer_name: String,
    /// The `:authority` of calls; empty means the endpoint.
    pub authority: String,
    /// Adds credentials to every call.
    pub auth: Option<ClientAuthConfig>,
    /// Not in this build.
    pub middlewares: NotBuilt,
}

/// When connections of a client are pinged.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeepaliveClientConfig {
    /// How long a connection may be silent before it is pinged.
    pub time: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Whether a connection is pinged also when no call is under way.
    pub permit_without_stream: bool,
}

impl Default for GrpcServerConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            transport: "tcp".to_owned(),
            tls: None,
            max_recv_msg_size_mib: 0,
            max_concurrent_streams: 0,
            read_buffer_size: 512 << 10,
            write_buffer_size: 0,
            keepalive: None,
            auth: None,
            include_metadata: false,
            middlewares: NotBuilt::default(),
        }
    }
}

impl Default for GrpcClientConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            compression: "gzip".to_owned(),
            tls: ClientTlsConfig::default(),
            keepalive: None,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
            wait_for_ready: false,
            headers: Headers::default(),
            user_agent: String::new(),
            balancer_name: "round_robin".to_owned(),
            authority: String::new(),
            auth: None,
            middlewares: NotBuilt::default(),
        }
    }
}

impl Default for KeepaliveClientConfig {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), timeout: Duration::from_secs(10), permit_without_stream: false }
    }
}

impl GrpcServerConfig {
    /// The address to bind.
    #[must_use]
    pub fn bind(&self) -> Transport {
        bind(&self.transport, &self.endpoint)
    }

    /// The largest message, in bytes.
    #[must_use]
    pub fn message_limit(&self) -> usize {
        match self.max_recv_msg_size_mib {
            0 => MESSAGE_LIMIT,
            mebibytes => usize::try_from(mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX),
        }
    }

    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = bind_problems(key, &self.transport, &self.endpoint);
        self.middlewares.report(below(key, "middlewares"), "remove it", &mut problems);
        if let Some(auth) = &self.auth {
            let key = below(key, "auth.request_params");
            auth.request_params.report(key, "credentials are taken from headers", &mut problems);
        }
        if let Some(tls) = &self.tls {
            problems.extend(tls.problems(&below(key, "tls")));
        }
        // The length of a gRPC message has 32 bits.
        if self.max_recv_msg_size_mib >= 4096 {
            problems.push(Problem::at(below(key, "max_recv_msg_size_mib"), "must be below 4096"));
        }
        problems
    }

    /// What is wrong with the files that it names; `key` is where it stands below the component.
    #[must_use]
    pub fn file_problems(&self, key: &str) -> Vec<Problem> {
        self.tls.as_ref().map_or_else(Vec::new, |tls| tls.file_problems(&below(key, "tls")))
    }

    /// The extensions that it needs; `key` is where it stands below the component.
    #[must_use]
    pub fn references(&self, key: &str) -> Vec<Reference> {
        self.auth.iter().map(|auth| auth.reference(&below(key, "auth"))).collect()
    }
}

impl GrpcClientConfig {
    /// How messages are compressed.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        Encoding::from_name(&self.compression).ok().flatten()
    }

    /// What is wrong with it, with keys at the level of the component.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tls.problems("tls");
        if self.endpoint.is_empty() {
            problems
                .push(Problem::at("endpoint", "an endpoint is needed, such as collector.example.com:4317"));
        } else if let Err(message) = Endpoint::parse(&self.endpoint, &self.authority, self.tls.insecure) {
            problems.push(Problem::at("endpoint", message));
        }
        match self.compression.as_str() {
            "" | "none" | "gzip" | "zstd" | "snappy" => {}
            other => problems.push(Problem::at(
                "compression",
                format!("unknown compression \"{other}\"; use gzip, zstd, snappy or none"),
            )),
        }
        if !matches!(self.balancer_name.as_str(), "" | "round_robin" | "pick_first") {
            problems.push(Problem::at(
                "balancer_name",
                format!("\"{}\" is not in this build; use round_robin or pick_first", self.balancer_name),
            ));
        }
        self.middlewares.report("middlewares", "remove it", &mut problems);
        problems
    }

    /// What is wrong with the files that it names, with keys at the level of the component. Nothing if its
    /// connections are not encrypted, since they are not read then.
    #[must_use]
    pub fn file_problems(&self) -> Vec<Problem> {
        match Endpoint::parse(&self.endpoint, &self.authority, self.tls.insecure) {
            Ok(endpoint) if endpoint.is_encrypted() => self.tls.file_problems("tls"),
            _ => Vec::new(),
        }
    }

    /// The extensions that it needs.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        self.auth.iter().map(|auth| auth.reference("auth")).collect()
    }
}
