//! The processors and connectors, a folder each.

#[cfg(feature = "forward")]
pub mod forward;

use sluice_pipeline::component::Registry;

/// Adds every processor and connector of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "forward")]
    registry.connector::<forward::Forward>();
}
