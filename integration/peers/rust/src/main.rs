//! SkyWalking's agent for Rust: a purchase that asks for stock, with a log, a meter and the instance's properties. Prints the
//! ids, and goes on until its standard input ends.
//!
//! Arguments: HOST:PORT of the collector

use std::{env, error::Error, time::Duration};

use skywalking::{
    logging::{logger::Logger, record::LogRecord},
    management::{instance::Properties, manager::Manager},
    metrics::{meter::Counter, metricer::Metricer},
    reporter::grpc::GrpcReporter,
    trace::{
        propagation::{decoder::decode_propagation, encoder::encode_propagation},
        span::HandleSpanObject,
        tracer::Tracer,
    },
};
use tokio::io::AsyncReadExt;

const SERVICE: &str = "rust-shop";
const INSTANCE: &str = "rust-shop-1";
const STOCK: &str = "stock.example:8080";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collector = env::args().nth(1).ok_or("no collector is named")?;
    let reporter = GrpcReporter::connect(format!("http://{collector}")).await?;
    let reporting = reporter.reporting().await.with_graceful_shutdown(async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    });
    let reporting = reporting.spawn();

    let manager = Manager::new(SERVICE, INSTANCE, reporter.clone());
    let properties = || {
        let mut properties = Properties::default();
        properties.insert("language", "rust");
        properties
    };
    manager.report_and_keep_alive(properties, Duration::from_millis(500), 10);

    let mut metricer = Metricer::new(SERVICE, INSTANCE, reporter.clone());
    metricer.set_report_interval(Duration::from_millis(200));
    let orders = metricer.register(Counter::new("orders").add_label("region", "eu"));
    orders.increment(3.0);
    let _metricer = metricer.boot();

    let logger = Logger::new(SERVICE, INSTANCE, reporter.clone());
    let tracer = Tracer::new(SERVICE, INSTANCE, reporter);
    buy(&tracer, &logger);
    reporting.await?;
    Ok(())
}

fn buy(tracer: &Tracer, logger: &Logger) {
    let mut context = tracer.create_trace_context();
    let mut entry = context.create_entry_span("/buy");
    entry.add_tag("http.method", "GET");
    let exit = context.create_exit_span("/stock", STOCK);
    count(tracer, &encode_propagation(&context, "/buy", STOCK));
    logger.log(LogRecord::new().with_tracing_context(&context).with_span(&entry).content("only 3 left"));
    println!(
        "{{\"trace\": \"{}\", \"segment\": \"{}\", \"span\": {}}}",
        context.trace_id(),
        context.trace_segment_id(),
        exit.span_id()
    );
}

/// The other side, to which the header came.
fn count(tracer: &Tracer, header: &str) {
    let mut context = tracer.create_trace_context();
    if let Ok(propagation) = decode_propagation(header) {
        let mut span = context.create_entry_span_with_propagation("/stock", &propagation);
        span.add_log([("event", "counted")]);
    }
}
