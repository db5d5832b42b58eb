//! Resident memory under more than a small memory limit has room for: the limit and what the design allows beside it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sluice_integration::load::{Load, Plan, Protocol};
use sluice_integration::payload::{Compression, Kind, compress, generate};
use sluice_integration::sink::Sink;
use sluice_pipeline::{Signal, otlp::json};
use tokio::task::block_in_place;

use crate::lifecycle::sink;
use crate::support::{Setup, Sluice, post};

const LIMIT_MIB: u64 = 64;

/// Sluice with a memory limit before a sink that takes this long for each request.
fn start(setup: &Setup, sink: &Sink, queue: &str, address: SocketAddr) -> Sluice {
    let components = format!(
        "processors:
  memory_limiter:
    check_interval: 1s
    limit_mib: {LIMIT_MIB}
exporters:
  otlp:
    endpoint: {}
    compression: none
    tls:
      insecure: true
{queue}",
        sink.grpc
    );
    let pipelines = "    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}";
    let config = setup.config(&components, pipelines);
    setup.start(&config.replace("      grpc:\n", "      grpc:\n        max_recv_msg_size_mib: 64\n"), address)
}

/// Five times as many spans as the destination takes: ten consumers with 200 ms a request of 1,000 are 50,000 a second.
async fn five_times_too_much(protocol: Protocol) {
    let sink = sink(Duration::from_millis(200)).await;
    let setup = Setup::alone();
    let target = if protocol == Protocol::Grpc { setup.grpc } else { setup.http };
    let sluice = block_in_place(|| start(&setup, &sink, "", target));
    let load = Load::prepare(Plan {
        target,
        protocol,
        kind: Kind::Traces,
        batch: 1000,
        compression: Compression::None,
        connections: 32,
        in_flight: 4,
        rate: Some(250_000),
        duration: Duration::from_secs(5),
        encrypted: false,
    })
    .unwrap();
    let report = load.run_as_planned().await.unwrap();
    assert!(report.failed > 0 && report.accepted > 0, "this was no overload: {report:?}");
    sluice.assert_within(LIMIT_MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_over_grpc() {
    five_times_too_much(Protocol::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_over_http() {
    five_times_too_much(Protocol::Http).await;
}

/// Bodies of this many spans, as OTLP/JSON: about a kilobyte each.
fn json(spans: usize) -> Bytes {
    let encoded = generate(Kind::Traces, spans, Compression::None, 1).remove(0).body;
    let mut text = Vec::new();
    json::encode(Signal::Traces, &[&encoded], &mut text);
    text.into()
}

/// Large bodies of every size, one after another and several at once, plain and compressed.
#[tokio::test(flavor = "multi_thread")]
async fn large_json_bodies() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::alone();
    let queue = "    sending_queue:\n      enabled: false";
    block_in_place(|| {
        let sluice = start(&setup, &sink, queue, setup.http);
        let plain: Vec<Bytes> = [1, 2, 4, 6, 9, 12, 15].map(|size| json(size * 1000)).into();
        let packed: Vec<Bytes> =
            plain.iter().map(|body| compress(body.to_vec(), Compression::Gzip)).collect();
        let mut taken = 0;
        for body in plain.iter().chain(&plain) {
            let answer = post(setup.http, "/v1/traces", &[JSON], body.clone());
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            taken += usize::from(answer.status == 200);
        }
        assert!(taken >= plain.len(), "most bodies have room: {taken}");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for (plain, packed) in plain.iter().zip(&packed) {
                        for (headers, body) in
                            [(&[JSON][..], plain), (&[JSON, ("content-encoding", "gzip")], packed)]
                        {
                            let answer = post(setup.http, "/v1/traces", headers, body.clone());
                            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
                        }
                    }
                });
            }
        });
        sluice.assert_within(LIMIT_MIB);
        sluice.stop();
    });
}
