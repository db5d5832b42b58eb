//! What the `trace_events` connector costs: `cargo run --profile ci -p sluice-processors --example trace_events`.
//!
//! Batches of 1,000 spans of about 370 bytes with 7 attributes, half of them of requests; 1 in 100 has an exchange
//! that came before it. Once with spans of seconds ago, as SDKs send them, and once with spans that ended just now, so
//! that all of requests wait.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, ready};
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ConnectorContext, ConnectorFactory, Outlets},
    exchange::{EVENT_NAME, process, record},
    otlp::write::Writer,
    outlet::offer,
};
use sluice_processors::trace_events::{TraceEvents, TraceEventsConfig};

const SPANS: u64 = 1_000;
const BATCHES: u64 = 500;

/// Counts the spans that leave, and the bytes.
#[derive(Default)]
struct Sink {
    spans: AtomicUsize,
    bytes: AtomicUsize,
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        self.spans.fetch_add(batch.items(), Ordering::Relaxed);
        self.bytes.fetch_add(batch.bytes(), Ordering::Relaxed);
        Box::pin(ready(Reply::Delivered))
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (what, age) in [("spans of 3 s ago", 3_000), ("spans that wait", 0)] {
        for _ in 0..3 {
            runtime.block_on(run(what, Duration::from_millis(age)));
        }
    }
}

async fn run(what: &str, age: Duration) {
    let traces = Arc::new(Sink::default());
    let logs = Arc::new(Sink::default());
    let outlets = Outlets::new([
        (Signal::Traces, Outlet::new(Arc::<Sink>::clone(&traces))),
        (Signal::Logs, Outlet::new(Arc::<Sink>::clone(&logs))),
    ]);
    let component = ComponentContext::detached("trace_events", Budget::new(4 << 30));
    let context = ConnectorContext { component, taken: vec![Signal::Traces, Signal::Logs], outlets };
    let config = TraceEventsConfig { max_held_span_bytes: 2 << 30, ..TraceEventsConfig::default() };
    let sides = TraceEvents::build(config, context).expect("the connector is built");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") - age;
    let now = u64::try_from(now.as_nanos()).expect("before 2554");
    let mut cost = 0;
    let mut bytes = 0;
    for batch in 0..BATCHES {
        let (spans, exchanges) = (spans(batch, now), exchanges(batch, now));
        bytes += spans.bytes() as u64;
        let start = cpu_nanoseconds();
        offer(sides[&Signal::Logs].as_ref(), exchanges).await;
        offer(sides[&Signal::Traces].as_ref(), spans).await;
        // What was released is sent by tasks of this thread.
        tokio::task::yield_now().await;
        cost += cpu_nanoseconds() - start;
    }
    let start = cpu_nanoseconds();
    let deadline = Instant::now() + Duration::from_secs(60);
    sides[&Signal::Traces].drain(deadline).await;
    cost += cpu_nanoseconds() - start;
    let count = SPANS * BATCHES;
    let left = traces.spans.load(Ordering::Relaxed) as u64;
    let grown = traces.bytes.load(Ordering::Relaxed) as u64;
    println!(
        "{what}: {} ns of CPU a span, {} spans a CPU second; {} bytes a span in, {} out; {left} of {count} left, {} exchanges \
         unjoined",
        cost / count,
        count * 1_000_000_000 / cost,
        bytes / count,
        grown / count,
        logs.spans.load(Ordering::Relaxed),
    );
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}

fn id(batch: u64, span: u64) -> u64 {
    (batch * SPANS + span + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn trace_id(batch: u64, span: u64) -> [u8; 16] {
    (u128::from(id(batch, span / 10 * 10)) << 64 | u128::from(id(batch, span / 10 * 10))).to_be_bytes()
}

fn attribute(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.bytes(1, value.as_bytes()));
    });
}

fn integer(writer: &mut Writer<'_>, number: u32, key: &str, value: u64) {
    writer.message(number, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.varint(3, value));
    });
}

fn resource(writer: &mut Writer<'_>) {
    writer.message(1, |writer| {
        attribute(writer, 1, "service.name", "shop");
        attribute(writer, 1, process::HOST_NAME, "node-1");
        integer(writer, 1, process::PID, 4711);
    });
}

fn spans(batch: u64, now: u64) -> Batch {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |writer| {
        resource(writer);
        writer.message(2, |writer| {
            (0..SPANS).for_each(|span| writer.message(2, |w| write_span(w, batch, span, now)))
        });
    });
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), SPANS as usize), Context::default())
}

fn write_span(writer: &mut Writer<'_>, batch: u64, span: u64, now: u64) {
    writer.bytes(1, &trace_id(batch, span));
    writer.bytes(2, &id(batch, span).to_be_bytes());
    writer.bytes(4, &id(batch, span / 10 * 10 + 5).to_be_bytes());
    writer.bytes(5, b"GET /api/v1/orders/{id}");
    writer.varint(6, if span.is_multiple_of(2) { 3 } else { 1 });
    writer.fixed64(7, now - 10_000_000);
    writer.fixed64(8, now);
    attribute(writer, 9, "http.request.method", "GET");
    attribute(writer, 9, "url.full", "http://orders.example.com/api/v1/orders/42?expand=items");
    attribute(writer, 9, "server.address", "orders.example.com");
    integer(writer, 9, "server.port", 80);
    integer(writer, 9, "http.response.status_code", 200);
    attribute(writer, 9, "network.protocol.version", "1.1");
    attribute(writer, 9, "user_agent.original", "shop/1.2.3");
}

fn exchanges(batch: u64, now: u64) -> Batch {
    let mut bytes = Vec::new();
    let count = SPANS / 100;
    Writer::new(&mut bytes).message(1, |writer| {
        resource(writer);
        writer.message(2, |writer| {
            (0..count).for_each(|place| {
                writer.message(2, |writer| write_exchange(writer, batch, place * 100, now))
            });
        });
    });
    Batch::new(Signal::Logs, Chunk::new(bytes.into(), count as usize), Context::default())
}

fn write_exchange(writer: &mut Writer<'_>, batch: u64, span: u64, now: u64) {
    writer.fixed64(1, now - 9_000_000);
    attribute(writer, 6, record::ROLE, "client");
    attribute(writer, 6, record::TRACE_FORMAT, "w3c");
    integer(writer, 6, record::REQUEST_END, now - 8_900_000);
    integer(writer, 6, record::RESPONSE_START, now - 2_000_000);
    integer(writer, 6, record::RESPONSE_END, now - 1_000_000);
    attribute(writer, 6, record::METHOD, "GET");
    attribute(writer, 6, record::PATH, "/api/v1/orders/42");
    integer(writer, 6, record::STATUS, 200);
    attribute(writer, 6, record::REQUEST_CONTENT, &"GET /api/v1/orders/42 HTTP/1.1\r\n".repeat(8));
    attribute(writer, 6, record::RESPONSE_CONTENT, &"HTTP/1.1 200 OK\r\n".repeat(16));
    writer.bytes(9, &trace_id(batch, span));
    writer.bytes(10, &id(batch, span).to_be_bytes());
    writer.bytes(12, EVENT_NAME.as_bytes());
}
