//! The tokens as they stand in a header, and the comparison with what clients send.

use http::HeaderValue;
use ring::digest::{SHA256, digest};
use sluice_pipeline::component::BuildError;
use subtle::{Choice, ConstantTimeEq};

use super::BearerTokenAuthConfig;
use crate::authenticator::{read, sensitive};

/// The tokens of a configuration, with the scheme before each.
pub(super) struct Tokens {
    /// What clients send.
    pub(super) first: HeaderValue,
    /// What servers compare: equal lengths, whatever the tokens', so that the time tells nothing.
    digests: Vec<[u8; 32]>,
}

impl Tokens {
    pub(super) fn of(config: &BearerTokenAuthConfig) -> Result<Self, BuildError> {
        let (key, tokens) = if !config.filename.is_empty() {
            let text = read("filename", &config.filename)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            ("filename", lines.map(str::to_owned).collect())
        } else if config.token.is_empty() {
            ("tokens", config.tokens.iter().map(|token| token.expose().to_owned()).collect())
        } else {
            ("token", vec![config.token.expose().to_owned()])
        };
        let whole: Vec<String> = tokens
            .iter()
            .map(|token: &String| match config.scheme.as_str() {
                "" => token.clone(),
                scheme => format!("{scheme} {token}"),
            })
            .collect();
        if tokens.iter().any(String::is_empty) || whole.iter().any(|value| sensitive(value).is_none()) {
            let message = "a token is empty or has a character that no header may have";
            return Err(BuildError::setting(key, message));
        }
        let Some(first) = whole.first().and_then(|value| sensitive(value)) else {
            return Err(BuildError::setting(key, "there is no token"));
        };
        Ok(Self { first, digests: whole.iter().map(|value| hash(value.as_bytes())).collect() })
    }

    /// Whether a header has one of the tokens; takes the same time for each that is sent.
    pub(super) fn contain(&self, sent: &HeaderValue) -> bool {
        let sent = hash(sent.as_bytes());
        let found = self.digests.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&sent));
        found.into()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
