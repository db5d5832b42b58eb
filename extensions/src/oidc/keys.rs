//! The public keys of an issuer (RFC 7517 and 7518), and the check of a signature with one of them.
//!
//! Which algorithms a key can be used with follows from the key, never from the token alone. Symmetric ones and `none`
//! are not among them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use sluice_pipeline::component::BuildError;

/// The most keys that are kept of an issuer.
const KEY_LIMIT: usize = 100;

/// The keys of an issuer that this build can use.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm that the issuer uses it with, if it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// A JWK, as far as it matters here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a JWK set, leaving out what cannot be used for signatures here.
    pub(super) fn parse(json: &[u8]) -> Result<Self, BuildError> {
        let failed =
            |why: &str| BuildError::setting("public_keys_file", format!("this is no JWK set: {why}"));
        let set: Set = serde_json::from_slice(json).map_err(|error| failed(&error.to_string()))?;
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(|key| Key::of(serde_json::from_value(key).ok()?))
            .take(KEY_LIMIT)
            .collect();
        if keys.is_empty() {
            Err(failed("it has no RSA, P-256, P-384 or Ed25519 key"))
        } else {
            Ok(Self(keys))
        }
    }

    /// Whether there is a key that may have signed a token with this header.
    pub(super) fn has(&self, algorithm: &str, id: Option<&str>) -> bool {
        self.candidates(algorithm, id).next().is_some()
    }

    /// Whether one of the keys that may have signed did sign the message.
    pub(super) fn verify(&self, algorithm: &str, id: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        self.candidates(algorithm, id).any(|key| key.material.verify(algorithm, message, signature))
    }

    fn candidates<'a>(&'a self, algorithm: &'a str, id: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            let is_meant = match (id, &key.id) {
                (Some(id), Some(known)) => known == id,
                _ => true,
            };
            let is_allowed = key.algorithm.as_ref().is_none_or(|only| only == algorithm);
            is_meant && is_allowed && key.material.knows(algorithm)
        })
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?.trim_end_matches('=')).ok();
        // An uncompressed point of SEC 1.
        let point = |size: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            (x.len() == size && y.len() == size).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: bytes(&jwk.n)?, e: bytes(&jwk.e)? },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid, algorithm: jwk.alg, material })
    }
}

impl Material {
    fn knows(&self, algorithm: &str) -> bool {
        match self {
            Self::Rsa { .. } => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == "ES256",
            Self::P384(_) => algorithm == "ES384",
            Self::Ed25519(_) => matches!(algorithm, "EdDSA" | "Ed25519"),
        }
    }

    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let plain = |kind: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(kind, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Rsa { n, e } => rsa(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Self::P256(point) => plain(&ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => plain(&ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(key) => plain(&ED25519, key),
        }
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
