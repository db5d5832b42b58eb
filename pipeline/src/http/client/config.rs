//! The keys of an HTTP client: the Collector's `confighttp`.

use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    component::{BuildError, NotBuilt, Problem, Reference},
    compression::{Encoding, level_problem},
    config::types::{Duration, Headers},
    http::{ClientAuthConfig, server::header_map},
    tls::ClientTlsConfig,
};

/// Keys of an HTTP client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpClientConfig {
    /// Where to send to: `http://` or `https://`, host, and path if need be.
    pub endpoint: String,
    /// Not in this build.
    pub proxy_url: NotBuilt,
    /// How connections to `https://` are encrypted.
    pub tls: ClientTlsConfig,
    /// Headers that every request carries: a map, or a list of `{name, value}`.
    pub headers: Headers,
    /// How long one attempt may take; 0 means no limit.
    pub timeout: Duration,
    /// How content is compressed: `gzip`, `zstd`, `snappy`, `x-snappy-framed`, `zlib`, `deflate` or `none`.
    pub compression: String,
    /// How much effort that takes.
    pub compression_params: CompressionParams,
    /// Accepted for compatibility: reads are sized by what arrives.
    pub read_buffer_size: u64,
    /// Accepted for compatibility: content is written from where it is, without a buffer.
    pub write_buffer_size: u64,
    /// How many idle connections are kept; 0 means no limit.
    pub max_idle_conns: usize,
    /// How many idle connections are kept for each host; 0 means `max_idle_conns`.
    pub max_idle_conns_per_host: usize,
    /// How many requests may be under way at once; 0 means no limit.
    pub max_conns_per_host: usize,
    /// How long an idle connection is kept; 0 means for ever.
    pub idle_conn_timeout: Duration,
    /// Makes a new connection for each request.
    pub disable_keep_alives: bool,
    /// After what silence an HTTP/2 connection is pinged; 0 means never.
    pub http2_read_idle_timeout: Duration,
    /// How long the answer to a ping may take; 0 means the default of 20 s.
    pub http2_ping_timeout: Duration,
    /// Offers HTTP/2 to encrypted servers.
    pub force_attempt_http2: bool,
    /// Whether cookies are kept.
    pub cookies: CookiesConfig,
    /// Adds credentials to every request.
    pub auth: Option<ClientAuthConfig>,
    /// Not in this build.
    pub middlewares: NotBuilt,
}

/// How much effort compression takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompressionParams {
    /// The level: up to 9 for gzip, zlib and deflate, up to 22 for zstd. Unset or 0 means 1, the fastest.
    pub level: i32,
}

/// Whether cookies are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CookiesConfig {
    /// Not in this build.
    pub enabled: NotBuilt,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            proxy_url: NotBuilt::default(),
            tls: ClientTlsConfig::default(),
            headers: Headers::default(),
            timeout: Duration::ZERO,
            compression: String::new(),
            compression_params: CompressionParams::default(),
            read_buffer_size: 0,
            write_buffer_size: 0,
            max_idle_conns: 100,
            max_idle_conns_per_host: 0,
            max_conns_per_host: 0,
            idle_conn_timeout: Duration::from_secs(90),
            disable_keep_alives: false,
            http2_read_idle_timeout: Duration::ZERO,
            http2_ping_timeout: Duration::ZERO,
            force_attempt_http2: true,
            cookies: CookiesConfig::default(),
            auth: None,
            middlewares: NotBuilt::default(),
        }
    }
}

impl HttpClientConfig {
    /// What is wrong with it. Its keys stand at the component's own level. Whether `endpoint` may be empty is the
    /// component's to say.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tls.problems("tls");
        self.proxy_url.report("proxy_url", "connect directly", &mut problems);
        self.cookies.enabled.report("cookies.enabled", "remove it", &mut problems);
        self.middlewares.report("middlewares", "remove it", &mut problems);
        if !self.endpoint.is_empty() {
            problems.extend(uri_problem("endpoint", &self.endpoint));
        }
        if let Err(problem) = header_map(&self.headers) {
            problems.push(Problem::at("headers", problem));
        }
        problems.extend(compression_problems(&self.compression, self.compression_params.level));
        problems
    }

    /// What is wrong with the files that it names, with keys at the component's own level. Nothing with
    /// `tls.insecure`, since they are not read then.
    #[must_use]
    pub fn file_problems(&self) -> Vec<Problem> {
        if self.tls.insecure { Vec::new() } else { self.tls.file_problems("tls") }
    }

    /// The extensions that it needs.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        self.auth.iter().map(|auth| auth.reference("auth")).collect()
    }

    /// How content is compressed, and at which level if one is configured.
    pub(super) fn compression(&self) -> Result<(Option<Encoding>, Option<i32>), BuildError> {
        let encoding = Encoding::from_name(&self.compression)
            .map_err(|unknown| BuildError::setting("compression", unknown.to_string()))?;
        let level = self.compression_params.level;
        Ok((encoding, (level != 0).then_some(level)))
    }
}

/// What is wrong with a URI that content is sent to.
#[must_use]
pub fn uri_problem(key: &str, uri: &str) -> Option<Problem> {
    let message = match uri.parse::<Uri>() {
        Err(error) => format!("this is no URI: {error}"),
        Ok(parsed) => match (parsed.scheme_str(), parsed.host()) {
            (Some("http" | "https"), Some(_)) => return None,
            (Some("http" | "https") | None, None) | (None, Some(_)) => {
                "the URI must begin with http:// or https:// and a host".to_owned()
            }
            (Some(scheme), _) => format!("\"{scheme}\" is not supported; use http or https"),
        },
    };
    Some(Problem::at(key, message))
}

fn compression_problems(name: &str, level: i32) -> Vec<Problem> {
    match Encoding::from_name(name) {
        Err(_) if name == "lz4" => {
            vec![Problem::at("compression", "lz4 is not in this build; use gzip or zstd")]
        }
        Err(unknown) => vec![Problem::at("compression", unknown.to_string())],
        Ok(encoding) => level_problem(encoding, level)
            .map(|message| Problem::at("compression_params.level", message))
            .into_iter()
            .collect(),
    }
}
