//! Forwards gRPC calls with their bytes untouched: the floor that a collector is measured against.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use sluice_integration::Outcome;
use sluice_integration::relay::Relay;
use sluice_integration::serve::{self, Protocol};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A raw gRPC relay.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:14317")]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long, default_value = "127.0.0.1:15317")]
    upstream: SocketAddr,
    /// Connections to the upstream.
    #[arg(long, default_value_t = 1)]
    connections: usize,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let relay = Relay::connect(arguments.upstream, arguments.connections).await?;
    let listener = TcpListener::bind(arguments.listen).await?;
    serve::serve(listener, Protocol::Http2, Arc::new(relay)).await;
    Ok(())
}
