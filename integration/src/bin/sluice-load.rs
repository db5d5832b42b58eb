//! Sends prepared telemetry at a fixed rate or flat out, checks every answer, and prints what came of it as JSON.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use sluice_integration::Outcome;
use sluice_integration::load::{Load, Plan, Protocol};
use sluice_integration::payload::{Compression, Kind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A load generator for OTLP and Zipkin.
#[derive(Parser)]
struct Arguments {
    /// The server under load.
    #[arg(long, default_value = "127.0.0.1:4317")]
    target: SocketAddr,
    /// How requests travel.
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// What the requests hold.
    #[arg(long, value_enum, default_value = "traces")]
    kind: Kind,
    /// Items in each request.
    #[arg(long, default_value_t = 1000)]
    batch: usize,
    /// How the requests are compressed.
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Calls in flight on each connection.
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// Speak TLS, over gRPC, and take any certificate.
    #[arg(long)]
    tls: bool,
    /// Items a second; as fast as the server answers if absent.
    #[arg(long)]
    rate: Option<u64>,
    /// Seconds to send.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let load = Load::prepare(Plan {
        target: arguments.target,
        protocol: arguments.protocol,
        kind: arguments.kind,
        batch: arguments.batch,
        compression: arguments.compression,
        connections: arguments.connections,
        in_flight: arguments.in_flight,
        rate: arguments.rate,
        duration: Duration::try_from_secs_f64(arguments.seconds)?,
        encrypted: arguments.tls,
    })?;
    let report = load.run_as_planned().await?;
    println!("{:#}", report.to_json());
    if report.failures.is_empty() { Ok(()) } else { Err("some requests failed".into()) }
}
