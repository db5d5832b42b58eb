//! The keys of the `spanmetrics` connector.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::Duration,
};

use super::dimensions::OWN;

/// The bounds of buckets unless others are configured, in milliseconds.
const BOUNDS: [u64; 16] = [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000];
/// The fewest and the most buckets of an exponential histogram, on either side of zero.
const EXPONENTIAL_BUCKETS: std::ops::RangeInclusive<u32> = 2..=16_384;

/// The keys of the `spanmetrics` connector.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpanMetricsConfig {
    /// What names of metrics begin with: `traces.span.metrics.calls`.
    pub namespace: String,
    /// Attributes of the span, else of the resource, that tell series apart besides `service.name`, `span.name`,
    /// `span.kind` and `status.code`.
    pub dimensions: Vec<Dimension>,
    /// Further ones of `calls` alone.
    pub calls_dimensions: Vec<Dimension>,
    /// Which of the four do not tell series apart.
    pub exclude_dimensions: Vec<String>,
    /// The metric `duration`.
    pub histogram: HistogramConfig,
    /// Whether values add up from the start, or are those since the last flush.
    pub aggregation_temporality: TemporalityName,
    /// How often metrics are sent.
    pub metrics_flush_interval: Duration,
    /// After how long without spans the series of a resource are forgotten; 0 never.
    pub metrics_expiration: Duration,
    /// After how long without spans a series is forgotten; 0 never.
    pub series_expiration: Duration,
    /// How many resources have series; beyond it the one without spans for longest leaves with the next flush.
    pub resource_metrics_cache_size: usize,
    /// Attributes that tell resources apart; all if none are named.
    pub resource_metrics_key_attributes: Vec<String>,
    /// Samples of spans with their trace ids, on `duration`.
    pub exemplars: ExemplarsConfig,
    /// The metric `events`: how many span events there were.
    pub events: EventsConfig,
    /// Instrumentation scopes whose name and version tell series apart.
    pub include_instrumentation_scope: Vec<String>,
    /// The most series of a resource and metric; further spans go to the series `otel.metric.overflow`. 0 sets no limit but the
    /// byte budget.
    pub aggregation_cardinality_limit: usize,
    /// Whether metrics have the attributes of the resource; they do unless this is false.
    pub add_resource_attributes: Option<bool>,
    /// Accepted for the Collector's files: there is no such cache here.
    pub dimensions_cache_size: Option<u64>,
    /// Accepted for the Collector's files: there is no such cache here.
    pub metric_timestamp_cache_size: Option<u64>,
}

/// An attribute that tells series apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dimension {
    /// Its key.
    #[schemars(required)]
    pub name: String,
    /// What it is where it is missing; without this, nothing.
    pub default: Option<String>,
}

/// The metric `duration`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistogramConfig {
    /// Whether it is left out.
    pub disable: bool,
    /// The unit of its values.
    pub unit: Unit,
    /// Buckets with these bounds.
    #[serde(alias = "explicit=null")]
    pub explicit: Option<ExplicitHistogram>,
    /// Buckets that grow by a factor.
    #[serde(alias = "exponential=null")]
    pub exponential: Option<ExponentialHistogram>,
    /// Further attributes that tell series apart, of `duration` alone.
    pub dimensions: Vec<Dimension>,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Unit {
    /// Milliseconds.
    #[default]
    #[serde(rename = "ms")]
    Milliseconds,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
}

/// Buckets with fixed bounds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExplicitHistogram {
    /// Their upper bounds, ascending.
    pub buckets: Vec<Duration>,
}

/// Buckets that grow by a factor, which is chosen so that so many are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExponentialHistogram {
    /// The most buckets.
    pub max_size: u32,
}

/// How values add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TemporalityName {
    /// From the start of the series.
    #[default]
    #[serde(rename = "AGGREGATION_TEMPORALITY_CUMULATIVE")]
    Cumulative,
    /// Since the last flush.
    #[serde(rename = "AGGREGATION_TEMPORALITY_DELTA")]
    Delta,
}

/// Samples of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExemplarsConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// The most of a series between two flushes.
    pub max_per_data_point: usize,
}

/// The metric `events`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventsConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Attributes of the span, else of the event or resource, that tell its series apart; at least one.
    pub dimensions: Vec<Dimension>,
}

impl Default for SpanMetricsConfig {
    fn default() -> Self {
        Self {
            namespace: "traces.span.metrics".to_owned(),
            dimensions: Vec::new(),
            calls_dimensions: Vec::new(),
            exclude_dimensions: Vec::new(),
            histogram: HistogramConfig::default(),
            aggregation_temporality: TemporalityName::default(),
            metrics_flush_interval: Duration::from_secs(60),
            metrics_expiration: Duration::ZERO,
            series_expiration: Duration::ZERO,
            resource_metrics_cache_size: 1000,
            resource_metrics_key_attributes: Vec::new(),
            exemplars: ExemplarsConfig::default(),
            events: EventsConfig::default(),
            include_instrumentation_scope: Vec::new(),
            aggregation_cardinality_limit: 0,
            add_resource_attributes: None,
            dimensions_cache_size: None,
            metric_timestamp_cache_size: None,
        }
    }
}

impl Default for ExplicitHistogram {
    fn default() -> Self {
        Self { buckets: BOUNDS.map(Duration::from_millis).to_vec() }
    }
}

impl Default for ExponentialHistogram {
    fn default() -> Self {
        Self { max_size: 160 }
    }
}

impl Default for ExemplarsConfig {
    fn default() -> Self {
        Self { enabled: false, max_per_data_point: 5 }
    }
}

impl Unit {
    /// As OTLP has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    /// How many nanoseconds it has.
    pub(super) fn nanoseconds(self) -> f64 {
        match self {
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
        }
    }
}

impl ComponentConfig for SpanMetricsConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let lists = [
            ("dimensions", &[][..], &self.dimensions),
            ("calls_dimensions", &self.dimensions, &self.calls_dimensions),
            ("histogram.dimensions", &self.dimensions, &self.histogram.dimensions),
            ("events.dimensions", &self.dimensions, &self.events.dimensions),
        ];
        for (key, before, dimensions) in lists {
            let mut names: HashSet<&str> = OWN.into_iter().collect();
            names.extend(before.iter().map(|dimension| dimension.name.as_str()));
            for (index, dimension) in dimensions.iter().enumerate() {
                let place = format!("{key}.{index}");
                if dimension.name.is_empty() {
                    problems.push(Problem::at(place, "a dimension needs a \"name\""));
                } else if !names.insert(&dimension.name) {
                    let message = format!("the dimension {:?} is there already", dimension.name);
                    problems.push(Problem::at(place, message));
                }
            }
        }
        if self.events.enabled && self.events.dimensions.is_empty() {
            problems.push(Problem::at("events", "needs at least one of \"dimensions\" to tell events apart"));
        }
        if self.metrics_flush_interval == Duration::ZERO {
            problems.push(Problem::at("metrics_flush_interval", "must be more than 0"));
        }
        if self.resource_metrics_cache_size == 0 {
            problems.push(Problem::at("resource_metrics_cache_size", "must be more than 0"));
        }
        self.histogram_problems(&mut problems);
        problems
    }
}

impl SpanMetricsConfig {
    fn histogram_problems(&self, problems: &mut Vec<Problem>) {
        let HistogramConfig { explicit, exponential, .. } = &self.histogram;
        if explicit.is_some() && exponential.is_some() {
            problems.push(Problem::at("histogram", "is explicit or exponential, not both"));
        }
        if let Some(explicit) = explicit
            && !explicit.buckets.is_sorted_by(|one, other| one < other)
        {
            problems.push(Problem::at("histogram.explicit.buckets", "must ascend"));
        }
        if let Some(exponential) = exponential
            && !EXPONENTIAL_BUCKETS.contains(&exponential.max_size)
        {
            let (least, most) = (EXPONENTIAL_BUCKETS.start(), EXPONENTIAL_BUCKETS.end());
            let message =
                format!("{} is no number of buckets; it is {least} to {most}", exponential.max_size);
            problems.push(Problem::at("histogram.exponential.max_size", message));
        }
    }
}
