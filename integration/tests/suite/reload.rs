//! SIGHUP under load: a good file takes over without a failed request, a bad one changes nothing.

use std::time::Duration;

use rustix::process::Signal;
use sluice_integration::load::Protocol;
use tokio::task::block_in_place;

use crate::lifecycle::{load, sink};
use crate::support::{Setup, eventually};

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
    let load = load(target, protocol, Duration::from_secs(4));
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
