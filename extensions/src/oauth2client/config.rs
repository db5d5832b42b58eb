//! The keys of the `oauth2client` extension.

use std::collections::BTreeMap;

use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::{Duration, Secret},
    http::client::{HttpClientConfig, uri_problem},
    tls::ClientTlsConfig,
};

use crate::authenticator::{problem, secret};

/// The only grant of this build (RFC 6749, 4.4).
pub(super) const GRANT: &str = "client_credentials";

/// The keys of the `oauth2client` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OAuth2ClientConfig {
    /// The name of this client at the authorization server.
    pub client_id: String,
    /// File with the name, in place of `client_id`. What changes in it holds within a second.
    pub client_id_file: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// File with the secret, in place of `client_secret`. What changes in it holds within a second.
    pub client_secret_file: String,
    /// Where tokens are asked for: `https://`, host and path.
    pub token_url: String,
    /// What the token is to allow.
    pub scopes: Vec<String>,
    /// Further parameters of the request for a token: each a text, or a list of them.
    pub endpoint_params: BTreeMap<String, Values>,
    /// How connections to the authorization server are encrypted.
    pub tls: ClientTlsConfig,
    /// How long a request for a token may take; 0 means 30 s.
    pub timeout: Duration,
    /// How long before its end a token is replaced, half of its life at most.
    pub expiry_buffer: Duration,
    /// `client_credentials`, the only grant of this build.
    pub grant_type: String,
    /// Not in this build.
    pub client_certificate_key: NotBuilt,
    /// Not in this build.
    pub client_certificate_key_file: NotBuilt,
    /// Not in this build.
    pub client_certificate_key_id: NotBuilt,
    /// Not in this build.
    pub signature_algorithm: NotBuilt,
    /// Not in this build.
    pub iss: NotBuilt,
    /// Not in this build.
    pub audience: NotBuilt,
    /// Not in this build.
    pub claims: NotBuilt,
}

/// One text, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Values {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, String> {
        match self {
            Self::One(text) => std::slice::from_ref(text).iter(),
            Self::Several(texts) => texts.iter(),
        }
    }
}

impl Default for OAuth2ClientConfig {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            client_id_file: String::new(),
            client_secret: Secret::default(),
            client_secret_file: String::new(),
            token_url: String::new(),
            scopes: Vec::new(),
            endpoint_params: BTreeMap::new(),
            tls: ClientTlsConfig::default(),
            timeout: Duration::ZERO,
            expiry_buffer: Duration::from_secs(300),
            grant_type: GRANT.to_owned(),
            client_certificate_key: NotBuilt::default(),
            client_certificate_key_file: NotBuilt::default(),
            client_certificate_key_id: NotBuilt::default(),
            signature_algorithm: NotBuilt::default(),
            iss: NotBuilt::default(),
            audience: NotBuilt::default(),
            claims: NotBuilt::default(),
        }
    }
}

impl OAuth2ClientConfig {
    /// The HTTP client that asks for tokens.
    pub(super) fn http_client(&self) -> HttpClientConfig {
        HttpClientConfig {
            endpoint: self.token_url.clone(),
            tls: self.tls.clone(),
            ..HttpClientConfig::default()
        }
    }
}

impl ComponentConfig for OAuth2ClientConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tls.problems("tls");
        for (key, is_missing, message) in [
            (
                "client_id",
                self.client_id.is_empty() && self.client_id_file.is_empty(),
                "a name is needed; set client_id or client_id_file",
            ),
            (
                "client_secret",
                self.client_secret.is_empty() && self.client_secret_file.is_empty(),
                "a secret is needed; set client_secret or client_secret_file",
            ),
            ("token_url", self.token_url.is_empty(), "where to ask for tokens is missing"),
        ] {
            if is_missing {
                problems.push(Problem::at(key, message));
            }
        }
        if !self.token_url.is_empty() {
            problems.extend(uri_problem("token_url", &self.token_url));
        }
        if self.grant_type != GRANT {
            let message = format!("\"{}\" is not in this build; use {GRANT}", self.grant_type);
            problems.push(Problem::at("grant_type", message));
        }
        for (key, value) in [
            ("client_certificate_key", self.client_certificate_key),
            ("client_certificate_key_file", self.client_certificate_key_file),
            ("client_certificate_key_id", self.client_certificate_key_id),
            ("signature_algorithm", self.signature_algorithm),
            ("iss", self.iss),
            ("audience", self.audience),
            ("claims", self.claims),
        ] {
            value.report(key, "use client_secret; endpoint_params takes an audience", &mut problems);
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        let id = Secret::from(self.client_id.as_str());
        let secrets = [
            secret("client_id_file", &id, &self.client_id_file),
            secret("client_secret_file", &self.client_secret, &self.client_secret_file),
        ];
        let mut problems: Vec<Problem> = secrets.into_iter().filter_map(problem).collect();
        if self.token_url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https")) {
            problems.extend(self.tls.file_problems("tls"));
        }
        problems
    }
}
