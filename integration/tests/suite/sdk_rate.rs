//! One busy SDK through `batch` and an exporter whose queue answers with the result.

use std::net::SocketAddr;

use serde_json::Value;
use sluice_integration::sink::{Options, Sink};

use crate::support::{Setup, python};

const ATTEMPTS: usize = 3;
/// Spans a second. The first is what Sluice must take from one SDK; the others are for machines on which the SDK by itself
/// does not get so far.
const RATES: [u32; 4] = [10_000, 7_000, 5_000, 3_500];

/// What the SDK reports; `None` if it is not installed.
fn report(endpoint: SocketAddr, rate: u32) -> Option<Value> {
    let arguments = ["--endpoint", &format!("http://{endpoint}"), "--rate", &rate.to_string()];
    Some(serde_json::from_str(&python("rate.py", &arguments)?).unwrap())
}

/// Whether the SDK kept its rate and dropped nothing.
fn kept(report: &Value) -> bool {
    report["exported"] == report["ended"] && report["seconds"].as_f64().unwrap() < 6.0
}

/// The SDK exports serially: were its calls held for the batch timeout, it would have to drop spans.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_spans_a_second_lose_none() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let sink = Sink::start(any, any, Options::default()).await.unwrap();
    let setup = Setup::alone();
    let config = setup.config(
        &format!(
            "processors:
  batch:
exporters:
  otlp:
    endpoint: {}
    tls:
      insecure: true
    sending_queue:
      wait_for_result: true",
            sink.grpc
        ),
        "    traces: {receivers: [otlp], processors: [batch], exporters: [otlp]}",
    );
    tokio::task::block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        let mut reports = Vec::new();
        for rate in RATES {
            // Straight to the sink: what the SDK drops there, it drops by itself.
            let Some(bare) = report(sink.grpc, rate) else { return };
            if !kept(&bare) {
                println!("the SDK by itself does not keep {rate} spans a second on this machine: {bare}");
                continue;
            }
            // A machine that is busy with something else starves the client.
            for _ in 0..ATTEMPTS {
                let before = sink.counts().items;
                let Some(report) = report(setup.grpc, rate) else { return };
                assert_eq!(report["failed"], 0, "{report}");
                let arrived = sink.counts().items - before;
                assert_eq!(report["exported"], arrived, "what was answered had not arrived: {report}");
                if kept(&report) {
                    println!("{rate} spans a second, none dropped");
                    sluice.stop();
                    return;
                }
                reports.push(report);
            }
            // A rate at which the SDK alone is at its limit says nothing of what is behind it.
        }
        panic!("the SDK dropped spans: {reports:?}");
    });
}
