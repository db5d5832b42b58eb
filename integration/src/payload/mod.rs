//! Realistic telemetry, encoded before the clock starts: the generator costs next to nothing while it runs.

mod attributes;
mod compress;
mod logs;
mod metrics;
mod skywalking;
mod traces;
mod zipkin;
pub mod zipkin_v1;

use bytes::Bytes;
use fastrand::Rng;
use sluice_pipeline::Signal;
use sluice_pipeline::otlp::write::Writer;

pub use compress::{Compression, compress, decompress};

/// What a load consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// OTLP spans of about 368 bytes with 7 attributes.
    Traces,
    /// OTLP data points: gauges, sums and histograms with 4 attributes.
    Metrics,
    /// OTLP log records with 5 attributes and a trace context.
    Logs,
    /// Zipkin v2 JSON spans of about 650 bytes with 6 tags.
    Zipkin,
    /// SkyWalking's segments of 5 spans with 5 tags each, as a stream.
    Segments,
    /// Envoy's access log entries of about 1 KB, as a stream.
    EnvoyLogs,
}

/// A request body, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Payload {
    /// How many items it holds.
    pub items: usize,
    /// Its encoded and compressed bytes, without any framing.
    pub body: Bytes,
}

/// How many items share a resource, as in what a gateway sees from its agents.
const ITEMS_PER_RESOURCE: usize = 500;

/// How many items share a scope.
const ITEMS_PER_SCOPE: usize = 250;

/// `count` different requests of `items` items each. The same arguments give the same bytes.
#[must_use]
pub fn generate(kind: Kind, items: usize, compression: Compression, count: usize) -> Vec<Payload> {
    (0..count)
        .map(|index| {
            let mut random = Rng::with_seed(index as u64 + 1);
            let plain = match kind {
                Kind::Traces => otlp(&mut random, items, traces::span),
                Kind::Metrics => otlp(&mut random, items, metrics::metric),
                Kind::Logs => otlp(&mut random, items, logs::record),
                Kind::Zipkin => zipkin::spans(&mut random, items),
                Kind::Segments => skywalking::segments(&mut random, items),
                Kind::EnvoyLogs => skywalking::envoy_logs(&mut random, items),
            };
            Payload { items, body: compress(plain, compression) }
        })
        .collect()
}

impl Kind {
    /// Whether a request is a stream of messages that are framed already.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Segments | Self::EnvoyLogs)
    }

    /// The OTLP signal, which what others send becomes too.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::Traces | Self::Zipkin | Self::Segments => Signal::Traces,
            Self::Metrics => Signal::Metrics,
            Self::Logs | Self::EnvoyLogs => Signal::Logs,
        }
    }
}

/// A whole OTLP message: resources, scopes, and items written by `item`, which numbers them from 0.
fn otlp(random: &mut Rng, items: usize, mut item: impl FnMut(&mut Writer<'_>, &mut Rng, usize)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items * 400 + 1024);
    let mut writer = Writer::new(&mut bytes);
    for start in (0..items).step_by(ITEMS_PER_RESOURCE) {
        let end = items.min(start + ITEMS_PER_RESOURCE);
        writer.message(1, |group| {
            group.message(1, |resource| attributes::resource(resource, random));
            for scope_start in (start..end).step_by(ITEMS_PER_SCOPE) {
                group.message(2, |scope_group| {
                    scope_group.message(1, |scope| {
                        scope.bytes(1, b"io.opentelemetry.contrib.http");
                        scope.bytes(2, b"1.24.0");
                    });
                    for index in scope_start..end.min(scope_start + ITEMS_PER_SCOPE) {
                        item(scope_group, random, index);
                    }
                });
            }
            group.bytes(3, b"https://opentelemetry.io/schemas/1.26.0");
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::count;

    #[test]
    fn the_sizes_are_those_that_the_benchmarks_name() {
        let sizes = [(Kind::Traces, 364, 372), (Kind::Zipkin, 640, 660), (Kind::EnvoyLogs, 980, 1060)];
        for (kind, low, high) in sizes {
            let payload = generate(kind, 1000, Compression::None, 1).remove(0);
            let size = payload.body.len() / payload.items;
            assert!((low..=high).contains(&size), "{kind:?}: {size} bytes an item");
        }
    }

    #[test]
    fn every_kind_holds_the_items_it_claims() {
        for kind in [Kind::Traces, Kind::Metrics, Kind::Logs] {
            for items in [1, 250, 1001] {
                let payload = generate(kind, items, Compression::None, 1).remove(0);
                assert_eq!(count::items(kind.signal(), &payload.body), Some(items), "{kind:?}");
            }
        }
    }

    #[test]
    fn streams_hold_the_items_they_claim() {
        for (kind, path) in
            [(Kind::Segments, count::SEGMENTS), (Kind::EnvoyLogs, sluice_protocols::envoy::ACCESS_LOGS)]
        {
            let payload = generate(kind, 1001, Compression::None, 1).remove(0);
            assert_eq!(count::stream(path, &payload.body), Some(Some(1001)), "{kind:?}");
        }
    }

    #[test]
    fn two_requests_differ_and_repeat_from_run_to_run() {
        let first = generate(Kind::Traces, 10, Compression::None, 2);
        let again = generate(Kind::Traces, 10, Compression::None, 2);
        assert_ne!(first[0].body, first[1].body);
        assert_eq!(first[1].body, again[1].body);
    }

    #[test]
    fn compressed_requests_decompress_to_the_plain_ones() {
        for (kind, compression) in [(Kind::Traces, Compression::Gzip), (Kind::Logs, Compression::Zstd)] {
            let plain = generate(kind, 500, Compression::None, 1).remove(0);
            let packed = generate(kind, 500, compression, 1).remove(0);
            let share = packed.body.len() * 100 / plain.body.len();
            assert!(
                (15..60).contains(&share),
                "{compression:?}: {share} % is not what telemetry compresses to"
            );
            assert_eq!(decompress(&packed.body, compression).unwrap(), plain.body);
        }
    }

    #[test]
    fn zipkin_spans_are_json() {
        let payload = generate(Kind::Zipkin, 100, Compression::None, 1).remove(0);
        let spans: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
        let spans = spans.as_array().unwrap();
        assert_eq!(spans.len(), 100);
        assert!(spans.iter().all(|span| span["tags"].as_object().unwrap().len() == 6));
    }
}
