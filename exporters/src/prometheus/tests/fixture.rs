//! An exporter without a server, and OTLP to give it.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    metrics::v1::{Metric, MetricsData, ResourceMetrics, ScopeMetrics},
    resource::v1::Resource,
};
use prost::Message;
use sluice_pipeline::{Batch, Chunk, Context, Reply, Signal, budget::Budget, component::ComponentContext};

pub(super) use crate::prometheus_model::testing::*;

use crate::prometheus::{
    config::PrometheusKeys,
    expose::{Exposition, Format, Style},
    intake::Intake,
    store::Store,
};

pub(super) struct Fixture {
    pub(super) store: Arc<Store>,
    intake: Intake,
    style: Style,
}

impl Fixture {
    pub(super) fn new(change: impl FnOnce(&mut PrometheusKeys)) -> Self {
        Self::within(&Budget::new(1 << 30), change)
    }

    pub(super) fn within(budget: &Budget, change: impl FnOnce(&mut PrometheusKeys)) -> Self {
        let mut keys = PrometheusKeys::default();
        change(&mut keys);
        let store = Arc::new(Store::new(&keys, &ComponentContext::detached("prometheus", budget.clone())));
        let style = Style { timestamps: keys.send_timestamps };
        Self { intake: Intake::new(keys, Arc::clone(&store)), store, style }
    }

    /// Takes metrics of a resource without attributes and a scope without a name.
    pub(super) fn take(&self, metrics: Vec<Metric>) -> Reply {
        self.take_from(&[], None, metrics)
    }

    pub(super) fn take_from(
        &self,
        resource: &[(&str, &str)],
        scope: Option<InstrumentationScope>,
        metrics: Vec<Metric>,
    ) -> Reply {
        let data = MetricsData {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
                scope_metrics: vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        };
        let chunk = Chunk::new(data.encode_to_vec().into(), 1);
        self.intake.take(&Batch::new(Signal::Metrics, chunk, Context::default()))
    }

    /// Everything in a format.
    pub(super) fn exposed(&self, format: Format) -> Vec<u8> {
        Exposition::of(&self.store, format, self.style).flatten().collect()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.exposed(Format::Text)).unwrap()
    }

    pub(super) fn open_metrics(&self) -> String {
        String::from_utf8(self.exposed(Format::OpenMetrics)).unwrap()
    }

    /// The samples of the text format.
    pub(super) fn samples(&self) -> Vec<String> {
        self.text().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }
}

/// How many points were refused, and why.
pub(super) fn refused(reply: Reply) -> (u64, String) {
    match reply {
        Reply::Delivered => (0, String::new()),
        Reply::Rejected { items, message } => (items, message),
        other => panic!("{other:?}"),
    }
}
