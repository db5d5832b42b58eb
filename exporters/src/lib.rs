//! The exporters, a folder each.

#[cfg(feature = "debug")]
pub mod debug;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "nop")]
pub mod nop;
#[cfg(feature = "oap")]
pub mod oap;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "otlphttp")]
pub mod otlphttp;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(any(feature = "prometheus", feature = "prometheusremotewrite"))]
mod prometheus_model;
#[cfg(feature = "prometheusremotewrite")]
pub mod prometheusremotewrite;
#[cfg(feature = "zipkin")]
pub mod zipkin;

#[cfg(test)]
#[cfg(any(feature = "otlp", feature = "otlphttp"))]
mod loopback;

use sluice_pipeline::component::Registry;

/// Adds every exporter of this build.
#[allow(unused_variables, reason = "a build may have none of them")]
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "debug")]
    registry.exporter::<debug::Debug>();
    #[cfg(feature = "file")]
    registry.exporter::<file::File>();
    #[cfg(feature = "nop")]
    registry.exporter::<nop::Nop>();
    #[cfg(feature = "oap")]
    registry.exporter::<oap::Oap>();
    #[cfg(feature = "zipkin")]
    registry.exporter::<zipkin::Zipkin>();
    #[cfg(feature = "otlp")]
    registry.exporter::<otlp::Otlp>();
    #[cfg(feature = "otlphttp")]
    registry.exporter::<otlphttp::OtlpHttp>();
    #[cfg(feature = "prometheus")]
    registry.exporter::<prometheus::Prometheus>();
    #[cfg(feature = "prometheusremotewrite")]
    registry.exporter::<prometheusremotewrite::PrometheusRemoteWrite>();
}
