//! Data points to meters, and what SkyWalking's agents say of Java and .NET runtimes back to what they said.

mod buckets;
mod envoy;
mod meter;
mod runtime;

use sluice_pipeline::otlp::view::{AnyValue, Metric, MetricData, ScopeGroup, Text, resource_groups};
use sluice_protocols::skywalking::attributes::{metric, resource, scope};

use self::meter::Meter;
use super::{
    config::OapConfig,
    entity::Entity,
    streams::{Method, Streams},
};

/// What this batch of encoded `MetricsData` becomes.
pub(super) fn translate(chunks: &[&[u8]], config: &OapConfig, streams: &mut Streams) {
    for group in chunks.iter().flat_map(|chunk| resource_groups(chunk)) {
        let resource = group.resource();
        let identifier = resource.attributes().find(|pair| pair.key == resource::ENVOY_IDENTIFIER.as_bytes());
        if let Some(AnyValue::Bytes(identifier)) = identifier.map(|pair| pair.value) {
            envoy::push(identifier, group.scope_groups(), streams);
            continue;
        }
        for scopes in group.scope_groups() {
            let said = Entity::as_said(&resource);
            match scopes.scope().name.as_str() {
                metric::JVM_SCOPE => runtime::push(Method::Jvm, &scopes, &said, streams),
                metric::CLR_SCOPE => runtime::push(Method::Clr, &scopes, &said, streams),
                scope::NAME => push_meters(&scopes, &said, false, streams),
                name => {
                    // OAP's rules have names as identifiers; those of SDKs are none.
                    let is_foreign = !name.is_empty()
                        || resource.attributes().any(|pair| pair.key.starts_with(b"telemetry.sdk."));
                    push_meters(&scopes, &Entity::of(&resource, &config.services), is_foreign, streams);
                }
            }
        }
    }
}

fn push_meters(scopes: &ScopeGroup<'_>, entity: &Entity, is_foreign: bool, streams: &mut Streams) {
    for metric in scopes.metrics() {
        Meter { metric: &metric, entity, is_foreign }.push(streams);
    }
}

/// How many data points a metric has.
fn points(metric: &Metric<'_>) -> usize {
    match metric.data {
        MetricData::Empty => 0,
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        MetricData::Summary(summary) => summary.data_points().count(),
    }
}
