//! Counts the OTLP that it receives and forgets it. `GET /counts` on the HTTP address tells how much.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use sluice_integration::Outcome;
use sluice_integration::sink::{Options, Sink};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A destination that counts and forgets.
#[derive(Parser)]
struct Arguments {
    /// Where to take OTLP over gRPC.
    #[arg(long, default_value = "127.0.0.1:15317")]
    grpc: SocketAddr,
    /// Where to take OTLP over HTTP and answer GET /counts.
    #[arg(long, default_value = "127.0.0.1:15318")]
    http: SocketAddr,
    /// Milliseconds that each request waits for its answer.
    #[arg(long, default_value_t = 0)]
    delay: u64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let options = Options { delay: Duration::from_millis(arguments.delay) };
    let sink = Sink::start(arguments.grpc, arguments.http, options).await?;
    println!("gRPC on {}, HTTP on {}; ends on SIGINT", sink.grpc, sink.http);
    tokio::signal::ctrl_c().await?;
    println!("{}", sink.counts().to_json());
    Ok(())
}
