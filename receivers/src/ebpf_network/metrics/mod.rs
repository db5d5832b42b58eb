//! HTTP and TCP metrics for each pair of processes, written as OTLP bytes.
//!
//! The [`Aggregator`] takes observations of exchanges and connections and adds each to the series of its [`Pair`]: the
//! process, its role, the address of its peer (and the kind of process that the peer is, if it runs on the same host) and
//! the port of the server; never the port of the client. The names, units and attributes are in `docs/metrics.md`.

mod aggregator;
mod bounds;
pub mod catalogue;
mod collect;
mod config;
mod counters;
mod http;
mod observation;
mod pair;
mod point;
mod process;
mod recent;
mod table;
mod tcp;
mod template;

pub use self::{
    aggregator::{Aggregator, Collected},
    config::{Buckets, MetricsConfig, Temporality},
    observation::{ConnectError, HttpObservation, HttpVersion, Sizes, TcpObservation},
    pair::Pair,
    process::{Identity, ProcessHandle},
    recent::Recent,
    tcp::DropReason,
    template::{InvalidTemplate, Templates},
};

#[cfg(test)]
mod tests;
