//! The keys of an HTTP server: the Collector's `confighttp`.

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    component::{Capability, ComponentId, NotBuilt, Problem, Reference, Transport},
    compression::Encoding,
    config::types::{Duration, Headers},
    tls::ServerTlsConfig,
};

const MAX_REQUEST_BODY_SIZE: u64 = 20 << 20;

/// Keys of an HTTP server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpServerConfig {
    /// Where to listen: `host:port`, or a path with `transport: unix`.
    pub endpoint: String,
    /// `tcp` or `unix`.
    pub transport: String,
    /// Encrypts connections.
    pub tls: Option<ServerTlsConfig>,
    /// Which browser pages may send requests.
    pub cors: Option<CorsConfig>,
    /// Checks the credentials of every request.
    pub auth: Option<AuthConfig>,
    /// The largest request body in bytes, as it comes and decompressed; 0 means the default of 20 MiB.
    pub max_request_body_size: u64,
    /// Makes request headers visible to `metadata_keys` and `from_context`.
    pub include_metadata: bool,
    /// Headers that every response carries.
    pub response_headers: Headers,
    /// Content encodings that are accepted; an empty name stands for none.
    pub compression_algorithms: Vec<String>,
    /// How long a client may take for a request with its body; 0 means no limit besides the minimum rate.
    pub read_timeout: Duration,
    /// How long a client may take for its request headers; 0 means five minutes.
    pub read_header_timeout: Duration,
    /// How long answering a request may take; 0 means no limit.
    pub write_timeout: Duration,
    /// How long a connection may be idle; 0 means no limit while connections are not scarce.
    pub idle_timeout: Duration,
    /// Whether a connection serves several requests.
    pub keep_alives_enabled: bool,
    /// Not in this build.
    pub middlewares: NotBuilt,
}

/// Which browser pages may send requests (Cross-Origin Resource Sharing).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CorsConfig {
    /// Origins such as `https://example.com`; `*` stands for any text, and alone for any origin.
    pub allowed_origins: Vec<String>,
    /// Request headers that a page may set besides `Accept`, `Accept-Language`, `Content-Language` and `Content-Type`;
    /// `*` stands for all, and an empty list for `X-Requested-With`.
    pub allowed_headers: Vec<String>,
    /// Response headers that a page may read.
    pub exposed_headers: Vec<String>,
    /// How many seconds a browser may remember the answer to a preflight request; 0 leaves it to the browser.
    pub max_age: u64,
}

/// Checks the credentials of every request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AuthConfig {
    /// The extension that checks them.
    pub authenticator: ComponentId,
    /// Not in this build.
    #[serde(default)]
    pub request_params: NotBuilt,
}

impl AuthConfig {
    /// The reference to the extension; `key` is where `auth` stands below the component.
    #[must_use]
    pub fn reference(&self, key: &str) -> Reference {
        Reference {
            key: format!("{key}.authenticator"),
            id: self.authenticator.clone(),
            needs: Capability::ServerAuth,
        }
    }
}

impl Default for HttpServerConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            transport: "tcp".to_owned(),
            tls: None,
            cors: None,
            auth: None,
            max_request_body_size: MAX_REQUEST_BODY_SIZE,
            include_metadata: false,
            response_headers: Headers::default(),
            compression_algorithms: ["", "gzip", "zstd", "zlib", "snappy", "deflate"]
                .map(str::to_owned)
                .into(),
            read_timeout: Duration::ZERO,
            read_header_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            keep_alives_enabled: true,
            middlewares: NotBuilt::default(),
        }
    }
}

impl HttpServerConfig {
    /// The address to bind.
    #[must_use]
    pub fn bind(&self) -> Transport {
        bind(&self.transport, &self.endpoint)
    }

    /// The largest body, in bytes.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        let limit =
            if self.max_request_body_size == 0 { MAX_REQUEST_BODY_SIZE } else { self.max_request_body_size };
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// What is wrong with it; `key` is where it stands below the component, empty for the component itself.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = bind_problems(key, &self.transport, &self.endpoint);
        self.middlewares.report(below(key, "middlewares"), "remove it", &mut problems);
        if let Some(auth) = &self.auth {
            auth.request_params.report(
                below(key, "auth.request_params"),
                "credentials are taken from headers",
                &mut problems,
            );
        }
        if let Some(tls) = &self.tls {
            problems.extend(tls.problems(&below(key, "tls")));
        }
        for name in &self.compression_algorithms {
            if name == "lz4" {
                let message = "lz4 is not in this build; leave it out";
                problems.push(Problem::at(below(key, "compression_algorithms"), message));
            } else if let Err(unknown) = Encoding::from_name(name) {
                problems.push(Problem::at(below(key, "compression_algorithms"), unknown.to_string()));
            }
        }
        if let Err(problem) = header_map(&self.response_headers) {
            problems.push(Problem::at(below(key, "response_headers"), problem));
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

/// A key below another one, which may be empty.
pub(crate) fn below(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

/// The address that `transport` and `endpoint` name together.
pub(crate) fn bind(transport: &str, endpoint: &str) -> Transport {
    if transport == "unix" { Transport::Unix(endpoint.into()) } else { Transport::Tcp(endpoint.to_owned()) }
}

/// What is wrong with a server's `transport` and `endpoint`.
pub(crate) fn bind_problems(key: &str, transport: &str, endpoint: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !matches!(transport, "tcp" | "unix") {
        let message = format!("\"{transport}\" is no transport of this build; use \"tcp\" or \"unix\"");
        problems.push(Problem::at(below(key, "transport"), message));
    }
    if endpoint.is_empty() {
        let message = "an address to listen on is missing, such as localhost:4318";
        problems.push(Problem::at(below(key, "endpoint"), message));
    } else if transport == "tcp" && !has_port(endpoint) {
        let message =
            format!("\"{endpoint}\" is no address to listen on; write host:port, such as localhost:4318");
        problems.push(Problem::at(below(key, "endpoint"), message));
    }
    problems
}

fn has_port(endpoint: &str) -> bool {
    endpoint.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// Configured headers as HTTP knows them.
pub(crate) fn header_map(headers: &Headers) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let name: HeaderName = name.parse().map_err(|_| format!("\"{name}\" is no header name"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the value of \"{name}\" has a character that no header may have"))?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}
