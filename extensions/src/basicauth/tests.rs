//! Both sides against each other.

use std::{fs, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use sluice_pipeline::{Context, component::AuthRefusal};

use super::*;
use crate::authenticator::{
    LOOK,
    testing::{built, let_in, sent, wrong},
};

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

async fn is_let_in(server: &Capabilities, credentials: &str) -> bool {
    let_in(server, &[("authorization", &basic(credentials))]).await.is_ok()
}

#[tokio::test]
async fn what_the_client_sends_the_server_takes() {
    let client = built::<BasicAuth>("{client_auth: {username: agent, password: 'pass:word'}}");
    let server = built::<BasicAuth>("{htpasswd: {inline: \"# users\\nother:x\\nagent:pass:word\\n\"}}");
    assert!(client.server_auth.is_none() && server.client_auth.is_none());
    let headers = sent(&client, &[], &Context::default()).await.unwrap();
    assert!(headers["authorization"].is_sensitive());
    let value = headers["authorization"].to_str().unwrap();
    let known = let_in(&server, &[("authorization", value)]).await.unwrap();
    assert_eq!(known, [("username".to_owned(), "agent".to_owned())], "and nothing secret");
    for wrong in ["agent:pass", "agent:", "nobody:pass:word", "agent", ":", "other:pass:word"] {
        assert!(!is_let_in(&server, wrong).await, "{wrong}");
    }
    for header in ["Bearer abc", "Basic", "Basic !!!", "Basic /w==", ""] {
        let refusal = let_in(&server, &[("authorization", header)]).await.unwrap_err();
        let AuthRefusal::Wrong { challenge, .. } = refusal else { panic!("{refusal}") };
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    assert!(let_in(&server, &[]).await.is_err());
}

#[tokio::test]
async fn changed_files_hold_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    write("users", "agent:one\n");
    write("password", "one\n");
    let server =
        built::<BasicAuth>(&format!("{{htpasswd: {{file: '{}', inline: 'admin:inline'}}}}", path("users")));
    let client = built::<BasicAuth>(&format!(
        "{{client_auth: {{username: agent, password: ignored, password_file: '{}'}}}}",
        path("password")
    ));
    let attempt = async || {
        let headers = sent(&client, &[], &Context::default()).await.unwrap();
        let_in(&server, &[("authorization", headers["authorization"].to_str().unwrap())]).await.is_ok()
    };
    assert!(attempt().await && attempt().await, "also from memory");
    write("users", "agent:two\n");
    let refused = async {
        while attempt().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LOOK * 20, refused).await.expect("what was proven is forgotten with the old file");
    write("password", "two\n");
    let taken = async {
        while !attempt().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LOOK * 20, taken).await.expect("the new password is sent");
    assert!(is_let_in(&server, "admin:inline").await);
}

/// A cost at which one check takes some milliseconds.
const SLOW: &str = "$2b$08$";

#[tokio::test]
async fn a_flood_of_wrong_passwords_leaves_known_clients_alone() {
    let hash = bcrypt::hash_with_salt("right", 8, [7; 16]).unwrap().to_string();
    assert!(hash.starts_with("$2") && hash.contains(&SLOW[3..]));
    let server = built::<BasicAuth>(&format!("{{htpasswd: {{inline: 'agent:{hash}'}}}}"));
    assert!(is_let_in(&server, "agent:right").await);
    let wrong: Vec<String> = (0..500).map(|number| format!("agent:{number}")).collect();
    let flood = join_all(wrong.iter().map(|credentials| async {
        let_in(&server, &[("authorization", &basic(credentials))]).await.unwrap_err()
    }));
    let known = async {
        tokio::task::yield_now().await;
        let begin = Instant::now();
        assert!(is_let_in(&server, "agent:right").await, "from memory");
        begin.elapsed()
    };
    let (refusals, took) = futures_util::future::join(flood, known).await;
    let turned_away =
        refusals.iter().filter(|refusal| matches!(refusal, AuthRefusal::Unavailable(_))).count();
    assert!(turned_away >= 400, "{turned_away} of 500 were not even looked at");
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}

#[test]
fn what_is_wrong_is_named_without_the_secret() {
    for (yaml, key) in [
        ("{}", ""),
        ("{htpasswd: {}}", "htpasswd"),
        ("{htpasswd: {inline: 'a:b'}, client_auth: {username: a, password: hush}}", "client_auth"),
        ("{htpasswd: {inline: hush}}", "htpasswd.inline"),
        ("{htpasswd: {inline: 'a:$6$hush$hush'}}", "htpasswd.inline"),
        ("{htpasswd: {file: /nowhere/users}}", "htpasswd.file"),
        ("{client_auth: {password: hush}}", "client_auth.username"),
        ("{client_auth: {username: 'a:b', password: hush}}", "client_auth.username"),
        ("{client_auth: {username: a}}", "client_auth.password"),
        ("{client_auth: {username: a, password_file: /nowhere/password}}", "client_auth.password_file"),
    ] {
        let wrong = wrong::<BasicAuth>(yaml);
        assert!(wrong.iter().any(|(known, _)| known == key), "{yaml}: {wrong:?}");
        assert!(!format!("{wrong:?}").contains("hush"), "{wrong:?}");
    }
}
