//! Mutual TLS through the running server: only clients with a certificate of the right CA, in its time, get through.
//! The clients are `curl` and `openssl s_client`.

use std::fs;
use std::net::SocketAddr;
use std::process::{Output, Stdio};

use sluice_integration::payload::{Compression, Kind, generate};
use sluice_integration::transport::frame;
use tokio::task::block_in_place;

use crate::lifecycle::sink;
use crate::support::certificates::{authority, issue};
use crate::support::{Setup, eventually, get, program};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Each client presents the certificate `<name>.crt` with `<name>.key`, the last one none.
const CLIENTS: [(&str, bool); 4] = [("good", true), ("stranger", false), ("expired", false), ("", false)];

fn certificates(setup: &Setup) {
    let ours = authority("ours");
    setup.write("ca.crt", &ours.pem());
    issue(setup, &ours, "server", 4000);
    issue(setup, &ours, "good", 4000);
    issue(setup, &ours, "expired", 2021);
    issue(setup, &authority("theirs"), "stranger", 4000);
}

/// A request with curl, and how it ended.
fn curl(setup: &Setup, client: &str, port: u16, path: &str, arguments: &[&str]) -> Output {
    let mut curl = setup.program("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert", "ca.crt"]);
    curl.args(["--output", "/dev/null", "--dump-header", "headers", "--write-out", "%{http_code}"]);
    if !client.is_empty() {
        curl.args(["--cert", &format!("{client}.crt"), "--key", &format!("{client}.key")]);
    }
    curl.args(arguments).arg(format!("https://localhost:{port}{path}")).output().unwrap()
}

/// Whether the handshake came about, by TLS 1.2: there the client learns of it in the handshake itself.
fn shakes_hands(setup: &Setup, client: &str, server: SocketAddr) -> bool {
    let mut openssl = setup.program("openssl");
    openssl.args(["s_client", "-tls1_2", "-verify_return_error", "-CAfile", "ca.crt"]);
    openssl.args(["-connect", &format!("localhost:{}", server.port()), "-alpn", "h2"]);
    if !client.is_empty() {
        openssl.args(["-cert", &format!("{client}.crt"), "-key", &format!("{client}.key")]);
    }
    openssl.stdin(Stdio::null()).output().unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_the_right_authority_get_through() {
    if [program("curl"), program("openssl")].contains(&None) {
        return;
    }
    let sink = sink(std::time::Duration::ZERO).await;
    let setup = Setup::new();
    certificates(&setup);
    let tls = "tls: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt}";
    let exporter = format!(
        "exporters:\n  otlp:\n    endpoint: {}\n    tls:\n      insecure: true\n    sending_queue:\n      enabled: false",
        sink.grpc
    );
    let config = setup
        .config(&exporter, "    traces: {receivers: [otlp], exporters: [otlp]}")
        .replace("      grpc:\n", &format!("      grpc:\n        {tls}\n"))
        .replace("      http:\n", &format!("      http:\n        {tls}\n"));
    let body = generate(Kind::Traces, 2, Compression::None, 1).remove(0).body;
    fs::write(setup.path("http"), &body).unwrap();
    fs::write(setup.path("grpc"), frame(&body, false)).unwrap();
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        let refused = || {
            let metrics = String::from_utf8(get(setup.telemetry, "/metrics").body.to_vec()).unwrap();
            let handshakes = metrics.lines().filter(|line| line.contains("reason=\"handshake\""));
            handshakes.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
        };
        let mut taken = 0;
        for (client, welcome) in CLIENTS {
            let refused_before = refused();
            let type_of = |name: &str| format!("content-type: {name}");
            let http = curl(
                &setup,
                client,
                setup.http.port(),
                "/v1/traces",
                &["--header", &type_of("application/x-protobuf"), "--data-binary", "@http"],
            );
            assert_eq!(http.status.success(), welcome, "{client} over HTTP: {http:?}");
            let grpc = curl(
                &setup,
                client,
                setup.grpc.port(),
                TRACES,
                &[
                    "--http2",
                    "--header",
                    &type_of("application/grpc"),
                    "--header",
                    "te: trailers",
                    "--data-binary",
                    "@grpc",
                ],
            );
            assert_eq!(grpc.status.success(), welcome, "{client} over gRPC: {grpc:?}");
            for server in [setup.http, setup.grpc] {
                assert_eq!(shakes_hands(&setup, client, server), welcome, "{client} at {server}");
            }
            if welcome {
                assert_eq!((http.stdout, grpc.stdout), (b"200".to_vec(), b"200".to_vec()));
                let headers = fs::read_to_string(setup.path("headers")).unwrap();
                // A refusal has its status among the headers; a success has it in the trailers, which curl does not show.
                let is_success =
                    headers.contains("content-type: application/grpc") && !headers.contains("grpc-status");
                assert!(is_success, "{headers}");
                taken += 4;
                eventually("its spans arrive", || sink.counts().items == taken);
            } else {
                eventually("four handshakes are counted as refused", || refused() >= refused_before + 4);
            }
        }
        assert_eq!(sink.counts().items, taken, "a client that is not welcome got through");
        let log = sluice.stop();
        assert!(log.contains("A client's TLS handshake failed"), "{log}");
    });
}
