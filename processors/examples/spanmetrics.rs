//! What the `spanmetrics` connector costs: `cargo run --profile ci -p sluice-processors --example spanmetrics`.
//!
//! Batches of 1,000 spans of about 370 bytes with 7 attributes, which belong to 1,000 series by name, status code and one
//! attribute as a further dimension; once with that dimension and once without.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ConnectorContext, ConnectorFactory, Outlets},
    otlp::write::Writer,
    outlet::offer,
};
use sluice_processors::spanmetrics::{Dimension, SpanMetrics, SpanMetricsConfig};

const SPANS: u64 = 1_000;
const SERIES: u64 = 1_000;
const BATCHES: u64 = 1_000;

/// Counts the data points that leave.
#[derive(Default)]
struct Sink(AtomicUsize);

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        self.0.fetch_add(batch.items(), Ordering::Relaxed);
        Box::pin(ready(Reply::Delivered))
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let method = Dimension { name: "http.request.method".to_owned(), default: None };
    for (what, dimensions) in [("no further dimension", Vec::new()), ("one further dimension", vec![method])]
    {
        for _ in 0..3 {
            runtime.block_on(run(what, dimensions.clone()));
        }
    }
}

async fn run(what: &str, dimensions: Vec<Dimension>) {
    let sink = Arc::new(Sink::default());
    let outlets = Outlets::new([(Signal::Metrics, Outlet::new(Arc::<Sink>::clone(&sink)))]);
    let component = ComponentContext::detached("spanmetrics", Budget::new(1 << 30));
    let context = ConnectorContext { component, taken: vec![Signal::Traces], outlets };
    let config = SpanMetricsConfig { dimensions, ..SpanMetricsConfig::default() };
    let consumers = SpanMetrics::build(config, context).expect("the connector is built");
    let batches: Vec<Batch> = (0..8).map(spans).collect();
    let mut cost = 0;
    for number in 0..BATCHES {
        let batch = batches[usize::try_from(number % 8).expect("a small number")].clone();
        let start = cpu_nanoseconds();
        offer(consumers[&Signal::Traces].as_ref(), batch).await;
        cost += cpu_nanoseconds() - start;
    }
    let start = cpu_nanoseconds();
    consumers[&Signal::Traces].drain(Instant::now() + Duration::from_secs(60)).await;
    let flush = cpu_nanoseconds() - start;
    let count = SPANS * BATCHES;
    println!(
        "{what}: {} ns of CPU a span, {} spans a CPU second; a flush of {} data points {} us",
        cost / count,
        count * 1_000_000_000 / cost,
        sink.0.load(Ordering::Relaxed),
        flush / 1000,
    );
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}

fn attribute(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

fn spans(batch: u64) -> Batch {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(1, |resource| {
            attribute(resource, 1, "service.name", "checkout");
            attribute(resource, 1, "host.name", "node-1");
        });
        group.message(2, |scope_group| {
            for number in 0..SPANS {
                scope_group.message(2, |span| write(span, batch * SPANS + number));
            }
        });
    });
    let items = usize::try_from(SPANS).expect("a small number");
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), items), Context::default())
}

fn write(span: &mut Writer<'_>, number: u64) {
    let id = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let series = id % SERIES;
    let begin = 1_700_000_000_000_000_000 + number * 1_000_000;
    span.bytes(1, &(u128::from(id) << 64 | u128::from(number)).to_be_bytes());
    span.bytes(2, &id.to_be_bytes());
    span.bytes(4, &(id ^ 1).to_be_bytes());
    span.bytes(5, format!("GET /api/products/{:04}/reviews", series / 2).as_bytes());
    span.varint(6, 2);
    span.fixed64(7, begin);
    span.fixed64(8, begin + id % 3_000_000_000);
    attribute(span, 9, "http.request.method", "GET");
    attribute(span, 9, "http.route", "/api/products/{id}/reviews");
    attribute(span, 9, "url.scheme", "https");
    attribute(span, 9, "server.address", "shop.example.com");
    attribute(span, 9, "network.protocol.version", "1.1");
    attribute(span, 9, "user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)");
    attribute(span, 9, "client.address", "10.1.2.3");
    span.message(15, |status| {
        if series % 2 == 1 {
            status.varint(3, 2);
        }
    });
}
