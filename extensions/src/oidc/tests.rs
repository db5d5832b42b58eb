//! Tokens signed here, checked with keys from a file and from an issuer on loopback.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::*;
use crate::authenticator::{
    LOOK,
    testing::{Fake, built, let_in, wrong},
};

const ISSUER: &str = "https://issuer.test/realm";

/// A key of the issuer.
struct Signer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, id }
    }

    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id}), claims)
    }
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// Claims that are in order, with these besides or instead.
fn claims(issuer: &str, changes: Value) -> Value {
    let mut claims = json!({"iss": issuer, "sub": "agent", "aud": "sluice", "exp": in_seconds(600)});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn attempt(server: &Capabilities, token: &str) -> Result<Vec<(String, String)>, AuthRefusal> {
    let_in(server, &[("authorization", &format!("Bearer {token}"))]).await
}

async fn refusal(server: &Capabilities, token: &str) -> String {
    let refusal = attempt(server, token).await.unwrap_err();
    assert!(matches!(refusal, AuthRefusal::Wrong { .. }), "{refusal}");
    refusal.to_string()
}

/// An extension with the keys in a file.
fn with_keys(signers: &[&Signer], more: &str) -> (tempfile::TempDir, Capabilities) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
    let server = built::<Oidc>(&format!(
        "{{providers: [{{issuer_url: '{ISSUER}', audience: sluice, public_keys_file: '{}', {more}}}]}}",
        path.display()
    ));
    (directory, server)
}

#[tokio::test]
async fn a_token_that_is_in_order_is_taken_and_says_who_sent_it() {
    let signer = Signer::new("one");
    let (_directory, server) =
        with_keys(&[&Signer::new("other"), &signer], "groups_claim: groups, username_claim: mail");
    let token = signer.token(&claims(
        ISSUER,
        json!({"aud": ["other", "sluice"], "mail": "a@test", "groups": ["x", "y"], "nbf": in_seconds(60)}),
    ));
    let known = attempt(&server, &token).await.unwrap();
    let expected = [("issuer", ISSUER), ("subject", "a@test"), ("membership", "x"), ("membership", "y")];
    assert_eq!(known, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let single = signer.token(&claims(ISSUER, json!({"mail": "a@test", "groups": "x"})));
    assert_eq!(attempt(&server, &single).await.unwrap().len(), 3);
    let without = signer.token(&claims(ISSUER, json!({"mail": "a@test"})));
    assert!(refusal(&server, &without).await.contains("groups"));
}

#[tokio::test]
async fn each_wrong_token_is_refused() {
    let signer = Signer::new("one");
    let (_directory, server) = with_keys(&[&signer], "");
    let good = signer.token(&claims(ISSUER, json!({})));
    attempt(&server, &good).await.unwrap();
    for (changes, words) in [
        (json!({"exp": in_seconds(-1)}), "expired"),
        (json!({"exp": null}), "no end"),
        (json!({"exp": "tomorrow"}), "no end"),
        (json!({"nbf": in_seconds(3600)}), "not valid yet"),
        (json!({"nbf": "soon"}), "not valid yet"),
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"iss": "https://other.test"}), "issuer"),
        (json!({"iss": format!("{ISSUER}/")}), "issuer"),
        (json!({"iss": 1}), "issuer"),
        (json!({"sub": null}), "subject"),
    ] {
        let message = refusal(&server, &signer.token(&claims(ISSUER, changes.clone()))).await;
        assert!(message.contains(words), "{changes}: {message}");
    }
    let claims = claims(ISSUER, json!({}));
    let unknown = "not signed by a known key";
    assert!(refusal(&server, &Signer::new("one").token(&claims)).await.contains(unknown), "another's key");
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256", "kid": "one"}),
        json!({"alg": "ES384", "kid": "one"}),
        json!({"alg": "RS256", "kid": "one"}),
        json!({"alg": "ES256", "kid": "two"}),
    ] {
        assert!(refusal(&server, &signer.sign(&header, &claims)).await.contains(unknown), "{header}");
    }
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    assert!(refusal(&server, &format!("{unsigned}.")).await.contains(unknown));
    let critical = signer.sign(&json!({"alg": "ES256", "kid": "one", "crit": ["b64"]}), &claims);
    for nonsense in [critical.as_str(), "", ".", "..", "a.b", "a.b.c", unsigned, &"a".repeat(20_000)] {
        assert!(refusal(&server, nonsense).await.contains("send Bearer"), "{nonsense}");
    }
    for place in 0..good.len() {
        let mut damaged = good.clone().into_bytes();
        damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        // The last character of a part has bits that do not count, which must then be zero.
        assert!(attempt(&server, &damaged).await.is_err(), "changed at {place}");
    }
    assert!(let_in(&server, &[]).await.is_err());
    assert!(let_in(&server, &[("authorization", &format!("Basic {good}"))]).await.is_err());
}

#[tokio::test]
async fn ed25519_keys_work_and_changed_files_hold() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let (directory, server) = with_keys(&[&Signer::new("one")], "");
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(json!({"alg": "EdDSA"})), encode(claims(ISSUER, json!({}))));
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).as_ref()));
    assert!(attempt(&server, &token).await.is_err());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref())});
    fs::write(directory.path().join("keys.json"), json!({"keys": [jwk]}).to_string()).unwrap();
    let taken = async {
        while attempt(&server, &token).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LOOK * 20, taken).await.expect("the new key is known");
}

/// An RS256 token and its key, made by OpenSSL.
#[tokio::test]
async fn rsa_keys_work() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, include_str!("testdata/rsa-keys.json")).unwrap();
    let server = built::<Oidc>(&format!(
        "{{providers: [{{issuer_url: '{ISSUER}', audience: sluice, public_keys_file: '{}'}}]}}",
        path.display()
    ));
    let tokens: Value = serde_json::from_str(include_str!("testdata/rsa-tokens.json")).unwrap();
    for algorithm in ["RS256", "PS256"] {
        let token = tokens[algorithm].as_str().unwrap();
        attempt(&server, token).await.unwrap();
        // The signature of the other algorithm is none of this one.
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS512"}"#);
        let (_, rest) = token.split_once('.').unwrap();
        assert!(attempt(&server, &format!("{header}.{rest}")).await.is_err());
    }
}

/// An issuer on loopback with these keys.
async fn issuer(keys: impl Fn(usize) -> Value + Send + 'static) -> (Fake, String, Capabilities) {
    // The address is known only once the issuer listens.
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let shared = Arc::clone(&own);
    let rounds = std::sync::atomic::AtomicUsize::new(0);
    let server = Fake::start(move |request, _| {
        let own = shared.get().unwrap();
        if request.starts_with("GET /.well-known/openid-configuration ") {
            (200, json!({"issuer": own, "jwks_uri": format!("{own}/keys")}).to_string())
        } else {
            let round = rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (200, json!({"keys": [keys(round)]}).to_string())
        }
    })
    .await;
    let url = format!("http://{}", server.address);
    own.set(url.clone()).unwrap();
    let extension = built::<Oidc>(&format!("{{issuer_url: '{url}', audience: sluice}}"));
    (server, url, extension)
}

#[tokio::test]
async fn keys_are_found_at_the_issuer_and_kept() {
    let signer = Arc::new(Signer::new("one"));
    let theirs = Arc::clone(&signer);
    let (server, url, extension) = issuer(move |_| theirs.jwk()).await;
    let token = signer.token(&claims(&url, json!({})));
    let all = futures_util::future::join_all((0..10).map(|_| attempt(&extension, &token))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(server.requests().len(), 2, "one question for all");
    let made_up = Signer::new("made up");
    for _ in 0..10 {
        assert!(refusal(&extension, &made_up.token(&claims(&url, json!({})))).await.contains("known key"));
    }
    assert_eq!(server.requests().len(), 2, "made-up keys are no more questions");
    assert!(refusal(&extension, &signer.token(&claims(&url, json!({"exp": 1})))).await.contains("expired"));
}

#[tokio::test]
async fn an_issuer_that_is_away_or_another_is_not_the_clients_fault() {
    let signer = Signer::new("one");
    let away = built::<Oidc>("{issuer_url: 'http://127.0.0.1:1', audience: sluice}");
    let token = signer.token(&claims("http://127.0.0.1:1", json!({})));
    let refusal = attempt(&away, &token).await.unwrap_err();
    assert!(matches!(refusal, AuthRefusal::Unavailable(_)), "{refusal}");
    let other =
        Fake::start(|_, _| (200, json!({"issuer": "https://other", "jwks_uri": "https://x"}).to_string()))
            .await;
    let url = format!("http://{}", other.address);
    let confused = built::<Oidc>(&format!("{{issuer_url: '{url}', audience: sluice}}"));
    let refusal = attempt(&confused, &signer.token(&claims(&url, json!({})))).await.unwrap_err();
    assert!(refusal.to_string().contains("is of the issuer"), "{refusal}");
    assert_eq!(other.requests().len(), 1, "its keys are not asked for");
}

#[test]
fn what_is_missing_is_named() {
    for (yaml, key, words) in [
        ("{}", "", "no issuer"),
        ("{issuer_url: 'https://a'}", "", "audience"),
        ("{audience: a}", "", "issuer_url"),
        ("{issuer_url: 'a b', audience: a}", "", "URI"),
        (
            "{providers: [{issuer_url: 'https://a', audience: a}, {issuer_url: 'https://a', audience: b}]}",
            "providers",
            "twice",
        ),
        ("{issuer_url: 'https://a', ignore_audience: true, attribute: 'a b'}", "attribute", "header"),
        ("{issuer_url: 'https://a', audience: a, issuer_ca_path: /nowhere}", "", "/nowhere"),
        (
            "{providers: [{issuer_url: 'https://a', audience: a, public_keys_file: /nowhere}]}",
            "providers",
            "/nowhere",
        ),
    ] {
        let wrong = wrong::<Oidc>(yaml);
        assert!(
            wrong.iter().any(|(known, message)| known == key && message.contains(words)),
            "{yaml}: {wrong:?}"
        );
    }
    assert_eq!(wrong::<Oidc>("{issuer_url: 'https://a', ignore_audience: true}"), []);
}

proptest::proptest! {
    /// What comes over the network, and what an issuer says.
    #[test]
    fn any_text_is_survived(text: String, header: String, claims: String, json: Vec<u8>) {
        let _ = keys::Keys::parse(&json);
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let header = format!("{{\"alg\":\"ES256\",\"kid\":{header:?}}}");
        for text in [text.clone(), format!("{}.{}.{}", encode(&header), encode(&claims), encode(&text))] {
            if let Some(token) = Token::parse(&text) {
                let provider = ProviderConfig::default();
                let _ = token.issuer();
                let _ = token.problem(&provider, SystemTime::now());
                let _ = token.attributes(&provider);
            }
        }
    }
}
