//! Tokens from the configuration and from a file, on both sides.

use std::fs;

use super::*;
use crate::authenticator::testing::{built, let_in, sent, wrong};

async fn is_let_in(capabilities: &Capabilities, value: &str) -> bool {
    let_in(capabilities, &[("authorization", value)]).await.is_ok()
}

#[tokio::test]
async fn the_token_that_is_sent_is_the_one_that_is_asked_for() {
    let capabilities = built::<BearerTokenAuth>("{token: right}");
    let headers = sent(&capabilities, &[], &Context::default()).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer right");
    assert!(headers["authorization"].is_sensitive() && !format!("{headers:?}").contains("right"));
    assert!(is_let_in(&capabilities, "Bearer right").await);
    for wrong in ["Bearer wrong", "Bearer right ", "Bearer righ", "Basic right", "right", "", "Bearer "] {
        assert!(!is_let_in(&capabilities, wrong).await, "{wrong}");
    }
    let refusal = let_in(&capabilities, &[]).await.unwrap_err();
    assert!(matches!(refusal, AuthRefusal::Wrong { challenge: "Bearer", .. }), "{refusal}");
}

#[tokio::test]
async fn several_tokens_another_scheme_and_another_header() {
    let capabilities = built::<BearerTokenAuth>("{tokens: [one, two], scheme: '', header: X-Api-Key}");
    assert_eq!(sent(&capabilities, &[], &Context::default()).await.unwrap()["x-api-key"], "one");
    for (value, expected) in [("one", true), ("two", true), ("three", false)] {
        assert_eq!(let_in(&capabilities, &[("x-api-key", value)]).await.is_ok(), expected, "{value}");
    }
}

#[tokio::test]
async fn a_file_wins_and_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    fs::write(&path, "one\n\ntwo\n").unwrap();
    let capabilities =
        built::<BearerTokenAuth>(&format!("{{token: ignored, filename: '{}'}}", path.display()));
    for (token, expected) in [("one", true), ("two", true), ("ignored", false)] {
        assert_eq!(is_let_in(&capabilities, &format!("Bearer {token}")).await, expected, "{token}");
    }
    fs::write(&path, "three").unwrap();
    let taken = async {
        while !is_let_in(&capabilities, "Bearer three").await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LOOK * 20, taken).await.expect("the new token is taken");
    assert!(!is_let_in(&capabilities, "Bearer one").await, "the old one is not any more");
    assert_eq!(sent(&capabilities, &[], &Context::default()).await.unwrap()["authorization"], "Bearer three");
}

#[test]
fn what_is_wrong_is_named_without_the_token() {
    for (yaml, key) in [
        ("{}", "token"),
        ("{token: a, tokens: [b]}", "tokens"),
        ("{token: \"hush\\nhush\"}", "token"),
        ("{tokens: [hush, '']}", "tokens"),
        ("{token: hush, header: 'a b'}", "header"),
        ("{filename: /nowhere/token}", "filename"),
    ] {
        let wrong = wrong::<BearerTokenAuth>(yaml);
        assert_eq!(wrong.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [key], "{yaml}");
        assert!(!format!("{wrong:?}").contains("hush"), "{wrong:?}");
    }
}
