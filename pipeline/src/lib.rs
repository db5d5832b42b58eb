//! The data plane of Sluice: batches of encoded OTLP, the traits of components, configuration, the graph that
//! wires them, and what components share about OTLP, HTTP, gRPC, TLS and retrying. It knows no concrete component.

pub mod batch;
pub mod batching;
pub mod budget;
pub mod component;
pub mod compression;
pub mod config;
pub mod consumer;
pub mod exchange;
pub mod export;
pub mod from_files;
pub mod graph;
pub mod grpc;
pub mod http;
pub mod kubernetes;
pub mod native;
pub mod otlp;
pub mod outlet;
pub mod reply;
pub mod signal;
pub mod telemetry;
pub mod tls;

pub use batch::{Batch, Chunk, Context, Origin};
pub use consumer::{Consumer, Demand, Permit};
pub use native::Native;
pub use outlet::Outlet;
pub use reply::{Code, Failure, Reply};
pub use signal::Signal;
