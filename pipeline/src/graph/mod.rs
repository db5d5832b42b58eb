//! The graph of a running service: planned from the configuration, built, started, drained, reloaded.

mod build;
mod endpoints;
mod instances;
mod listen;
mod mark;
mod plan;
mod references;
mod service;
mod status;
#[cfg(test)]
mod tests;
mod wiring;

pub use build::CannotStart;
pub use listen::{CannotInherit, Claim, ListenError, ListenerPool, Sockets};
pub use plan::{Plan, Planned, PlannedConnector, PlannedPipeline};
pub use service::{Drained, Service, ServiceError};
pub use status::{DeadTask, Phase, PipelineStatus, Snapshot, Status, panic_message};
