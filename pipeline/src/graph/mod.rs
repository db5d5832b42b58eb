//! The graph of a running service: planned from the configuration, built, started, drained, reloaded.

mod status;

pub use status::{DeadTask, Phase, PipelineStatus, Snapshot, Status, panic_message};
