//! The keys of the `oidc` extension.

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    http::client::{HttpClientConfig, uri_problem},
    tls::ClientTlsConfig,
};

use super::keys::Keys;
use crate::authenticator::{problem, read};

/// The keys of the `oidc` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OidcConfig {
    /// The header that carries the token, after `Bearer`.
    pub attribute: String,
    /// Whose tokens are taken. A token is checked by the provider that its `iss` claim names.
    pub providers: Vec<ProviderConfig>,
    /// As in `providers`, for a single one.
    pub issuer_url: String,
    /// As in `providers`, for a single one.
    pub issuer_ca_path: String,
    /// As in `providers`, for a single one.
    pub audience: String,
    /// As in `providers`, for a single one.
    pub ignore_audience: bool,
    /// As in `providers`, for a single one.
    pub username_claim: String,
    /// As in `providers`, for a single one.
    pub groups_claim: String,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProviderConfig {
    /// The issuer, exactly as tokens name it. Its keys are found by OpenID Connect Discovery below it.
    pub issuer_url: String,
    /// File with the PEM certificates of the CAs that the issuer's may come from, instead of the system's.
    pub issuer_ca_path: String,
    /// Whom a token must be for.
    pub audience: String,
    /// Takes tokens whomever they are for.
    pub ignore_audience: bool,
    /// The claim that names the client, in place of `sub`.
    pub username_claim: String,
    /// The claim that names the client's groups: a text, or a list of them.
    pub groups_claim: String,
    /// File with the issuer's keys as a JWK set, in place of discovery. What changes in it holds within a second.
    pub public_keys_file: String,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            attribute: "authorization".to_owned(),
            providers: Vec::new(),
            issuer_url: String::new(),
            issuer_ca_path: String::new(),
            audience: String::new(),
            ignore_audience: false,
            username_claim: String::new(),
            groups_claim: String::new(),
        }
    }
}

impl OidcConfig {
    /// All providers, the single one first, each with its key.
    pub(super) fn all(&self) -> Vec<(&'static str, ProviderConfig)> {
        let single = ProviderConfig {
            issuer_url: self.issuer_url.clone(),
            issuer_ca_path: self.issuer_ca_path.clone(),
            audience: self.audience.clone(),
            ignore_audience: self.ignore_audience,
            username_claim: self.username_claim.clone(),
            groups_claim: self.groups_claim.clone(),
            public_keys_file: String::new(),
        };
        let single = (single != ProviderConfig::default()).then_some(("", single));
        single.into_iter().chain(self.providers.iter().cloned().map(|one| ("providers", one))).collect()
    }
}

impl ProviderConfig {
    /// The HTTP client that asks for keys.
    pub(super) fn http_client(&self) -> HttpClientConfig {
        let ca_file = (!self.issuer_ca_path.is_empty()).then(|| self.issuer_ca_path.clone());
        HttpClientConfig {
            endpoint: self.issuer_url.clone(),
            tls: ClientTlsConfig { ca_file, ..ClientTlsConfig::default() },
            ..HttpClientConfig::default()
        }
    }

    fn problem(&self) -> Option<String> {
        if self.issuer_url.is_empty() {
            return Some("issuer_url is missing".to_owned());
        }
        if self.audience.is_empty() && !self.ignore_audience {
            return Some(
                "audience is missing; without it, tokens that are meant for others would be taken".to_owned(),
            );
        }
        uri_problem("issuer_url", &self.issuer_url).map(|problem| problem.message)
    }

    fn file_problem(&self) -> Option<String> {
        let keys = if self.public_keys_file.is_empty() {
            None
        } else {
            problem(
                read("public_keys_file", &self.public_keys_file)
                    .and_then(|text| Keys::parse(text.as_bytes())),
            )
        };
        let authorities = self.http_client().tls.file_problems("issuer_ca_path");
        keys.into_iter().chain(authorities).map(|problem| problem.message).next()
    }
}

impl ComponentConfig for OidcConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.attribute.parse::<HeaderName>().is_err() {
            problems.push(Problem::at("attribute", format!("\"{}\" is no header name", self.attribute)));
        }
        let all = self.all();
        if all.is_empty() {
            problems.push(Problem::at("", "no issuer is named; set providers"));
        }
        for (place, (key, provider)) in all.iter().enumerate() {
            problems.extend(provider.problem().map(|message| Problem::at(*key, message)));
            if all.iter().take(place).any(|(_, other)| other.issuer_url == provider.issuer_url) {
                let message = format!("the issuer {} is named twice; remove one", provider.issuer_url);
                problems.push(Problem::at(*key, message));
            }
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        let all = self.all();
        let found = all.iter().filter_map(|(key, provider)| Some((*key, provider.file_problem()?)));
        found.map(|(key, message)| Problem::at(key, message)).collect()
    }
}
