//! The `spanmetrics` connector: counts the requests, errors and durations of spans as metrics.

mod config;
mod connector;
mod dimensions;
mod histogram;
mod store;
mod table;
mod write;

use std::{collections::HashMap, sync::Arc};

pub use config::{
    Dimension, EventsConfig, ExemplarsConfig, ExplicitHistogram, ExponentialHistogram, HistogramConfig,
    SpanMetricsConfig, TemporalityName, Unit,
};
use sluice_pipeline::{
    Consumer, Signal,
    component::{BuildError, ConnectorContext, ConnectorFactory, Declaration, Pair, Stability},
};

/// The `spanmetrics` connector.
pub struct SpanMetrics;

impl ConnectorFactory for SpanMetrics {
    type Config = SpanMetricsConfig;
    const DECLARATION: Declaration = Declaration {
        name: "spanmetrics",
        aliases: &["span_metrics"],
        summary: "Counts the requests, errors and durations of spans as metrics.",
        signals: &[(Pair(Signal::Traces, Signal::Metrics), Stability::Beta)],
        absorbs: true,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: SpanMetricsConfig,
        context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
        connector::build(&config, context)
    }
}

#[cfg(test)]
mod tests;
