//! An exporter without a server, and OTLP to give it.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, MetricsData,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;
use sluice_pipeline::{Batch, Chunk, Context, Reply, Signal, budget::Budget, component::ComponentContext};

use crate::prometheus::{
    config::PrometheusKeys,
    expose::{Exposition, Format, Style},
    intake::Intake,
    store::Store,
};

/// A second in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;
/// A time long past, so that no clock is behind it.
pub(super) const TIME: u64 = 1_700_000_000 * SECOND;

pub(super) const DELTA: i32 = AggregationTemporality::Delta as i32;
pub(super) const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

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

pub(super) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

pub(super) fn point(start: u64, time: u64, value: f64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: attributes(labels),
        ..NumberDataPoint::default()
    }
}

pub(super) fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: format!("What {name} says."),
        data: Some(data),
        ..Metric::default()
    }
}

pub(super) fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

pub(super) fn sum(
    name: &str,
    temporality: i32,
    is_monotonic: bool,
    data_points: Vec<NumberDataPoint>,
) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic };
    metric(name, "", Data::Sum(sum))
}

pub(super) fn histogram(name: &str, temporality: i32, data_points: Vec<HistogramDataPoint>) -> Metric {
    metric(name, "s", Data::Histogram(Histogram { data_points, aggregation_temporality: temporality }))
}

pub(super) fn buckets(start: u64, time: u64, bounds: &[f64], counts: &[u64], sum: f64) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(sum),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..HistogramDataPoint::default()
    }
}

pub(super) fn measured(value: f64, time: u64) -> Exemplar {
    Exemplar {
        value: Some(exemplar::Value::AsDouble(value)),
        time_unix_nano: time,
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        ..Exemplar::default()
    }
}
