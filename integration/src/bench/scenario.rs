//! What is measured: the load, Sluice's configuration for it, and who takes part.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use sluice_pipeline::Signal;

use super::System;
use crate::Outcome;
use crate::load::{Plan, Protocol};
use crate::payload::{Compression, Kind, generate};
use crate::sink::Sink;

/// A load and a configuration.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    pub(super) systems: &'static [System],
    kind: Kind,
    protocol: Protocol,
    batch: usize,
    compression: Compression,
    /// Items a second; flat out if absent.
    rate: Option<u64>,
    /// How long the sink keeps each request.
    pub(super) sink_delay: Duration,
    /// Whether refused items are what is expected of a system under too much load.
    pub(super) refusals: bool,
    connections: usize,
    /// Calls that wait for their answer on each connection.
    in_flight: usize,
    processors: &'static [&'static str],
    exporter: Exporter,
    target: Target,
    /// Whether clients come with TLS 1.3.
    encrypted: bool,
}

/// What Sluice's exporter does with its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exporter {
    /// Without a queue: the caller waits for the sink's answer, as at the relay.
    Direct,
    /// The Collector's default: a queue in memory.
    Queue,
    /// The same, with callers that wait for room instead of being refused.
    Waiting,
    /// The queue on disk, with callers that wait for room; whether it is synced before they are answered.
    Durable {
        /// `fsync`.
        sync: bool,
    },
}

/// What Sluice sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// OTLP.
    Otlp,
    /// What SkyWalking's OAP takes, made from OTLP.
    Oap,
    /// The bytes as they came, relayed to OAP: no pipeline takes them.
    Relayed,
}

use System::{Loop, Relay, Rotel, Sluice};

const BASE: Scenario = Scenario {
    name: "",
    about: "",
    systems: &[Sluice],
    kind: Kind::Traces,
    protocol: Protocol::Grpc,
    batch: 1000,
    compression: Compression::None,
    rate: None,
    sink_delay: Duration::ZERO,
    refusals: false,
    connections: 4,
    in_flight: 4,
    processors: &[],
    exporter: Exporter::Direct,
    target: Target::Otlp,
    encrypted: false,
};

const ONE: Scenario = Scenario { connections: 1, in_flight: 1, ..BASE };
const EIGHT: Scenario = Scenario { connections: 4, in_flight: 2, ..BASE };
const SIXTY_FOUR: Scenario = Scenario { connections: 8, in_flight: 8, ..BASE };

/// With ten consumers, the default, and this delay the sink takes 50,000 spans a second in batches of 1,000.
const SLOW_SINK: Duration = Duration::from_millis(200);

const OVERLOAD: Scenario = Scenario {
    sink_delay: SLOW_SINK,
    refusals: true,
    connections: 32,
    processors: &["memory_limiter"],
    exporter: Exporter::Queue,
    ..BASE
};

/// All of them, in the order of the report.
pub static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "grpc",
        about: "OTLP/gRPC in, OTLP/gRPC out, uncompressed, batches of 1,000",
        systems: &[Relay, Sluice],
        ..BASE
    },
    Scenario { name: "grpc-tls", about: "the same with TLS 1.3 from the client on", encrypted: true, ..BASE },
    Scenario {
        name: "grpc-attributes",
        about: "the same with an attributes processor that touches every span",
        processors: &["attributes"],
        ..BASE
    },
    Scenario {
        name: "grpc-logs",
        about: "log records instead of spans",
        systems: &[Relay, Sluice],
        kind: Kind::Logs,
        ..BASE
    },
    Scenario {
        name: "grpc-metrics",
        about: "data points instead of spans",
        systems: &[Relay, Sluice],
        kind: Kind::Metrics,
        ..BASE
    },
    Scenario {
        name: "grpc-gzip",
        about: "gzip both ways, spans untouched",
        systems: &[Relay, Sluice, Rotel],
        compression: Compression::Gzip,
        ..BASE
    },
    Scenario {
        name: "grpc-gzip-attributes",
        about: "gzip both ways (level 1 out), every span touched",
        systems: &[Sluice, Rotel],
        compression: Compression::Gzip,
        processors: &["attributes"],
        ..BASE
    },
    Scenario {
        name: "grpc-zstd-attributes",
        about: "zstd both ways, every span touched",
        compression: Compression::Zstd,
        processors: &["attributes"],
        ..BASE
    },
    Scenario {
        name: "grpc-batch",
        about: "requests of 50 spans through the batch processor and the default queue",
        batch: 50,
        processors: &["batch"],
        exporter: Exporter::Queue,
        ..BASE
    },
    Scenario {
        name: "http",
        about: "OTLP/HTTP in, OTLP/gRPC out, uncompressed, batches of 1,000",
        protocol: Protocol::Http,
        ..BASE
    },
    Scenario {
        name: "zipkin",
        about: "Zipkin JSON v2 in (650 B, 6 tags, 100 a request), OTLP/gRPC out",
        kind: Kind::Zipkin,
        protocol: Protocol::Http,
        batch: 100,
        ..BASE
    },
    Scenario {
        name: "skywalking",
        about: "SkyWalking segments in and out (5 spans of 5 tags each), streams of 1,000 spans",
        systems: &[Relay, Sluice],
        kind: Kind::Segments,
        target: Target::Oap,
        ..BASE
    },
    Scenario {
        name: "skywalking-otlp",
        about: "the same segments in, OTLP/gRPC out",
        kind: Kind::Segments,
        ..BASE
    },
    Scenario {
        name: "skywalking-1000-agents",
        about: "1,000 connections, each of which sends a stream of 20 spans a second: resident memory",
        kind: Kind::Segments,
        batch: 20,
        rate: Some(20_000),
        connections: 1000,
        in_flight: 1,
        target: Target::Oap,
        ..BASE
    },
    Scenario {
        name: "envoy",
        about: "Envoy access log entries of 1 KB straight through, streams of 1,000",
        systems: &[Relay, Sluice],
        kind: Kind::EnvoyLogs,
        target: Target::Relayed,
        ..BASE
    },
    Scenario {
        name: "envoy-oap",
        about: "the same entries through OTLP, and out as entries",
        kind: Kind::EnvoyLogs,
        target: Target::Oap,
        ..BASE
    },
    Scenario {
        name: "envoy-otlp",
        about: "the same entries in, OTLP/gRPC out",
        kind: Kind::EnvoyLogs,
        ..BASE
    },
    Scenario {
        name: "latency",
        about: "50,000 spans a second in requests of 100: what the way through costs in time",
        systems: &[Relay, Sluice],
        batch: 100,
        rate: Some(50_000),
        ..BASE
    },
    Scenario {
        name: "load-1x-grpc",
        about: "nine tenths of what the sink takes, memory_limiter at 64 MiB",
        rate: Some(45_000),
        ..OVERLOAD
    },
    Scenario {
        name: "load-1x-http",
        about: "nine tenths of what the sink takes, over HTTP",
        protocol: Protocol::Http,
        rate: Some(45_000),
        ..OVERLOAD
    },
    Scenario {
        name: "overload-2x-grpc",
        about: "twice what the sink takes, memory_limiter at 64 MiB",
        rate: Some(100_000),
        ..OVERLOAD
    },
    Scenario {
        name: "overload-5x-grpc",
        about: "five times what the sink takes, memory_limiter at 64 MiB",
        rate: Some(250_000),
        ..OVERLOAD
    },
    Scenario {
        name: "overload-2x-http",
        about: "twice what the sink takes, over HTTP",
        protocol: Protocol::Http,
        rate: Some(100_000),
        ..OVERLOAD
    },
    Scenario {
        name: "overload-5x-http",
        about: "five times what the sink takes, over HTTP",
        protocol: Protocol::Http,
        rate: Some(250_000),
        ..OVERLOAD
    },
    Scenario {
        name: "queue-memory-1",
        about: "1 caller, the queue in memory, callers wait for room",
        exporter: Exporter::Waiting,
        ..ONE
    },
    Scenario {
        name: "queue-durable-1",
        about: "1 caller, the queue on disk, synced before the answer; beside it a bare loop of append and fdatasync",
        systems: &[Sluice, Loop],
        exporter: Exporter::Durable { sync: true },
        ..ONE
    },
    Scenario {
        name: "queue-relaxed-1",
        about: "1 caller, the queue on disk with fsync: false",
        exporter: Exporter::Durable { sync: false },
        ..ONE
    },
    Scenario {
        name: "queue-memory-8",
        about: "8 callers, the queue in memory, callers wait for room",
        exporter: Exporter::Waiting,
        ..EIGHT
    },
    Scenario {
        name: "queue-durable-8",
        about: "8 callers, the queue on disk, synced before the answer; beside it a bare loop of append and fdatasync",
        systems: &[Sluice, Loop],
        exporter: Exporter::Durable { sync: true },
        ..EIGHT
    },
    Scenario {
        name: "queue-relaxed-8",
        about: "8 callers, the queue on disk with fsync: false",
        exporter: Exporter::Durable { sync: false },
        ..EIGHT
    },
    Scenario {
        name: "queue-memory-64",
        about: "64 callers, the queue in memory, callers wait for room",
        exporter: Exporter::Waiting,
        ..SIXTY_FOUR
    },
    Scenario {
        name: "queue-durable-64",
        about: "64 callers, the queue on disk, synced before the answer; beside it a bare loop of append and fdatasync",
        systems: &[Sluice, Loop],
        exporter: Exporter::Durable { sync: true },
        ..SIXTY_FOUR
    },
    Scenario {
        name: "queue-relaxed-64",
        about: "64 callers, the queue on disk with fsync: false",
        exporter: Exporter::Durable { sync: false },
        ..SIXTY_FOUR
    },
];

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// How many callers wait at a time.
    pub(super) const fn callers(&self) -> usize {
        self.connections * self.in_flight
    }

    /// One request's body for each caller.
    pub(super) fn bodies(&self) -> Vec<Bytes> {
        let payloads = generate(self.kind, self.batch, self.compression, self.callers());
        payloads.into_iter().map(|payload| payload.body).collect()
    }

    /// Items in each request.
    pub(super) const fn batch(&self) -> usize {
        self.batch
    }

    pub(super) fn plan(&self, target: SocketAddr, duration: Duration) -> Plan {
        Plan {
            target,
            protocol: self.protocol,
            kind: self.kind,
            batch: self.batch,
            compression: self.compression,
            connections: self.connections,
            in_flight: self.in_flight,
            rate: self.rate,
            duration,
            encrypted: self.encrypted,
        }
    }

    /// Writes the files that the configuration names.
    pub(super) fn prepare(&self, directory: &Path) -> Outcome<()> {
        if self.encrypted {
            let server = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
            fs::write(directory.join("server.crt"), server.cert.pem())?;
            fs::write(directory.join("server.key"), server.signing_key.serialize_pem())?;
        }
        Ok(())
    }

    /// Sluice's configuration: but for SkyWalking the Collector's keys only, so that a Collector can be measured with the
    /// same file.
    pub(super) fn config(
        &self,
        listen: SocketAddr,
        telemetry: SocketAddr,
        sink: &Sink,
        directory: &Path,
    ) -> String {
        let files = directory.display();
        let tls = if self.encrypted {
            format!(
                "\n        tls: {{cert_file: {files}/server.crt, key_file: {files}/server.key, min_version: '1.3'}}"
            )
        } else {
            String::new()
        };
        let receiver = match (self.kind, self.protocol) {
            (Kind::Zipkin, _) => format!("zipkin:\n    endpoint: {listen}"),
            (Kind::Segments | Kind::EnvoyLogs, _) => {
                let upstream = if self.target == Target::Relayed { "\n    upstream: oap" } else { "" };
                format!("skywalking:\n    protocols:\n      grpc:\n        endpoint: {listen}{upstream}")
            }
            (_, Protocol::Grpc) => format!(
                "otlp:\n    protocols:\n      grpc:\n        endpoint: {listen}\n        max_recv_msg_size_mib: 64{tls}"
            ),
            (_, Protocol::Http) => format!("otlp:\n    protocols:\n      http:\n        endpoint: {listen}"),
        };
        let receiver_name = match self.kind {
            Kind::Zipkin => "zipkin",
            Kind::Segments | Kind::EnvoyLogs => "skywalking",
            Kind::Traces | Kind::Metrics | Kind::Logs => "otlp",
        };
        let exporter = match self.target {
            Target::Otlp | Target::Relayed => "otlp",
            Target::Oap => "oap",
        };
        // Whatever is relayed, a receiver is in some pipeline.
        let signal = if self.target == Target::Relayed { Signal::Traces } else { self.kind.signal() };
        let queue = match self.exporter {
            Exporter::Direct => {
                "\n    retry_on_failure:\n      enabled: false\n    sending_queue:\n      enabled: false"
            }
            Exporter::Queue => "",
            Exporter::Waiting => "\n    sending_queue:\n      block_on_overflow: true",
            Exporter::Durable { .. } => {
                "\n    sending_queue:\n      block_on_overflow: true\n      storage: file_storage"
            }
        };
        let (extensions, listed) = match self.exporter {
            Exporter::Durable { sync } => (
                format!(
                    "extensions:\n  file_storage:\n    directory: {}\n    create_directory: true\n    fsync: {sync}\n",
                    directory.join(self.name).display()
                ),
                "  extensions: [file_storage]\n",
            ),
            _ if self.target != Target::Otlp => {
                (format!("extensions:\n  oap:\n    endpoints: [{}]\n", sink.grpc), "  extensions: [oap]\n")
            }
            _ => (String::new(), ""),
        };
        let destination = match exporter {
            "oap" => String::new(),
            _ => format!(
                "\n    endpoint: {}\n    tls:\n      insecure: true\n    compression: {}",
                sink.grpc,
                self.compression.header().unwrap_or("none"),
            ),
        };
        format!(
            "{extensions}receivers:\n  {receiver}\n\
             processors:\n  \
               attributes:\n    actions:\n      - {{key: deployment.environment.name, value: production, action: upsert}}\n  \
               batch:\n  \
               memory_limiter:\n    check_interval: 100ms\n    limit_mib: 64\n\
             exporters:\n  {exporter}:{destination}{queue}\n\
             service:\n{listed}  telemetry:\n    logs:\n      level: error\n    metrics:\n      readers:\n        \
               - pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}\n  \
               pipelines:\n    {signal}:\n      receivers: [{receiver_name}]\n      processors: [{processors}]\n      \
               exporters: [{exporter}]\n",
            host = telemetry.ip(),
            port = telemetry.port(),
            processors = self.processors.join(", "),
        )
    }
}
