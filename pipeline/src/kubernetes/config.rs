//! How the API of Kubernetes is reached.

use http::{Uri, uri::Scheme};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{component::Problem, http::client::uri_problem, tls::ClientTlsConfig};

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
}
