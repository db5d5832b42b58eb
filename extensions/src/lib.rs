//! The extensions, a folder each.

use sluice_pipeline::component::Registry;

/// Adds every extension of this build.
pub fn register(registry: &mut Registry) {
    let _ = registry;
}
