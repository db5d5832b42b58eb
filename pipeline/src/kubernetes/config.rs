//! How the API of Kubernetes is reached.

use std::{env, path::Path};

use http::{Uri, uri::Scheme};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    component::{BuildError, Problem},
    config::types::Duration,
    http::client::{HttpClientConfig, uri_problem},
    tls::ClientTlsConfig,
};

/// Where a pod finds the credentials of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How often certificates are looked at that are replaced while Sluice runs.
const CERTIFICATE_LOOK: u64 = 60;

/// How the API of Kubernetes is reached. In a pod nothing is needed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApiConfig {
    /// The API server, such as `https://10.0.0.1:6443`; empty means that of the cluster whose pod this is.
    pub api_server: String,
    /// File with the token that is sent, read again when it changes; empty means that of the pod's service account, or
    /// none with `api_server`.
    pub token_file: String,
    /// How the connection is encrypted. In a pod, the CA of the cluster is trusted unless another is named.
    pub tls: ClientTlsConfig,
}

impl ApiConfig {
    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = self.tls.problems(&format!("{key}.tls"));
        if !self.api_server.is_empty() {
            problems.extend(uri_problem(&format!("{key}.api_server"), &self.api_server));
        }
        // Parsed, since a scheme may be in capitals.
        let is_plain = self.api_server.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP));
        if is_plain && !self.token_file.is_empty() {
            let message = "a token would go over a connection that is not encrypted; use https://";
            problems.push(Problem::at(format!("{key}.api_server"), message));
        }
        problems
    }

    /// What is wrong with the files that it names.
    #[must_use]
    pub fn file_problems(&self, key: &str) -> Vec<Problem> {
        self.tls.file_problems(&format!("{key}.tls"))
    }

    /// The server's address without a slash at its end.
    pub(super) fn server(&self) -> Result<String, BuildError> {
        if !self.api_server.is_empty() {
            return Ok(self.api_server.trim_end_matches('/').to_owned());
        }
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(host), Some(port)) =
            (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
        else {
            let message = "this is no pod (KUBERNETES_SERVICE_HOST is not set); name the API server";
            return Err(BuildError::setting("kubernetes.api_server", message));
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Ok(format!("https://{host}:{port}"))
    }

    /// The file with the token, if one is sent.
    pub(super) fn token(&self) -> Option<String> {
        match (self.token_file.is_empty(), self.api_server.is_empty()) {
            (false, _) => Some(self.token_file.clone()),
            (true, true) => Some(format!("{ACCOUNT}/token")),
            (true, false) => None,
        }
    }

    /// The keys of the HTTP client.
    pub(super) fn client(&self, server: &str) -> HttpClientConfig {
        let mut tls = self.tls.clone();
        let has_authority = tls.ca_file.is_some() || tls.ca_pem.is_some();
        let authority = format!("{ACCOUNT}/ca.crt");
        if self.api_server.is_empty() && !has_authority && Path::new(&authority).exists() {
            tls.ca_file = Some(authority);
        }
        if tls.reload_interval.is_zero() {
            tls.reload_interval = Duration::from_secs(CERTIFICATE_LOOK);
        }
        HttpClientConfig {
            endpoint: server.to_owned(),
            tls,
            // A watch is silent for a minute where nothing happens; a server that is gone is noticed by this.
            http2_read_idle_timeout: Duration::from_secs(30),
            ..HttpClientConfig::default()
        }
    }
}

/// Whether this is an address of a server, for those that build one of it.
pub(super) fn uri(text: &str) -> Result<Uri, BuildError> {
    text.parse().map_err(|error| BuildError::setting("kubernetes.api_server", format!("{text}: {error}")))
}
