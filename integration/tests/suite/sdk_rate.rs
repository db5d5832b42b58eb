//! One busy SDK through `batch` and an exporter whose queue answers with the result.

use std::net::SocketAddr;

use serde_json::Value;
use sluice_integration::sink::{Options, Sink};

use crate::support::{Setup, python};

const ATTEMPTS: usize = 3;

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
        // A machine that is busy with something else starves the client, which then drops spans by itself.
        for _ in 0..ATTEMPTS {
            let before = sink.counts().items;
            let endpoint = format!("http://{}", setup.grpc);
            let Some(report) = python("rate.py", &["--endpoint", &endpoint, "--rate", "10000"]) else {
                return;
            };
            let report: Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["failed"], 0, "{report}");
            let arrived = sink.counts().items - before;
            assert_eq!(report["exported"], arrived, "what was answered had not arrived: {report}");
            if report["exported"] == report["ended"] && report["seconds"].as_f64().unwrap() < 6.0 {
                sluice.stop();
                return;
            }
            reports.push(report);
        }
        panic!("the SDK dropped spans: {reports:?}");
    });
}
