//! Tokens and certificates that have run out, between the running binary and `curl`, `openssl s_client`, the OpenTelemetry
//! SDK for Python and Sluice itself. The tokens are signed by OpenSSL.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use sluice_integration::payload::{Compression, Kind, generate};
use sluice_integration::process::free_address;
use sluice_integration::serve::{Protocol, http};
use tokio::task::block_in_place;

use crate::lifecycle::sink;
use crate::security::{PROTOBUF, assert_exported, before_sink, to_sink, with_extensions};
use crate::support::certificates::{authority, issue, issue_all};
use crate::support::chaos::Scripted;
use crate::support::{Setup, post, program, sum};

const ISSUER: &str = "https://issuer.test";

/// Makes a key, and the key set that it is known by.
pub(crate) const MAKE_KEY: &str = r#"
openssl genrsa -out "$1.pem" 2048 2>/dev/null
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
n=$(openssl rsa -in "$1.pem" -noout -modulus | cut -d = -f 2 | sed 's/../\\x&/g')
printf '{"keys":[{"kty":"RSA","kid":"one","use":"sig","n":"%s","e":"AQAB"}]}' "$(printf "$n" | encode)" > "$1.json"
"#;

/// Signs claims with a key: RS256 of RFC 7518.
const SIGN: &str = r#"
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
message="$(printf '{"alg":"RS256","kid":"one"}' | encode).$(printf '%s' "$2" | encode)"
printf '%s.%s' "$message" "$(printf '%s' "$message" | openssl dgst -sha256 -sign "$1.pem" -binary | encode)"
"#;

pub(crate) fn shell(directory: &Path, script: &str, arguments: &[&str]) -> String {
    let mut bash = Command::new("bash");
    let output = bash.args(["-ec", script, "bash"]).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A token of the issuer that ends in so many seconds, or has.
pub(crate) fn token(directory: &Path, key: &str, ends_in: i64) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let claims = json!({"iss": ISSUER, "sub": "agent", "aud": "sluice", "exp": now + ends_in});
    shell(directory, SIGN, &[key, &claims.to_string()])
}

const OIDC: &str = "  oidc: {providers: [{issuer_url: 'https://issuer.test', audience: sluice, public_keys_file: ours.json}]}";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_lets_nobody_in() {
    if program("curl").is_none() || program("openssl").is_none() {
        return;
    }
    let (sink, setup, config) = before_sink("auth: {authenticator: oidc}").await;
    let config = with_extensions(&config, "oidc", OIDC);
    let directory = setup.directory.path();
    for key in ["ours", "theirs"] {
        shell(directory, MAKE_KEY, &[key]);
    }
    fs::write(setup.path("body"), generate(Kind::Traces, 1, Compression::None, 1).remove(0).body).unwrap();
    let tokens = [
        ("good", token(directory, "ours", 600), true),
        ("expired", token(directory, "ours", -1), false),
        ("wrong", token(directory, "theirs", 600), false),
        ("missing", String::new(), false),
    ];
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        for (name, token, is_right) in tokens {
            let mut curl = setup.program("curl");
            curl.args(["--silent", "--max-time", "20", "--output", "answer", "--dump-header", "-"]);
            curl.args(["--header", "content-type: application/x-protobuf", "--data-binary", "@body"]);
            curl.args(["--header", &format!("authorization: Bearer {token}")]);
            let output = curl.arg(format!("http://{}/v1/traces", setup.http)).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.starts_with(if is_right { "HTTP/1.1 200" } else { "HTTP/1.1 401" }),
                "{name}: {said}"
            );
            let variables = |server: SocketAddr| {
                let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{server}"))];
                if !token.is_empty() {
                    variables.push(("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")));
                }
                variables
            };
            if !assert_exported(&setup, &sink, is_right, name, variables) {
                return;
            }
        }
        assert_eq!(sink.counts().items, 3);
        assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "reason=\"unauthenticated\""), 9);
        sluice.stop();
    });
}

/// An exporter whose tokens end after two seconds, before a receiver that takes none that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_gets_a_new_token_before_the_old_one_ends() {
    if program("openssl").is_none() {
        return;
    }
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let directory = setup.directory.path().to_owned();
    shell(&directory, MAKE_KEY, &["ours"]);
    let issuer = Scripted::start(Protocol::Http1).await;
    issuer.follow(move |_| {
        // Its end is a whole second, which the last one has begun.
        let token = token(&directory, "ours", 3);
        let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": 2});
        http(200, "application/json", answer.to_string())
    });
    let inner = free_address().unwrap();
    let exporters = format!(
        "  otlp/in: {{protocols: {{http: {{endpoint: '{inner}', auth: {{authenticator: oidc}}}}}}}}
{}  otlphttp/out:
    endpoint: http://{inner}
    auth: {{authenticator: oauth2client}}
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}",
        to_sink(sink.grpc)
    );
    let pipelines = "    traces/1: {receivers: [otlp], exporters: [otlphttp/out]}
    traces/2: {receivers: [otlp/in], exporters: [otlp/sink]}";
    let extensions = format!(
        "{OIDC}\n  oauth2client: {{client_id: me, client_secret: mine, token_url: 'http://{}/token', expiry_buffer: 1s}}",
        issuer.address
    );
    let config = with_extensions(&setup.config(&exporters, pipelines), "oidc, oauth2client", &extensions);
    let body = generate(Kind::Traces, 1, Compression::None, 1).remove(0).body;
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        let mut sent = 0;
        crate::support::eventually("four tokens are used up", || {
            let answer = post(setup.http, "/v1/traces", &[PROTOBUF], body.clone());
            assert_eq!(answer.status, 200, "after {sent}: {answer:?}");
            sent += 1;
            issuer.requests() >= 5
        });
        assert_eq!(sink.counts().items, sent);
        assert!(sent > 5, "a token serves more than one request: {sent}");
        sluice.stop();
    });
}

/// A request by `openssl s_client`, and what that and the server say.
fn handshake(setup: &Setup, port: u16, arguments: &[&str]) -> String {
    const SCRIPT: &str = r#"
printf 'GET /v1/traces HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' |
openssl s_client -CAfile ca.crt -ign_eof -connect "$@" 2>&1"#;
    let mut shell = setup.program("sh");
    shell.args(["-c", SCRIPT, "sh", &format!("localhost:{port}")]).args(arguments);
    String::from_utf8_lossy(&shell.stdin(Stdio::null()).output().unwrap().stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_gets_in_with_what_is_allowed_only() {
    if program("openssl").is_none() {
        return;
    }
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    issue_all(&setup, &[("server", 4000), ("good", 4000), ("expired", 2021)]);
    let theirs = authority("theirs");
    setup.write("theirs.crt", &theirs.pem());
    issue(&setup, &theirs, "stranger", 4000);
    let old = free_address().unwrap();
    let receivers = format!(
        "  otlp/old:
    protocols:
      http: {{endpoint: '{old}', tls: {{cert_file: expired.crt, key_file: expired.key, max_version: '1.2', cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}}}}
{}",
        to_sink(sink.grpc)
    );
    let config =
        setup.config(&receivers, "    traces: {receivers: [otlp, otlp/old], exporters: [otlp/sink]}");
    let tls =
        "tls: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, min_version: '1.3'}";
    let config = config.replace("      http:\n", &format!("      http:\n        {tls}\n"));
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        for (client, words) in [
            ("good", "HTTP/1.1 405"),
            ("expired", "alert certificate expired"),
            ("stranger", "alert unknown ca"),
            ("", "alert certificate required"),
        ] {
            let (certificate, key) = (format!("{client}.crt"), format!("{client}.key"));
            let shown = ["-cert", certificate.as_str(), "-key", key.as_str()];
            let shown = if client.is_empty() { &[][..] } else { &shown };
            let said = handshake(&setup, setup.http.port(), shown);
            assert!(said.contains(words), "{client}: {said}");
            assert_eq!(said.contains("HTTP/1.1"), client == "good", "{client}: {said}");
            assert!(said.contains("Verify return code: 0 (ok)"), "the server is who it is: {said}");
        }
        let good = ["-cert", "good.crt", "-key", "good.key"];
        let said = handshake(&setup, setup.http.port(), &[&good[..], &["-tls1_2"]].concat());
        assert!(said.contains("alert protocol version") && !said.contains("HTTP/1.1"), "{said}");

        let said = handshake(&setup, old.port(), &[]);
        assert!(said.contains("Verify return code: 10 (certificate has expired)"), "{said}");
        let said = handshake(&setup, old.port(), &["-verify_return_error"]);
        assert!(said.contains("certificate has expired") && !said.contains("HTTP/1.1"), "{said}");
        for (arguments, words) in [
            (&["-tls1_3"][..], "alert protocol version"),
            (&["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], "alert handshake failure"),
            (&["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "alert handshake failure"),
            (&["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "HTTP/1.1 405"),
        ] {
            let said = handshake(&setup, old.port(), arguments);
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
        assert_eq!(sink.counts().items, 0);
        sluice.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_exporters_leave_a_server_whose_certificate_has_expired() {
    if program("curl").is_none() {
        return;
    }
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    issue_all(&setup, &[("good", 4000), ("expired", 2021)]);
    let [good, expired] = [(); 2].map(|()| free_address().unwrap());
    let receiver = |name: &str, address: SocketAddr| {
        format!(
            "  otlp/{name}: {{protocols: {{http: {{endpoint: '{address}', tls: {{cert_file: {name}.crt, key_file: {name}.key}}}}}}}}\n"
        )
    };
    let exporter = |name: &str, address: SocketAddr| {
        format!(
            "  otlphttp/{name}:
    endpoint: https://localhost:{}
    tls: {{ca_file: ca.crt}}
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}\n",
            address.port()
        )
    };
    let components = [
        receiver("good", good),
        receiver("expired", expired),
        to_sink(sink.grpc),
        exporter("good", good),
        exporter("expired", expired),
    ]
    .concat();
    let config = setup.config(
        &components,
        "    traces/1: {receivers: [otlp], exporters: [otlphttp/good]}
    traces/2: {receivers: [zipkin], exporters: [otlphttp/expired]}
    traces/3: {receivers: [otlp/good, otlp/expired], exporters: [otlp/sink]}",
    );
    fs::write(setup.path("body"), generate(Kind::Traces, 1, Compression::None, 1).remove(0).body).unwrap();
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        for (server, code) in [(good, 0), (expired, 60)] {
            let mut curl = setup.program("curl");
            curl.args(["--silent", "--fail", "--max-time", "20", "--cacert", "ca.crt", "--output", "answer"]);
            curl.args(["--header", "content-type: application/x-protobuf", "--data-binary", "@body"]);
            let status = curl.arg(format!("https://localhost:{}/v1/traces", server.port())).status().unwrap();
            assert_eq!(status.code(), Some(code), "60 is a certificate that cannot be trusted");
        }
        assert_eq!(sink.counts().items, 1);
        let answer = post(setup.http, "/v1/traces", &[PROTOBUF], fs::read(setup.path("body")).unwrap());
        assert_eq!(answer.status, 200, "{answer:?}");
        let spans = generate(Kind::Zipkin, 1, Compression::None, 1).remove(0).body;
        let answer = post(setup.zipkin, "/api/v2/spans", &[("content-type", "application/json")], spans);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(sink.counts().items, 2);
        let log = sluice.stop();
        assert!(log.contains("expired"), "the log says why: {log}");
    });
}
