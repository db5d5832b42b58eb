//! One busy SDK through `batch` and an exporter whose queue answers with the result.

use std::net::SocketAddr;

use serde_json::Value;
use sluice_integration::sink::{Options, Sink};

use crate::support::{Setup, python};

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
    let report = tokio::task::block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        let report = python("rate.py", &["--endpoint", &format!("http://{}", setup.grpc), "--rate", "10000"]);
        sluice.stop();
        report
    });
    let Some(report) = report else { return };
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["exported"], report["ended"], "the SDK dropped spans: {report}");
    assert_eq!(sink.counts().items, report["ended"].as_u64().unwrap(), "{report}");
    assert!(report["seconds"].as_f64().unwrap() < 6.0, "the client did not keep its rate: {report}");
}
