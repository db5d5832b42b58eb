//! SIGHUP under load: a good file takes over without a failed request, a bad one changes nothing.

use std::time::Duration;

use rustix::process::Signal;
use sluice_integration::load::Protocol;
use tokio::task::block_in_place;

use crate::lifecycle::{load, sink};
use crate::support::{Setup, eventually, get};

fn config(setup: &Setup, endpoint: std::net::SocketAddr, extra: &str) -> String {
    setup.config(
        &format!("exporters:\n  otlp:\n    endpoint: {endpoint}\n    tls:\n      insecure: true\n{extra}"),
        "    traces: {receivers: [otlp], exporters: [otlp]}",
    )
}

async fn moves_to_the_new_destination(protocol: Protocol) {
    let (first, second) = (sink(Duration::ZERO).await, sink(Duration::ZERO).await);
    let setup = Setup::new();
    let sluice = block_in_place(|| setup.start(&config(&setup, first.grpc, ""), setup.grpc));
    let target = if protocol == Protocol::Grpc { setup.grpc } else { setup.http };
    let load = load(target, protocol, Duration::from_secs(8));
    let sending = tokio::spawn(async move { load.run_as_planned().await.unwrap() });
    block_in_place(|| {
        eventually("spans arrive at the first", || first.counts().items > 5_000);

        setup.write("config.yaml", &config(&setup, second.grpc, "    no_such_key: 1\n"));
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("the bad file is reported", || sluice.log().contains("no_such_key"));
        let before = first.counts().items;
        eventually("spans still arrive at the first", || first.counts().items > before + 1_000);
        assert_eq!(second.counts().items, 0, "the bad file took effect");

        setup.write("config.yaml", &config(&setup, second.grpc, ""));
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("spans arrive at the second", || second.counts().items > 5_000);
    });
    let report = sending.await.unwrap();
    let log = block_in_place(|| sluice.stop());
    assert_eq!(report.failed, 0, "{:?}\n{log}", report.failures);
    assert_eq!(
        first.counts().items + second.counts().items,
        report.accepted,
        "spans were lost or doubled\n{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_grpc_call_fails() {
    moves_to_the_new_destination(Protocol::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_http_request_fails() {
    moves_to_the_new_destination(Protocol::Http).await;
}

/// `service.telemetry` takes effect at a reload: level, encoding and place of logs, address and level of metrics.
#[tokio::test(flavor = "multi_thread")]
async fn telemetry_changes_without_a_restart() {
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let elsewhere = sluice_integration::process::free_address().unwrap();
    let queue_age = "sluice_exporter_queue_oldest_seconds";
    block_in_place(|| {
        let before = config(&setup, sink.grpc, "");
        let sluice = setup.start(&before, setup.grpc);
        let metrics = |server| String::from_utf8(get(server, "/metrics").body.to_vec()).unwrap();
        assert!(metrics(setup.telemetry).contains(queue_age), "normal is the default");

        let port = format!("port: {}", setup.telemetry.port());
        let after = before.replace(&port, &format!("port: {}", elsewhere.port())).replace(
            "  telemetry:\n    metrics:\n",
            "  telemetry:\n    logs:\n      level: debug\n      encoding: json\n      output_paths: [other.log]\n    \
             metrics:\n      level: basic\n",
        );
        setup.write("config.yaml", &after);
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("metrics are served at the new address", || {
            std::net::TcpStream::connect(elsewhere).is_ok()
        });
        eventually("nothing listens at the old one", || {
            std::net::TcpStream::connect(setup.telemetry).is_err()
        });
        let basic = metrics(elsewhere);
        assert!(basic.contains("otelcol_process_uptime") && !basic.contains(queue_age), "{basic}");
        let other = || std::fs::read_to_string(setup.path("other.log")).unwrap_or_default();
        eventually("logs go to the other file", || other().contains("The new configuration is in place"));
        let log = other();
        assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");

        let wrong = after.replace("encoding: json", "encoding: jsn");
        setup.write("config.yaml", &wrong);
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("the wrong one is refused", || other().contains("was refused"));
        assert!(metrics(elsewhere).contains("otelcol_process_uptime"), "and nothing has changed");

        setup.write("config.yaml", &after.replace("level: basic", "level: none"));
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("level none serves nothing", || std::net::TcpStream::connect(elsewhere).is_err());
        assert!(sluice.log().lines().count() < 10, "the rest went elsewhere: {}", sluice.log());
        sluice.stop();
    });
}
