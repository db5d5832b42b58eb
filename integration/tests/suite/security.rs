//! Who gets in and who does not, through the running binary: credentials, tokens, certificates, and that none of them
//! shows anywhere. The clients are `curl`, `openssl s_client`, the OpenTelemetry SDK for Python, and Sluice itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sluice_integration::payload::{Compression, Kind, generate};
use sluice_integration::process::free_address;
use sluice_integration::sink::Sink;
use sluice_integration::transport::frame;
use tokio::task::block_in_place;

use crate::expiry::{MAKE_KEY, shell, token};
use crate::lifecycle::sink;
use crate::support::certificates::{authority, issue, issue_all};
use crate::support::{Setup, eventually, get, grpc, post, program, python_server, sum};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// An exporter to the sink that answers once the spans are there.
pub(crate) fn to_sink(sink: SocketAddr) -> String {
    format!(
        "exporters:\n  otlp/sink:\n    endpoint: {sink}\n    tls: {{insecure: true}}\n    sending_queue: {{enabled: false}}\n"
    )
}

/// A sink, and a configuration whose `otlp` receiver hands on to it; this key is in each of its protocols.
pub(crate) async fn before_sink(key: &str) -> (Sink, Setup, String) {
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let config = setup.config(&to_sink(sink.grpc), "    traces: {receivers: [otlp], exporters: [otlp/sink]}");
    let config = guarded(&config, key);
    (sink, setup, config)
}

/// The configuration with extensions in it, which are all started.
pub(crate) fn with_extensions(config: &str, names: &str, extensions: &str) -> String {
    let started = format!("service:\n  extensions: [{names}]\n");
    format!("{}extensions:\n{extensions}\n", config.replace("service:\n", &started))
}

/// The same with this key in every receiver.
fn guarded(config: &str, key: &str) -> String {
    config
        .replace("      grpc:\n", &format!("      grpc:\n        {key}\n"))
        .replace("      http:\n", &format!("      http:\n        {key}\n"))
        .replace("  zipkin:\n", &format!("  zipkin:\n    {key}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receiver_asks_for_the_token() {
    if program("curl").is_none() {
        return;
    }
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let config =
        setup.config(&to_sink(sink.grpc), "    traces: {receivers: [otlp, zipkin], exporters: [otlp/sink]}");
    let config = guarded(&config, "auth: {authenticator: bearertokenauth}");
    let config = with_extensions(&config, "bearertokenauth", "  bearertokenauth: {tokens: [other, right]}");
    let body = generate(Kind::Traces, 1, Compression::None, 1).remove(0).body;
    fs::write(setup.path("http"), &body).unwrap();
    fs::write(setup.path("grpc"), frame(&body, false)).unwrap();
    fs::write(setup.path("zipkin"), generate(Kind::Zipkin, 1, Compression::None, 1).remove(0).body).unwrap();
    let curl = |token: Option<&str>, what: &str, url: String, kind: &str| {
        let mut curl = setup.program("curl");
        curl.args(["--silent", "--max-time", "20", "--dump-header", "-", "--output", "body"]);
        curl.args(["--header", &format!("content-type: {kind}"), "--data-binary", &format!("@{what}")]);
        if what == "grpc" {
            curl.args(["--http2-prior-knowledge", "--header", "te: trailers"]);
        }
        if let Some(token) = token {
            curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        String::from_utf8(curl.arg(url).output().unwrap().stdout).unwrap().to_ascii_lowercase()
    };
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        let mut taken = 0;
        for token in [None, Some("wrong"), Some("righ"), Some("right"), Some("other")] {
            let http = curl(token, "http", format!("http://{}/v1/traces", setup.http), PROTOBUF.1);
            let zipkin =
                curl(token, "zipkin", format!("http://{}/api/v2/spans", setup.zipkin), "application/json");
            let grpc = curl(token, "grpc", format!("http://{}{TRACES}", setup.grpc), "application/grpc");
            if matches!(token, Some("right" | "other")) {
                assert!(http.starts_with("http/1.1 200"), "{http}");
                assert!(zipkin.starts_with("http/1.1 202"), "{zipkin}");
                assert!(grpc.starts_with("http/2 200") && !grpc.contains("grpc-status: 16"), "{grpc}");
                taken += 3;
            } else {
                for answer in [http, zipkin] {
                    assert!(answer.starts_with("http/1.1 401"), "{token:?}: {answer}");
                    assert!(answer.contains("www-authenticate: bearer\r\n"), "{answer}");
                }
                assert!(grpc.contains("grpc-status: 16\r\n"), "{token:?}: {grpc}");
            }
            assert_eq!(sink.counts().items, taken, "{token:?}");
        }
        let refused = sum(setup.telemetry, "sluice_receiver_refused_requests", "reason=\"unauthenticated\"");
        assert_eq!(refused, 9);
        sluice.stop();
    });
}

/// What the SDK for Python says of exporting one span, with these variables set.
fn exported(setup: &Setup, protocol: &str, variables: &[(&str, String)]) -> Option<String> {
    let (python, script) = python_server("secure.py")?;
    let output = Command::new(python)
        .arg(script)
        .arg(protocol)
        .current_dir(setup.directory.path())
        // They would win over the SDK's own variable.
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Shown if the test fails.
    print!("{said}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Has the SDK export a span by each protocol, and asserts that it is told so, and arrives, only if that is right. Gives
/// whether there is an SDK.
pub(crate) fn assert_exported(
    setup: &Setup,
    sink: &Sink,
    is_right: bool,
    what: &str,
    variables: impl Fn(SocketAddr) -> Vec<(&'static str, String)>,
) -> bool {
    for (protocol, server) in [("grpc", setup.grpc), ("http", setup.http)] {
        let before = sink.counts().items;
        let Some(said) = exported(setup, protocol, &variables(server)) else { return false };
        assert_eq!(said, if is_right { "SUCCESS" } else { "FAILURE" }, "{protocol} {what}");
        assert_eq!(sink.counts().items, before + u64::from(is_right), "{protocol} {what}");
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_gets_in_with_the_right_password_only() {
    let (sink, setup, config) = before_sink("auth: {authenticator: basicauth}").await;
    setup.write("users", "agent:{SHA}ohgYgF2kkgMlRbH1HlEDczlOc+M=\n");
    let config = with_extensions(&config, "basicauth", "  basicauth: {htpasswd: {file: users}}");
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        // agent:s3cret pass, agent:wrong
        for (credentials, is_right) in
            [("YWdlbnQ6czNjcmV0IHBhc3M=", true), ("YWdlbnQ6d3Jvbmc=", false), ("", false)]
        {
            let variables = |server: SocketAddr| {
                let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{server}"))];
                if !credentials.is_empty() {
                    variables
                        .push(("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Basic%20{credentials}")));
                }
                variables
            };
            if !assert_exported(&setup, &sink, is_right, credentials, variables) {
                return;
            }
        }
        sluice.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_gets_in_with_the_right_certificate_only() {
    let tls = "tls: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, \
               allowed_client_subjects: ['DNS:localhost']}";
    let (sink, setup, config) = before_sink(tls).await;
    issue_all(&setup, &[("server", 4000), ("good", 4000), ("expired", 2021)]);
    let theirs = authority("theirs");
    setup.write("theirs.crt", &theirs.pem());
    issue(&setup, &theirs, "stranger", 4000);
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        for (ca, client, is_right) in [
            ("ca", "good", true),
            ("ca", "expired", false),
            ("ca", "stranger", false),
            ("ca", "", false),
            ("theirs", "good", false),
        ] {
            let variables = |server: SocketAddr| {
                let mut variables = vec![
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{}", server.port())),
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", format!("{ca}.crt")),
                    ("OTEL_EXPORTER_OTLP_TIMEOUT", if is_right { "20" } else { "1" }.to_owned()),
                ];
                if !client.is_empty() {
                    variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", format!("{client}.crt")));
                    variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", format!("{client}.key")));
                }
                variables
            };
            if !assert_exported(&setup, &sink, is_right, &format!("{ca} {client}"), variables) {
                return;
            }
        }
        sluice.stop();
    });
}

/// Every kind of exporter with every kind of credentials, against receivers that ask for them.
#[tokio::test(flavor = "multi_thread")]
async fn exporters_send_what_receivers_ask_for() {
    let sink = sink(Duration::ZERO).await;
    for password in ["right", "wrong"] {
        let setup = Setup::new();
        let [grpc_in, http_in, zipkin_in] = [(); 3].map(|()| free_address().unwrap());
        let exporters = format!(
            "  otlp/in:
    protocols:
      grpc: {{endpoint: '{grpc_in}', auth: {{authenticator: basicauth/server}}}}
      http: {{endpoint: '{http_in}', auth: {{authenticator: bearertokenauth}}}}
  zipkin/in: {{endpoint: '{zipkin_in}', auth: {{authenticator: basicauth/server}}}}
{}  otlp/out:
    endpoint: {grpc_in}
    tls: {{insecure: true}}
    auth: {{authenticator: basicauth/client}}
    sending_queue: {{enabled: false}}
  otlphttp/out:
    endpoint: http://{http_in}
    auth: {{authenticator: headers_setter}}
    sending_queue: {{enabled: false}}
  zipkin/out:
    endpoint: http://{zipkin_in}/api/v2/spans
    auth: {{authenticator: basicauth/client}}
    sending_queue: {{enabled: false}}",
            to_sink(sink.grpc)
        );
        let pipelines = "    traces/1: {receivers: [otlp], exporters: [otlp/out, otlphttp/out, zipkin/out]}
    traces/2: {receivers: [otlp/in, zipkin/in], exporters: [otlp/sink]}";
        let config = setup.config(&exporters, pipelines).replace(
            &format!("        endpoint: {}\n", setup.http),
            &format!("        endpoint: {}\n        include_metadata: true\n", setup.http),
        );
        let extensions = format!(
            "  basicauth/server: {{htpasswd: {{inline: 'agent:right'}}}}
  basicauth/client: {{client_auth: {{username: agent, password: {password}}}}}
  bearertokenauth: {{token: right}}
  headers_setter: {{headers: [{{key: Authorization, from_context: x-token}}]}}"
        );
        let names = "basicauth/server, basicauth/client, bearertokenauth, headers_setter";
        let config = with_extensions(&config, names, &extensions);
        let body = generate(Kind::Traces, 2, Compression::None, 1).remove(0).body;
        let before = sink.counts().items;
        block_in_place(|| {
            let sluice = setup.start(&config, setup.http);
            let token = format!("Bearer {password}");
            let answer = post(setup.http, "/v1/traces", &[PROTOBUF, ("x-token", &token)], body);
            if password == "right" {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(sink.counts().items, before + 6, "two spans by each of three ways");
            } else {
                assert_eq!(answer.status, 401, "{answer:?}");
                assert_eq!(sink.counts().items, before);
            }
            let log = sluice.stop();
            assert!(!log.contains("right") && !log.contains("wrong"), "a secret is in the log: {log}");
        });
    }
}

/// The certificate that a new handshake shows, in PEM.
fn shown(setup: &Setup, server: SocketAddr) -> String {
    let mut openssl = setup.program("openssl");
    openssl.args(["s_client", "-CAfile", "ca.crt", "-connect", &format!("localhost:{}", server.port())]);
    let output = openssl.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN").unwrap_or_else(|| panic!("{output:?}"));
    text[begin..].split_inclusive("-----END CERTIFICATE-----").next().unwrap().to_owned()
}

/// A request over a connection that stays open, and the status line of its answer.
fn ask(client: &mut Child, answers: &mut impl BufRead) -> String {
    let request = b"GET /v1/traces HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.stdin.as_mut().unwrap().write_all(request).unwrap();
    let mut status = String::new();
    answers.read_line(&mut status).unwrap();
    let mut line = String::new();
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        answers.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    answers.read_exact(&mut vec![0; length]).unwrap();
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_while_old_connections_live_on() {
    if program("openssl").is_none() {
        return;
    }
    let tls = "tls: {cert_file: server.crt, key_file: server.key, reload_interval: 50ms}";
    let (_sink, setup, config) = before_sink(tls).await;
    let ours = issue_all(&setup, &[("server", 4000)]);
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        let first = shown(&setup, setup.http);
        let mut openssl = setup.program("openssl");
        openssl.args(["s_client", "-quiet", "-CAfile", "ca.crt"]);
        openssl.args(["-connect", &format!("localhost:{}", setup.http.port())]);
        let mut old =
            openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut answers = BufReader::new(old.stdout.take().unwrap());
        assert_eq!(ask(&mut old, &mut answers), "HTTP/1.1 405 Method Not Allowed\r\n");

        issue(&setup, &ours, "server", 4000);
        eventually("the new certificate is shown", || shown(&setup, setup.http) != first);
        assert_ne!(shown(&setup, setup.grpc), first, "by gRPC too");
        assert_eq!(
            ask(&mut old, &mut answers),
            "HTTP/1.1 405 Method Not Allowed\r\n",
            "over the old connection"
        );

        let second = shown(&setup, setup.http);
        setup.write("server.key", "no key");
        eventually("the bad key is told of", || {
            // A new connection is what has the files looked at.
            shown(&setup, setup.http);
            sluice.log().contains("cannot be used")
        });
        assert_eq!(shown(&setup, setup.http), second, "and changes nothing");
        assert!(sum(setup.telemetry, "sluice_file_reloads", "result=\"taken\"") >= 1);
        old.kill().unwrap();
        old.wait().unwrap();
        sluice.stop();
    });
}

/// Each secret of this configuration begins with `hush`.
const SECRETS: &str = "  basicauth/server:
    htpasswd:
      inline: |
        agent:hush-inline
  basicauth/client: {client_auth: {username: agent, password: hush-password}}
  bearertokenauth: {token: hush-token}
  bearertokenauth/2:
    tokens:
      - hush-first
      - hush-second
  headers_setter:
    headers:
      - {key: X-Key, value: hush-value}
      - key: X-Other
        from_context: x-other
        default_value: hush-default
  oauth2client:
    client_id: me
    client_secret: hush-client
    token_url: http://127.0.0.1:1/token
  basicauth/users: {htpasswd: {file: users}}
  basicauth/from_file: {client_auth: {username: agent, password_file: password}}
  bearertokenauth/from_file: {filename: token}
  oauth2client/from_file: {client_id: me, client_secret_file: secret, token_url: 'http://127.0.0.1:1/token'}
  oidc: {providers: [{issuer_url: 'https://issuer.test', audience: sluice, public_keys_file: ours.json}]}";
const STARTED: &str = "basicauth/server, basicauth/client, bearertokenauth, bearertokenauth/2, headers_setter, \
                       oauth2client, basicauth/users, basicauth/from_file, bearertokenauth/from_file, \
                       oauth2client/from_file, oidc";
/// The secrets that stand in files.
const SECRET_FILES: [(&str, &str); 4] = [
    ("users", "agent:hush-in-users\n"),
    ("password", "hush-in-password"),
    ("token", "hush-in-token"),
    ("secret", "hush-in-secret"),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows() {
    let setup = Setup::new();
    let out = |name: &str, authenticator: &str| {
        format!(
            "  {name}:\n    endpoint: 127.0.0.1:1\n    headers: {{x: hush-header}}\n    tls: {{insecure: true}}\n    \
             auth: {{authenticator: {authenticator}}}\n    sending_queue: {{enabled: false}}\n    \
             retry_on_failure: {{enabled: false}}\n"
        )
    };
    for (name, text) in SECRET_FILES {
        setup.write(name, text);
    }
    shell(setup.directory.path(), MAKE_KEY, &["ours"]);
    let [by_token, by_users] = [(); 2].map(|()| free_address().unwrap());
    let receiver = |name: &str, address: SocketAddr| {
        format!(
            "  otlp/{name}: {{protocols: {{http: {{endpoint: '{address}', auth: {{authenticator: {name}}}}}}}}}\n"
        )
    };
    let ways = ["oauth2client", "bearertokenauth", "oauth2client/from_file", "bearertokenauth/from_file"];
    let ways = [&ways[..], &["basicauth/from_file"]].concat();
    let exporters: String =
        ways.iter().enumerate().map(|(number, way)| out(&format!("otlp/{number}"), way)).collect();
    let components = [
        receiver("oidc", by_token),
        receiver("basicauth/users", by_users).replacen("otlp/basicauth/", "otlp/", 1),
        format!("exporters:\n{exporters}"),
    ];
    let pipeline = "    traces: {receivers: [otlp, otlp/oidc, otlp/users, zipkin], exporters: [otlp/0, otlp/1, otlp/2, \
                    otlp/3, otlp/4]}";
    let config = setup.config(&components.concat(), pipeline);
    let config = guarded(&config, "auth: {authenticator: basicauth/server}");
    let config = with_extensions(&config, STARTED, SECRETS)
        .replace("  telemetry:\n", "  telemetry:\n    logs: {level: debug}\n");
    let file = setup.write("config.yaml", &config);
    let run = |arguments: &[&str]| {
        let output = setup.command().args(arguments).arg("--config").arg(&file).output().unwrap();
        [output.stdout, output.stderr].concat()
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let shown = text(run(&["print-config", "--mode", "unredacted"]));
    assert_eq!(shown.matches("hush-").count(), 13, "what is looked for is there: {shown}");
    for format in ["yaml", "json"] {
        let masked = text(run(&["print-config", "--format", format]));
        assert!(masked.contains("[REDACTED]") && !masked.contains("hush"), "{masked}");
    }
    // An error at each line that has a secret: a key that there is not, beside it or on it.
    let secrets: Vec<usize> =
        config.lines().enumerate().filter(|(_, line)| line.contains("hush-")).map(|(at, _)| at).collect();
    for at in secrets {
        let broken: Vec<String> = config
            .lines()
            .enumerate()
            .map(
                |(number, line)| {
                    if number == at { line.replacen("hush-", "\"hush-", 1) } else { line.to_owned() }
                },
            )
            .collect();
        let file = setup.write("broken.yaml", &broken.join("\n"));
        let output = setup.command().args(["validate", "--config"]).arg(&file).output().unwrap();
        let said = text(output.stderr);
        assert!(!said.contains("hush-"), "line {}: {said}", at + 1);
    }
    // Files that cannot be used, too.
    for (name, content) in
        [("users", "hush-nameless"), ("users", "agent:$apr1$hush"), ("ours.json", "{\"hush-key\": 1}")]
    {
        let whole = fs::read(setup.path(name)).unwrap();
        setup.write(name, content);
        let output = setup.command().args(["validate", "--config"]).arg(&file).output().unwrap();
        let said = text(output.stderr);
        assert!(!output.status.success() && !said.contains("hush"), "{name}: {said}");
        fs::write(setup.path(name), whole).unwrap();
    }
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        let body = generate(Kind::Traces, 1, Compression::None, 1).remove(0).body;
        // agent:hush-inline, agent:hush-wrong
        let right = ("authorization", "Basic YWdlbnQ6aHVzaC1pbmxpbmU=");
        let wrong = ("authorization", "Basic YWdlbnQ6aHVzaC13cm9uZw==");
        let mut said = Vec::new();
        for credentials in [right, wrong] {
            let answer = post(setup.http, "/v1/traces", &[PROTOBUF, credentials], body.clone());
            assert_ne!(answer.status, 200);
            said.push(text(answer.body.to_vec()));
            let answer = grpc(setup.grpc, TRACES, &[credentials], frame(&body, false));
            said.push(format!("{answer:?}"));
        }
        // agent:hush-in-users, agent:hush-wrong
        for credentials in ["YWdlbnQ6aHVzaC1pbi11c2Vycw==", "YWdlbnQ6aHVzaC13cm9uZw=="] {
            let sent = format!("Basic {credentials}");
            let answer = post(by_users, "/v1/traces", &[PROTOBUF, ("authorization", &sent)], body.clone());
            assert_ne!(answer.status, 200);
            said.push(text(answer.body.to_vec()));
        }
        let token = token(setup.directory.path(), "ours", 600);
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        for token in [token.clone(), format!("{unsigned}.aHVzaA"), "hush-no-token".to_owned()] {
            let sent = format!("Bearer {token}");
            let answer = post(by_token, "/v1/traces", &[PROTOBUF, ("authorization", &sent)], body.clone());
            assert_ne!(answer.status, 200);
            said.push(text(answer.body.to_vec()));
        }
        said.push(text(get(setup.telemetry, "/metrics").body.to_vec()));
        said.push(sluice.stop());
        for text in said {
            for secret in ["hush", "YWdlbnQ6", &unsigned[unsigned.len() - 40..]] {
                assert!(!text.contains(secret), "{secret} shows in {text}");
            }
        }
    });
}
