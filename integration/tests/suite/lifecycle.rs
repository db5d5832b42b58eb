//! Start and end: signals, drain, ports in use, exit codes.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sluice_integration::load::{Load, Plan, Protocol};
use sluice_integration::payload::{Compression, Kind};
use sluice_integration::sink::{Options, Sink};
use tokio::task::block_in_place;

use crate::support::{Setup, eventually};

const PIPELINE: &str = "    traces: {receivers: [otlp], processors: [batch], exporters: [otlp]}";

fn to_sink(sink: &Sink) -> String {
    format!(
        "processors:\n  batch:\nexporters:\n  otlp:\n    endpoint: {}\n    tls:\n      insecure: true",
        sink.grpc
    )
}

pub(crate) async fn sink(delay: Duration) -> Sink {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Sink::start(any, any, Options { delay }).await.unwrap()
}

pub(crate) fn load(target: SocketAddr, protocol: Protocol, duration: Duration) -> Load {
    Load::prepare(Plan {
        target,
        protocol,
        kind: Kind::Traces,
        batch: 100,
        compression: Compression::None,
        connections: 2,
        in_flight: 2,
        rate: Some(20_000),
        duration,
        encrypted: false,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_what_was_accepted_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let sink = sink(Duration::from_millis(20)).await;
        let setup = Setup::new();
        let sluice = block_in_place(|| setup.start(&setup.config(&to_sink(&sink), PIPELINE), setup.grpc));
        let load = load(setup.grpc, Protocol::Grpc, Duration::from_secs(6));
        let sending = tokio::spawn(async move { load.run_as_planned().await.unwrap() });
        block_in_place(|| eventually("spans arrive", || sink.counts().items > 5_000));
        sluice.process.signal(signal).unwrap();
        let (status, log) = block_in_place(|| sluice.wait());
        assert_eq!(status.code(), Some(0), "{log}");
        let report = sending.await.unwrap();
        assert!(report.failed > 0, "the load outlived Sluice and saw no refusal: {report:?}");
        // A request may have been delivered whose answer no longer reached the client, never the other way round.
        let arrived = sink.counts().items;
        assert!(
            arrived >= report.accepted,
            "{} spans of {} are lost\n{log}",
            report.accepted - arrived,
            report.accepted
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let sink = sink(Duration::from_secs(60)).await;
    let setup = Setup::new();
    let sluice = block_in_place(|| setup.start(&setup.config(&to_sink(&sink), PIPELINE), setup.grpc));
    load(setup.grpc, Protocol::Grpc, Duration::from_millis(100)).run_as_planned().await.unwrap();
    block_in_place(|| {
        sluice.process.signal(Signal::TERM).unwrap();
        eventually("it says that it drains", || sluice.log().contains("draining"));
        let begin = Instant::now();
        sluice.process.signal(Signal::TERM).unwrap();
        let (status, log) = sluice.wait();
        assert!(!status.success(), "data was left behind, and yet it ended with success\n{log}");
        assert!(begin.elapsed() < Duration::from_secs(3), "it took {:?}", begin.elapsed());
    });
}

#[test]
fn a_port_in_use_names_the_component_and_the_process() {
    let setup = Setup::new();
    let taken = TcpListener::bind(setup.grpc).unwrap();
    let config = setup.config("exporters:\n  debug:", "    traces: {receivers: [otlp], exporters: [debug]}");
    let (status, log) = setup.spawn(&setup.write("config.yaml", &config)).wait();
    drop(taken);
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("otlp"), "the component is not named: {log}");
    assert!(log.contains(&setup.grpc.port().to_string()), "the port is not named: {log}");
    assert!(log.contains(&std::process::id().to_string()), "the process that holds it is not named: {log}");
}

/// Clients were told that what is in a memory queue is taken. If it cannot be handed on, that is no success.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_loses_something_says_so_and_ends_with_1() {
    let setup = Setup::new();
    let nobody = sluice_integration::process::free_address().unwrap();
    let queue = format!("exporters:\n  otlp:\n    endpoint: {nobody}\n    tls:\n      insecure: true");
    let config = setup.config(&queue, "    traces: {receivers: [otlp], exporters: [otlp]}");
    let sluice = block_in_place(|| setup.start(&config, setup.grpc));
    let load = load(setup.grpc, Protocol::Grpc, Duration::from_millis(300));
    let report = load.run_as_planned().await.unwrap();
    assert!(report.accepted > 0, "{report:?}");
    block_in_place(|| {
        sluice.process.signal(Signal::TERM).unwrap();
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(1), "{log}");
        let lost = format!("exporter otlp lost {} items", report.accepted);
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("Error: stopped without having handed on everything: ") && last.contains(&lost),
            "{log}"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_ends_with_1() {
    let sink = sink(Duration::from_secs(60)).await;
    let setup = Setup::new();
    let config = setup.write("config.yaml", &setup.config(&to_sink(&sink), PIPELINE));
    let mut sluice = setup.spawn_with(&config, &["--drain-timeout", "1s"]);
    block_in_place(|| sluice.process.wait_until_listening(setup.grpc, crate::support::PATIENCE).unwrap());
    let report = load(setup.grpc, Protocol::Grpc, Duration::from_millis(100)).run_as_planned().await.unwrap();
    block_in_place(|| {
        sluice.process.signal(Signal::TERM).unwrap();
        let begin = Instant::now();
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("lost {} items", report.accepted)), "{log}");
    });
}

/// The file exporter's path, when Sluice starts and not at the first batch.
#[test]
fn a_path_that_cannot_be_written_fails_the_start_at_its_place() {
    let setup = Setup::new();
    let config = setup.config(
        "exporters:\n  file:\n    path: missing/out.json",
        "    traces: {receivers: [otlp], exporters: [file]}",
    );
    let file = setup.write("config.yaml", &config);
    let checked = setup.command().args(["validate", "--config"]).arg(&file).output().unwrap();
    assert!(
        checked.status.success(),
        "validate touches nothing: {}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let (status, log) = setup.spawn(&file).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    let line = config.lines().position(|line| line.contains("missing/out.json")).unwrap() + 1;
    assert!(
        log.contains(&format!("config.yaml:{line}:11: error: cannot write to missing/out.json")),
        "{log}"
    );
    assert!(log.contains("exporter \"file\""), "{log}");
}

#[test]
fn no_configuration_at_all_is_explained() {
    let setup = Setup::new();
    let (status, log) = setup.spawn(&setup.path("missing.yaml")).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("missing.yaml"), "{log}");
}

#[test]
fn a_file_of_the_collector_runs_without_a_subcommand() {
    let setup = Setup::new();
    let config = setup.config("exporters:\n  debug:", "    traces: {receivers: [otlp], exporters: [debug]}");
    let file = setup.write("config.yaml", &config);
    let mut command = sluice_integration::process::tied(&crate::support::executable());
    command.arg("--config").arg(file);
    let mut process =
        sluice_integration::process::Process::start(&mut command, &setup.path("plain.log")).unwrap();
    process.wait_until_listening(setup.grpc, crate::support::PATIENCE).unwrap();
    assert!(process.stop(crate::support::PATIENCE).unwrap().success());
}
