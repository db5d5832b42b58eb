//! The receivers, a folder each.

#[cfg(feature = "ebpf_network")]
pub mod ebpf_network;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "zipkin")]
pub mod zipkin;

use sluice_pipeline::component::Registry;

/// Adds every receiver of this build.
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "ebpf_network")]
    registry.receiver::<ebpf_network::EbpfNetwork>();
    #[cfg(feature = "otlp")]
    registry.receiver::<otlp::Otlp>();
    #[cfg(feature = "zipkin")]
    registry.receiver::<zipkin::Zipkin>();
}
