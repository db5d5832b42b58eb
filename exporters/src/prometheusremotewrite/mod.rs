//! The `prometheusremotewrite` exporter: sends metrics to Prometheus and its kin, by remote write 1.0 or 2.0.
//!
//! Samples of one series must arrive in the order of their times. So batches are delivered one after another, each to its
//! end; what is sent at the same time are requests of one batch, and a series is in one of them only.

mod config;
mod counters;
mod delivery;
mod refusal;
mod request;
mod segment;
mod targets;
mod translate;
mod verdict;
mod writer;

use std::{sync::Arc, time::Duration};

use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, QueueConfig, Settings},
    same_signals,
};

pub use self::config::{
    CreatedMetric, HttpBlock, ProtobufMessage, RemoteWriteConfig, RemoteWriteKeys, RemoteWriteQueue,
    RemoteWriteRetry, TargetInfo,
};
use self::writer::RemoteWriter;
pub use crate::prometheus_model::{ResourceConversion, Selection, TranslationStrategy};

/// The `prometheusremotewrite` exporter.
pub struct PrometheusRemoteWrite;

impl ExporterFactory for PrometheusRemoteWrite {
    type Config = RemoteWriteConfig;
    const DECLARATION: Declaration = Declaration {
        name: "prometheusremotewrite",
        aliases: &["prometheus_remote_write"],
        summary: "Sends metrics to Prometheus by remote write 1.0 or 2.0, with native histograms and exemplars.",
        signals: same_signals!(Beta: Metrics),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: RemoteWriteConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let writer = Arc::new(RemoteWriter::new(&config, &context.component)?);
        let settings = Settings {
            // Each request has its own.
            timeout: Duration::ZERO,
            retry: config.own.retry_on_failure.retry,
            // One batch at a time, or samples would overtake each other.
            queue: QueueConfig { num_consumers: 1, ..config.own.remote_write_queue.queue },
        };
        export::Exporter::start(writer, settings, &context)
    }

    fn answers_later(config: &RemoteWriteConfig) -> bool {
        export::answers_later(&config.own.remote_write_queue.queue)
    }
}

#[cfg(test)]
mod tests;
