//! The processors and connectors, a folder each.

#[cfg(feature = "attributes")]
pub mod attributes;
#[cfg(feature = "batch")]
pub mod batch;
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(feature = "memory_limiter")]
pub mod memory_limiter;
#[cfg(feature = "resource")]
pub mod resource;
#[cfg(feature = "trace_events")]
pub mod trace_events;

use sluice_pipeline::component::Registry;

/// Adds every processor and connector of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "attributes")]
    registry.processor::<attributes::Attributes>();
    #[cfg(feature = "batch")]
    registry.processor::<batch::Batch>();
    #[cfg(feature = "memory_limiter")]
    registry.processor::<memory_limiter::MemoryLimiter>();
    #[cfg(feature = "resource")]
    registry.processor::<resource::Resource>();
    #[cfg(feature = "forward")]
    registry.connector::<forward::Forward>();
    #[cfg(feature = "trace_events")]
    registry.connector::<trace_events::TraceEvents>();
}
