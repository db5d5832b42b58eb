//! The receivers, a folder each.

#[cfg(feature = "ebpf_network")]
pub mod ebpf_network;
#[cfg(feature = "nop")]
pub mod nop;
// SkyWalking's port speaks OTLP as well.
#[cfg(any(feature = "otlp", feature = "skywalking"))]
pub mod otlp;
#[cfg(any(feature = "skywalking", feature = "zipkin"))]
mod rejection;
#[cfg(any(feature = "otlp", feature = "skywalking"))]
mod servers;
#[cfg(feature = "skywalking")]
pub mod skywalking;
#[cfg(feature = "zipkin")]
pub mod zipkin;

use sluice_pipeline::component::Registry;

/// Adds every receiver of this build.
#[allow(unused_variables, reason = "a build may have none of them")]
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "ebpf_network")]
    registry.receiver::<ebpf_network::EbpfNetwork>();
    #[cfg(feature = "nop")]
    registry.receiver::<nop::Nop>();
    #[cfg(feature = "otlp")]
    registry.receiver::<otlp::Otlp>();
    #[cfg(feature = "skywalking")]
    registry.receiver::<skywalking::SkyWalking>();
    #[cfg(feature = "zipkin")]
    registry.receiver::<zipkin::Zipkin>();
}
