//! gRPC over HTTP/2: calls whose messages stay bytes.
//!
//! Source: gRPC core documentation, "gRPC over HTTP2", "Compression", "Status codes". A codec of generated types would
//! copy and decode what Sluice only passes on, and would lose the compressed bytes that a message came in.

pub mod client;
mod config;
pub mod frame;
mod relay;
pub mod server;
mod status;
pub mod stream;
#[cfg(test)]
mod tests;
mod timeout;

pub use config::{
    GrpcClientConfig, GrpcServerConfig, KeepaliveClientConfig, KeepaliveEnforcement, KeepaliveServerConfig,
    KeepaliveServerParameters,
};
pub use status::Status;
