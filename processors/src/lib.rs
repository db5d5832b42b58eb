//! The processors and connectors, a folder each.

#[cfg(feature = "batch")]
pub mod batch;
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(feature = "memory_limiter")]
pub mod memory_limiter;

use sluice_pipeline::component::Registry;

/// Adds every processor and connector of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "batch")]
    registry.processor::<batch::Batch>();
    #[cfg(feature = "memory_limiter")]
    registry.processor::<memory_limiter::MemoryLimiter>();
    #[cfg(feature = "forward")]
    registry.connector::<forward::Forward>();
}
