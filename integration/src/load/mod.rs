//! The load generator: sends prepared requests at a fixed rate or flat out, checks every answer, times it.

mod client;
mod histogram;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;
use crate::payload::{Compression, Kind, generate};
use crate::transport::Encryption;
use client::{Client, Template};

pub use histogram::Histogram;

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// OTLP over gRPC, or SkyWalking's and Envoy's streams.
    Grpc,
    /// OTLP/HTTP with protobuf, or Zipkin's JSON.
    Http,
}

/// What is sent, where to, and how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server under load.
    pub target: SocketAddr,
    /// How requests travel; Zipkin has HTTP only, streams gRPC only.
    pub protocol: Protocol,
    /// What the requests hold.
    pub kind: Kind,
    /// Items in each request.
    pub batch: usize,
    /// How the requests are compressed.
    pub compression: Compression,
    /// Connections; calls are spread over them.
    pub connections: usize,
    /// Calls that wait for their answer on each connection; HTTP/1.1 opens a connection for each.
    pub in_flight: usize,
    /// Items a second over all connections; `None` sends as fast as the server answers.
    pub rate: Option<u64>,
    /// How long to send.
    pub duration: Duration,
    /// Whether connections of gRPC are encrypted. Any certificate is taken.
    pub encrypted: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Items in requests answered with full success.
    pub accepted: u64,
    /// Items that a partial success declared rejected.
    pub rejected: u64,
    /// Failed requests by what went wrong.
    pub failures: BTreeMap<String, u64>,
    /// Items in failed requests.
    pub failed: u64,
    /// From when a request was due until its answer: a server that stalls is charged for the requests that it
    /// kept from being sent.
    pub latency: Histogram,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// How many different requests circulate.
const VARIANTS: usize = 8;

/// How long a client waits before it connects again.
const RECONNECT: Duration = Duration::from_millis(50);

/// A load with its requests prepared.
#[derive(Debug)]
pub struct Load {
    plan: Plan,
    template: Arc<Template>,
    tls: Option<Encryption>,
}

struct Pace {
    start: Instant,
    deadline: Instant,
    /// Nanoseconds from one request to the next; 0 flat out.
    interval: u64,
    issued: AtomicU64,
    stopped: AtomicBool,
}

impl Load {
    /// Encodes and compresses the requests.
    ///
    /// # Errors
    /// That the plan makes no sense.
    pub fn prepare(plan: Plan) -> Outcome<Self> {
        if plan.kind == Kind::Zipkin && plan.protocol == Protocol::Grpc {
            return Err("Zipkin spans travel over HTTP only".into());
        }
        if plan.kind.is_stream() && (plan.protocol != Protocol::Grpc || plan.compression != Compression::None)
        {
            return Err("streams travel over gRPC only, uncompressed".into());
        }
        let payloads = generate(plan.kind, plan.batch, plan.compression, VARIANTS);
        let template = Template::new(&plan, payloads)?;
        let tls = plan.encrypted.then(Encryption::new).transpose()?;
        Ok(Self { plan, template: Arc::new(template), tls })
    }

    /// Sends for the planned duration and waits for the last answers.
    ///
    /// # Errors
    /// That the server cannot be reached at the start.
    pub async fn run(&self, duration: Duration) -> Outcome<Report> {
        let (connections, sharers) = match self.plan.protocol {
            Protocol::Grpc => (self.plan.connections.max(1), self.plan.in_flight.max(1)),
            Protocol::Http => (self.plan.connections.max(1) * self.plan.in_flight.max(1), 1),
        };
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = Client::connect(self.plan.target, self.plan.protocol, self.tls.clone()).await?;
            clients.extend(client.share(sharers));
        }
        let start = Instant::now();
        let interval = self.plan.rate.map_or(0, |rate| 1_000_000_000 * self.plan.batch as u64 / rate.max(1));
        let pace = Arc::new(Pace {
            start,
            deadline: start + duration,
            interval,
            issued: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let workers: Vec<_> = clients
            .into_iter()
            .map(|client| tokio::spawn(work(client, Arc::clone(&self.template), Arc::clone(&pace))))
            .collect();
        let mut report = Report::default();
        for worker in workers {
            report.merge(&worker.await?);
        }
        report.elapsed = start.elapsed();
        Ok(report)
    }

    /// [`Load::run`] for the duration of the plan.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub async fn run_as_planned(&self) -> Outcome<Report> {
        self.run(self.plan.duration).await
    }
}

impl Pace {
    /// The number of the next request and when it is due; `None` at the end.
    fn next(&self) -> Option<(u64, Instant)> {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let due = match self.interval {
            0 => Instant::now(),
            interval => self.start + Duration::from_nanos(interval.saturating_mul(number)),
        };
        (due < self.deadline && !self.stopped.load(Ordering::Relaxed)).then_some((number, due))
    }
}

async fn work(mut client: Client, template: Arc<Template>, pace: Arc<Pace>) -> Report {
    let mut report = Report::default();
    while let Some((number, due)) = pace.next() {
        tokio::time::sleep_until(due).await;
        let items = template.items() as u64;
        match client.send(&template, number).await {
            Ok(rejected) => {
                report.latency.record(due.elapsed());
                report.rejected += rejected.min(items);
                report.accepted += items.saturating_sub(rejected);
            }
            Err(failure) => {
                *report.failures.entry(failure.reason).or_default() += 1;
                report.failed += items;
                if failure.broken {
                    tokio::time::sleep(RECONNECT).await;
                    // If the server is gone the next request fails too, and says so.
                    let _ = client.reconnect().await;
                }
            }
        }
    }
    report
}

impl Report {
    fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.latency.merge(&other.latency);
        for (reason, count) in &other.failures {
            *self.failures.entry(reason.clone()).or_default() += count;
        }
    }

    /// Accepted items a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let accepted = self.accepted as f64;
        accepted / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The report as JSON, latencies in milliseconds.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let millis = |share| self.latency.quantile(share).as_secs_f64() * 1e3;
        serde_json::json!({
            "accepted": self.accepted,
            "rejected": self.rejected,
            "failed": self.failed,
            "failures": self.failures,
            "seconds": self.elapsed.as_secs_f64(),
            "items_per_second": self.rate(),
            "latency_ms": {"p50": millis(0.5), "p99": millis(0.99), "p99.9": millis(0.999), "max": millis(1.0)},
        })
    }
}

#[cfg(test)]
mod tests;
