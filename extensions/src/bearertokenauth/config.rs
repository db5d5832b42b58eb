//! The keys of the `bearertokenauth` extension.

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::Secret,
};

use super::tokens::Tokens;
use crate::authenticator::problem;

/// The keys of the `bearertokenauth` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BearerTokenAuthConfig {
    /// The header that carries the token.
    pub header: String,
    /// What stands before the token in the header; empty sends the token alone.
    pub scheme: String,
    /// The token that clients send, or must have sent.
    pub token: Secret,
    /// Several tokens: servers take each of them, clients send the first.
    pub tokens: Vec<Secret>,
    /// File with tokens, one a line, in place of the others. What changes in it holds within a second.
    pub filename: String,
}

impl Default for BearerTokenAuthConfig {
    fn default() -> Self {
        Self {
            header: "Authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            token: Secret::default(),
            tokens: Vec::new(),
            filename: String::new(),
        }
    }
}

impl ComponentConfig for BearerTokenAuthConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.header.parse::<HeaderName>().is_err() {
            problems.push(Problem::at("header", format!("\"{}\" is no header name", self.header)));
        }
        if !self.token.is_empty() && !self.tokens.is_empty() {
            problems.push(Problem::at("tokens", "token is set as well; keep one of the two"));
        }
        if self.token.is_empty() && self.tokens.is_empty() && self.filename.is_empty() {
            problems.push(Problem::at("token", "a token is needed; set token, tokens or filename"));
        }
        if problems.is_empty() && self.filename.is_empty() {
            problems.extend(problem(Tokens::of(self)));
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        if self.filename.is_empty() { Vec::new() } else { problem(Tokens::of(self)).into_iter().collect() }
    }
}
