//! The state of the running service, for health checks and status pages.

/// The state of the running service.
#[derive(Debug, Default)]
pub struct Status {}
