//! Where the API server is, and what it is shown: from keys, from a pod's service account or from a kubeconfig file.

use std::{env, path::Path};

use http::Uri;

use super::config::ApiConfig;
use crate::{
    component::BuildError,
    config::types::{Duration, Secret},
    http::client::HttpClientConfig,
    tls::ClientTlsConfig,
};

/// Where a pod finds the credentials of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How often certificates are looked at that are replaced while Sluice runs.
const CERTIFICATE_LOOK: u64 = 60;

/// Where the API server is, and what it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The server's address without a slash at its end.
    pub(super) server: String,
    pub(super) token: Token,
    pub(super) tls: ClientTlsConfig,
    /// The key that is to blame where the server's address cannot be used.
    pub(super) key: String,
    /// The same for the token.
    pub(super) token_key: String,
}

/// The token that is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    None,
    /// The file that it is in, read again when it changes.
    File(String),
    Text(Secret),
}

impl Access {
    /// By these keys, which stand below `kubernetes`.
    ///
    /// # Errors
    /// No server is named, and this is no pod.
    pub fn of(config: &ApiConfig) -> Result<Self, BuildError> {
        let mut access = if config.api_server.is_empty() {
            Self::in_cluster("kubernetes.api_server", "name the API server")?
        } else {
            Self {
                server: config.api_server.trim_end_matches('/').to_owned(),
                token: Token::None,
                tls: ClientTlsConfig::default(),
                key: "kubernetes.api_server".to_owned(),
                token_key: String::new(),
            }
        };
        access.token_key = "kubernetes.token_file".to_owned();
        if !config.token_file.is_empty() {
            access.token = Token::File(config.token_file.clone());
        }
        let has_authority = config.tls.ca_file.is_some() || config.tls.ca_pem.is_some();
        let authority = access.tls.ca_file.take();
        access.tls = config.tls.clone();
        if !has_authority {
            access.tls.ca_file = authority;
        }
        Ok(access)
    }

    /// As a pod's service account.
    ///
    /// # Errors
    /// This is no pod; `key` is then to blame, and `instead` says what to do.
    pub fn in_cluster(key: &str, instead: &str) -> Result<Self, BuildError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(host), Some(port)) =
            (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
        else {
            let message = format!("this is no pod (KUBERNETES_SERVICE_HOST is not set); {instead}");
            return Err(BuildError::setting(key, message));
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let authority = format!("{ACCOUNT}/ca.crt");
        let ca_file = Path::new(&authority).exists().then_some(authority);
        Ok(Self {
            server: format!("https://{host}:{port}"),
            token: Token::File(format!("{ACCOUNT}/token")),
            tls: ClientTlsConfig { ca_file, ..ClientTlsConfig::default() },
            key: key.to_owned(),
            token_key: key.to_owned(),
        })
    }

    /// The cluster's own server, which is shown no credentials and believed whatever its certificate.
    ///
    /// # Errors
    /// As [`Access::in_cluster`].
    pub fn without_credentials(key: &str, instead: &str) -> Result<Self, BuildError> {
        let tls = ClientTlsConfig { insecure_skip_verify: true, ..ClientTlsConfig::default() };
        Ok(Self { token: Token::None, tls, ..Self::in_cluster(key, instead)? })
    }

    /// The keys of the HTTP client.
    pub(super) fn client(&self) -> HttpClientConfig {
        let mut tls = self.tls.clone();
        if tls.reload_interval.is_zero() {
            tls.reload_interval = Duration::from_secs(CERTIFICATE_LOOK);
        }
        HttpClientConfig {
            endpoint: self.server.clone(),
            tls,
            // A watch is silent for a minute where nothing happens; a server that is gone is noticed by this.
            http2_read_idle_timeout: Duration::from_secs(30),
            ..HttpClientConfig::default()
        }
    }

    /// Whether the server's address is one.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let parsed: Result<Uri, _> = self.server.parse();
        parsed.map(drop).map_err(|error| BuildError::setting(&self.key, format!("{}: {error}", self.server)))
    }
}
