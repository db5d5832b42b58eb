//! The exporters, a folder each.

#[cfg(feature = "debug")]
pub mod debug;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "zipkin")]
pub mod zipkin;

use sluice_pipeline::component::Registry;

/// Adds every exporter of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "debug")]
    registry.exporter::<debug::Debug>();
    #[cfg(feature = "file")]
    registry.exporter::<file::File>();
    #[cfg(feature = "zipkin")]
    registry.exporter::<zipkin::Zipkin>();
}
