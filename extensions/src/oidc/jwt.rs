//! A token taken apart (RFC 7519 in the compact form of RFC 7515), and its claims checked (OpenID Connect Core, 3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ProviderConfig;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 << 10;
/// How far the issuer's clock may be ahead.
const LEEWAY: Duration = Duration::from_secs(300);

/// A token whose signature was not checked yet.
pub(super) struct Token<'a> {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart; `None` if it is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            algorithm: header.alg,
            key_id: header.kid,
            message: message.as_bytes(),
            signature: decode(signature)?,
            claims: serde_json::from_slice(&decode(claims)?).ok()?,
        })
    }

    /// Who issued it, as it says itself.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// What is wrong with its time or its audience.
    pub(super) fn problem(&self, provider: &ProviderConfig, now: SystemTime) -> Option<&'static str> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let Some(end) = self.claims.get("exp").and_then(Value::as_f64) else {
            return Some("the token has no end");
        };
        if end <= now {
            return Some("the token has expired");
        }
        match self.claims.get("nbf") {
            None => {}
            Some(begin) if begin.as_f64().is_some_and(|begin| begin <= now + LEEWAY.as_secs_f64()) => {}
            Some(_) => return Some("the token is not valid yet"),
        }
        let is_for = |value: &Value| value.as_str() == Some(provider.audience.as_str());
        let is_for_us = match self.claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_for),
            Some(audience) => is_for(audience),
            None => false,
        };
        (!is_for_us && !provider.ignore_audience).then_some("the token is for another audience")
    }

    /// What batches are to know of the client: `issuer`, `subject`, `membership` for each group.
    pub(super) fn attributes(
        &self,
        provider: &ProviderConfig,
    ) -> Result<Vec<(String, String)>, &'static str> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let claim = match provider.username_claim.as_str() {
            "" => "sub",
            own => own,
        };
        let subject = self.claims.get(claim).and_then(text).ok_or("the token does not name its subject")?;
        let mut attributes =
            vec![("issuer".to_owned(), provider.issuer_url.clone()), ("subject".to_owned(), subject)];
        if !provider.groups_claim.is_empty() {
            let groups = match self.claims.get(&provider.groups_claim) {
                Some(Value::Array(groups)) => groups.iter().map(text).collect(),
                Some(group) => text(group).map(|group| vec![group]),
                None => None,
            };
            let groups = groups.ok_or("the token does not name the groups of its subject")?;
            attributes.extend(groups.into_iter().map(|group| ("membership".to_owned(), group)));
        }
        Ok(attributes)
    }
}
