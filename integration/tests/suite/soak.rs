//! Hours under a fixed load: memory and disk stay as they are, and nothing is lost.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sluice_integration::load::{Load, Plan, Protocol};
use sluice_integration::payload::{Compression, Kind};
use tokio::task::block_in_place;

use crate::lifecycle::sink;
use crate::support::{Setup, eventually};

/// Spans a second by gRPC, and data points by HTTP.
const RATES: (u64, u64) = (20_000, 5_000);
/// How much more may be resident in the last quarter than in the second one, in bytes.
const GROWTH: u64 = 4 << 20;
/// How much a queue that is always almost empty may take on disk: a segment that is written and one that is left.
const ON_DISK: u64 = 3 * (32 << 20);

fn config(setup: &Setup, sink: &sluice_integration::sink::Sink) -> String {
    let config = setup.config(
        &format!(
            "processors:
  batch: {{timeout: 200ms}}
  attributes: {{actions: [{{key: soaked, value: 'yes', action: upsert}}]}}
extensions:
  file_storage: {{directory: {}, create_directory: true}}
exporters:
  otlp/durable: {{endpoint: '{}', tls: {{insecure: true}}, sending_queue: {{storage: file_storage}}}}
  otlp/memory: {{endpoint: '{}', tls: {{insecure: true}}}}",
            setup.path("queues").display(),
            sink.grpc,
            sink.grpc
        ),
        "    traces: {receivers: [otlp], processors: [attributes], exporters: [otlp/durable]}
    metrics: {receivers: [otlp], processors: [batch], exporters: [otlp/memory]}",
    );
    config.replace("service:\n", "service:\n  extensions: [file_storage]\n")
}

fn on_disk(directory: &Path) -> u64 {
    let sizes = fs::read_dir(directory).into_iter().flatten().map(|entry| {
        let path = entry.unwrap().path();
        // Files come and go meanwhile.
        if path.is_dir() { on_disk(&path) } else { fs::metadata(&path).map_or(0, |file| file.len()) }
    });
    sizes.sum()
}

fn mean(values: &[u64]) -> u64 {
    values.iter().sum::<u64>() / values.len().max(1) as u64
}

/// An hour, or `SLUICE_SOAK_SECONDS`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour, or SLUICE_SOAK_SECONDS"]
async fn memory_and_disk_stay_as_they_are() {
    let seconds: u64 =
        std::env::var("SLUICE_SOAK_SECONDS").map_or(3600, |text| text.parse().expect("SLUICE_SOAK_SECONDS"));
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::alone();
    let sluice = block_in_place(|| setup.start(&config(&setup, &sink), setup.grpc));
    let load = |protocol: Protocol, kind: Kind, rate: u64| {
        let plan = Plan {
            target: if protocol == Protocol::Grpc { setup.grpc } else { setup.http },
            protocol,
            kind,
            batch: 100,
            compression: Compression::None,
            connections: 4,
            in_flight: 4,
            rate: Some(rate),
            duration: Duration::from_secs(seconds),
            encrypted: false,
        };
        tokio::spawn(async move { Load::prepare(plan).unwrap().run_as_planned().await.unwrap() })
    };
    let loads = [load(Protocol::Grpc, Kind::Traces, RATES.0), load(Protocol::Http, Kind::Metrics, RATES.1)];

    let begin = Instant::now();
    let mut resident = Vec::new();
    let mut most_on_disk = 0;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while begin.elapsed() < Duration::from_secs(seconds) {
        ticks.tick().await;
        resident.push(sluice.process.usage().unwrap().resident);
        most_on_disk = most_on_disk.max(on_disk(&setup.path("queues")));
    }
    let mut accepted = 0;
    for load in loads {
        let report = load.await.unwrap();
        assert!(report.failed == 0 && report.rejected == 0, "{:?}", report.failures);
        accepted += report.accepted;
    }
    let wanted = (RATES.0 + RATES.1) * seconds;
    assert!(accepted > wanted * 9 / 10, "{accepted} of {wanted} were sent");
    block_in_place(|| eventually("everything arrives", || sink.counts().items >= accepted));

    let quarter = resident.len() / 4;
    let (early, late) = (mean(&resident[quarter..2 * quarter]), mean(&resident[3 * quarter..]));
    println!(
        "{accepted} items in {seconds} s; resident {} MiB in the second quarter, {} MiB in the last, {} MiB at most; \
         {} MiB on disk at most",
        early >> 20,
        late >> 20,
        resident.iter().max().unwrap() >> 20,
        most_on_disk >> 20
    );
    assert!(late <= early + GROWTH, "{early} bytes were resident in the second quarter, {late} in the last");
    assert!(most_on_disk <= ON_DISK, "{most_on_disk} bytes were on disk");
    block_in_place(|| sluice.stop());
}
