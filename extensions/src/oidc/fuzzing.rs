//! What the fuzz harness calls: tokens as clients send them, and key sets as issuers do.

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::{ProviderConfig, jwt::Token, keys::Keys};

/// The issuer of the harness.
pub const ISSUER: &str = "https://issuer.test";
/// Its key.
const SEED: [u8; 32] = [7; 32];
/// What its clock shows, in seconds since 1970.
const NOW: u64 = 1_700_000_000;

/// A token with this header and these claims, signed with the key of the harness.
#[must_use]
pub fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = Ed25519KeyPair::from_seed_unchecked(&SEED)
        .map(|key| URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).as_ref()))
        .unwrap_or_default();
    format!("{message}.{signature}")
}

/// A key set with the public half of that key.
#[must_use]
pub fn key_set() -> String {
    let point = Ed25519KeyPair::from_seed_unchecked(&SEED)
        .map(|key| URL_SAFE_NO_PAD.encode(key.public_key().as_ref()))
        .unwrap_or_default();
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"one","use":"sig","x":"{point}"}}]}}"#)
}

/// Checks a token with a set of keys, as the extension does. Returns what was signed and how many things are known of the
/// client.
///
/// # Errors
/// Why it is refused, in a fixed text.
pub fn check(token: &str, key_set: &str) -> Result<(String, usize), &'static str> {
    let token = Token::parse(token).ok_or("it is no token")?;
    let keys = Keys::parse(key_set.as_bytes()).map_err(|_| "there are no keys")?;
    let provider = ProviderConfig {
        issuer_url: ISSUER.to_owned(),
        audience: "sluice".to_owned(),
        groups_claim: "groups".to_owned(),
        ..ProviderConfig::default()
    };
    if token.issuer() != Some(ISSUER) {
        return Err("it is of another issuer");
    }
    if !keys.verify(&token.algorithm, token.key_id.as_deref(), token.message, &token.signature) {
        return Err("it is not signed by a known key");
    }
    if let Some(problem) = token.problem(&provider, UNIX_EPOCH + Duration::from_secs(NOW)) {
        return Err(problem);
    }
    let attributes = token.attributes(&provider)?;
    Ok((String::from_utf8_lossy(token.message).into_owned(), attributes.len()))
}

/// Reads a key set and has every key look at a signature that is none. Returns whether one took it.
///
/// # Errors
/// Why it is no key set.
pub fn accepts_anything(json: &[u8]) -> Result<bool, String> {
    let keys = Keys::parse(json).map_err(|error| error.to_string())?;
    let algorithms = ["RS256", "PS512", "ES256", "ES384", "EdDSA", "none", "HS256"];
    let signatures: [&[u8]; 4] = [b"", &[0; 64], &[0; 96], &[0; 256]];
    Ok(algorithms
        .iter()
        .any(|algorithm| signatures.iter().any(|none| keys.verify(algorithm, None, b"message", none))))
}
