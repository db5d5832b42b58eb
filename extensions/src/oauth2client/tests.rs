//! Against an authorization server on loopback.

use futures_util::future::join_all;

use super::*;
use crate::authenticator::testing::{Fake, built, sent, wrong};

fn client(server: &Fake, more: &str) -> Capabilities {
    let address = server.address;
    built::<OAuth2Client>(&format!(
        "{{client_id: 'my id', client_secret: hush, token_url: 'http://{address}/token', {more}}}"
    ))
}

async fn header(client: &Capabilities) -> Result<String, Failure> {
    let headers = sent(client, &[], &Context::default()).await?;
    assert!(headers["authorization"].is_sensitive());
    Ok(headers["authorization"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn one_token_serves_all_until_its_end() {
    let server = Fake::start(|_, number| {
        (
            200,
            format!("{{\"access_token\": \"t{number}\", \"token_type\": \"bearer\", \"expires_in\": 3600}}"),
        )
    })
    .await;
    let client =
        client(&server, "scopes: [a, 'b c'], endpoint_params: {audience: x&y, resource: [one, two]}");
    let headers = join_all((0..20).map(|_| header(&client))).await;
    assert!(headers.iter().all(|header| header.as_deref() == Ok("Bearer t0")), "{headers:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    // "my+id:hush"
    assert!(request.contains("authorization: Basic bXkraWQ6aHVzaA==\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    let body = "grant_type=client_credentials&scope=a+b+c&audience=x%26y&resource=one&resource=two";
    assert!(request.ends_with(body), "{request}");
}

#[tokio::test]
async fn a_token_is_replaced_before_its_end_and_kept_if_there_is_no_other() {
    let server = Fake::start(|_, number| match number {
        0 => (200, r#"{"access_token": "short", "expires_in": "2"}"#.to_owned()),
        1 => (503, String::new()),
        _ => (200, r#"{"access_token": "next", "expires_in": 3600}"#.to_owned()),
    })
    .await;
    let client = client(&server, "");
    assert_eq!(header(&client).await.unwrap(), "Bearer short");
    assert_eq!(header(&client).await.unwrap(), "Bearer short", "the buffer is at most half of its life");
    let next = async {
        loop {
            match header(&client).await {
                Ok(value) if value == "Bearer next" => return,
                Ok(value) => assert_eq!(value, "Bearer short"),
                Err(failure) => assert!(!failure.is_permanent(), "{failure}"),
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FAILURE_LIFE * 20, next).await.expect("a new token");
}

#[tokio::test]
async fn a_server_that_wants_the_secret_in_the_body_gets_it_there() {
    let server = Fake::start(|request, _| {
        if request.contains("client_id=my+id&client_secret=hush") {
            (200, r#"{"access_token": "t", "token_type": "DPoP"}"#.to_owned())
        } else {
            (401, r#"{"error": "invalid_client"}"#.to_owned())
        }
    })
    .await;
    assert_eq!(header(&client(&server, "")).await.unwrap(), "DPoP t");
}

#[tokio::test]
async fn a_refusal_is_told_without_the_secret_and_tried_again_later() {
    let server =
        Fake::start(|_, _| (400, r#"{"error": "invalid_client", "error_description": "hush"}"#.to_owned()))
            .await;
    let client = client(&server, "");
    for _ in 0..10 {
        let failure = header(&client).await.unwrap_err();
        assert!(!failure.is_permanent());
        assert!(failure.message.contains("400") && failure.message.contains("invalid_client"), "{failure}");
        assert!(!failure.message.contains("hush"), "{failure}");
    }
    assert_eq!(server.requests().len(), 2, "one attempt of both kinds, and no flood");
    let gone =
        built::<OAuth2Client>("{client_id: a, client_secret: hush, token_url: 'http://127.0.0.1:1/token'}");
    assert!(!header(&gone).await.unwrap_err().is_permanent());
    let nonsense = Fake::start(|_, _| (200, "hush".to_owned())).await;
    let failure = header(&self::client(&nonsense, "")).await.unwrap_err();
    assert!(!failure.message.contains("hush"), "{failure}");
}

#[test]
fn what_is_missing_is_named() {
    let keys = |yaml: &str| wrong::<OAuth2Client>(yaml).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("{}"), ["client_id", "client_secret", "token_url"]);
    let whole = "client_id: a, client_secret: hush, token_url: 'https://x/token'";
    assert_eq!(keys(&format!("{{{whole}, expiry_buffer: 1m, timeout: 5s}}")), Vec::<String>::new());
    assert_eq!(
        keys(&format!("{{{whole}, grant_type: jwt-bearer, claims: {{a: b}}}}")),
        ["grant_type", "claims"]
    );
    assert_eq!(keys(&format!("{{{whole}, client_secret_file: /nowhere/secret}}")), ["client_secret_file"]);
    assert_eq!(keys(&format!("{{{whole}, tls: {{ca_file: /nowhere/ca}}}}")), ["tls.ca_file"]);
}
