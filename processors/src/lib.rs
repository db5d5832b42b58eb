//! The processors and connectors, a folder each.

#[cfg(feature = "attributes")]
pub mod attributes;
#[cfg(feature = "batch")]
pub mod batch;
#[cfg(feature = "filter")]
pub mod filter;
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(feature = "groupbytrace")]
pub mod groupbytrace;
#[cfg(feature = "k8sattributes")]
pub mod k8sattributes;
#[cfg(feature = "memory_limiter")]
pub mod memory_limiter;
#[cfg(feature = "probabilistic_sampler")]
pub mod probabilistic_sampler;
#[cfg(feature = "resource")]
pub mod resource;
#[cfg(feature = "spanmetrics")]
pub mod spanmetrics;
#[cfg(feature = "trace_events")]
pub mod trace_events;

#[cfg(any(feature = "groupbytrace", feature = "trace_events"))]
mod handing_on;
#[cfg(any(feature = "attributes", feature = "k8sattributes", feature = "probabilistic_sampler"))]
mod rewriting;
#[cfg(any(feature = "groupbytrace", feature = "spanmetrics", feature = "trace_events"))]
mod room;
#[cfg(all(
    test,
    any(
        feature = "attributes",
        feature = "groupbytrace",
        feature = "k8sattributes",
        feature = "probabilistic_sampler",
        feature = "spanmetrics"
    )
))]
mod testing;

use sluice_pipeline::component::Registry;

/// Adds every processor and connector of this build.
#[allow(unused_variables, reason = "a build may have none of them")]
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "attributes")]
    registry.processor::<attributes::Attributes>();
    #[cfg(feature = "batch")]
    registry.processor::<batch::Batch>();
    #[cfg(feature = "filter")]
    registry.processor::<filter::Filter>();
    #[cfg(feature = "groupbytrace")]
    registry.processor::<groupbytrace::GroupByTrace>();
    #[cfg(feature = "k8sattributes")]
    registry.processor::<k8sattributes::K8sAttributes>();
    #[cfg(feature = "memory_limiter")]
    registry.processor::<memory_limiter::MemoryLimiter>();
    #[cfg(feature = "probabilistic_sampler")]
    registry.processor::<probabilistic_sampler::ProbabilisticSampler>();
    #[cfg(feature = "resource")]
    registry.processor::<resource::Resource>();
    #[cfg(feature = "forward")]
    registry.connector::<forward::Forward>();
    #[cfg(feature = "spanmetrics")]
    registry.connector::<spanmetrics::SpanMetrics>();
    #[cfg(feature = "trace_events")]
    registry.connector::<trace_events::TraceEvents>();
}
