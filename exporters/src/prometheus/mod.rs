//! The `prometheus` exporter: holds the latest value of every series and is scraped at `/metrics`.
//!
//! Names, labels and kinds follow OpenTelemetry's "Prometheus and OpenMetrics Compatibility", choices that it leaves open
//! follow the Collector. What the exporter holds is lost with the process, as are counters that it has added up from
//! delta points: Prometheus sees a reset.

mod config;
mod counters;
mod exporter;
mod expose;
mod intake;
mod labels;
mod negotiate;
mod scrape;
mod store;

use std::sync::Arc;

pub use config::{PrometheusConfig, PrometheusKeys};
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, Endpoint, ExporterContext, ExporterFactory},
    export, same_signals,
};

pub use crate::prometheus_model::{ResourceConversion, Selection, TranslationStrategy};

/// The endpoint that is scraped.
const ENDPOINT: &str = "http";

/// The `prometheus` exporter.
pub struct Prometheus;

impl ExporterFactory for Prometheus {
    type Config = PrometheusConfig;
    const DECLARATION: Declaration = Declaration {
        name: "prometheus",
        aliases: &[],
        summary: "Exposes metrics to Prometheus: text, OpenMetrics and protobuf with native histograms.",
        signals: same_signals!(Beta: Metrics),
        absorbs: true,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &PrometheusConfig) -> Vec<Endpoint> {
        vec![Endpoint { name: ENDPOINT, key: "endpoint", transport: config.server.bind() }]
    }

    fn build(config: PrometheusConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(Arc::new(exporter::PrometheusExporter::start(config, context)?))
    }

    fn answers_later(config: &PrometheusConfig) -> bool {
        export::answers_later(&config.own.sending_queue)
    }
}

#[cfg(test)]
mod tests;
