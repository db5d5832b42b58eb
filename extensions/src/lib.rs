//! The extensions, a folder each.

#[cfg(feature = "file_storage")]
pub mod file_storage;
#[cfg(feature = "health_check")]
pub mod health_check;
#[cfg(any(feature = "health_check", feature = "pprof", feature = "zpages"))]
mod pages;
#[cfg(feature = "pprof")]
pub mod pprof;
#[cfg(feature = "zpages")]
pub mod zpages;

use sluice_pipeline::component::Registry;

/// Adds every extension of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "file_storage")]
    registry.extension::<file_storage::FileStorage>();
    #[cfg(feature = "health_check")]
    registry.extension::<health_check::HealthCheck>();
    #[cfg(feature = "pprof")]
    registry.extension::<pprof::Pprof>();
    #[cfg(feature = "zpages")]
    registry.extension::<zpages::Zpages>();
}
