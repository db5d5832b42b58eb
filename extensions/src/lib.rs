//! The extensions, a folder each.

use sluice_pipeline::component::Registry;

/// Adds the extensions of this build.
pub fn register(registry: &mut Registry) {
    let _ = registry;
}
