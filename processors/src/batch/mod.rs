//! The `batch` processor: joins small requests into batches and splits large ones.
//!
//! Before a memory queue it answers its callers once their bytes are admitted, as the Collector does. Where a later
//! stage answers only when data is delivered or synced, it holds its callers instead; then it sends as soon as
//! nothing is under way, so that a client that sends one request after the other is not throttled by the timeout.

mod admission;
mod config;
mod metrics;
mod processor;
mod sender;

use std::sync::Arc;

pub use config::BatchConfig;
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    same_signals,
};

/// The `batch` processor.
pub struct Batch;

impl ProcessorFactory for Batch {
    type Config = BatchConfig;
    const DECLARATION: Declaration = Declaration {
        name: "batch",
        aliases: &[],
        summary: "Joins small requests into batches and splits large ones.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: BatchConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(Arc::new(processor::Processor::start(&config, &context, next)))
    }
}

#[cfg(test)]
mod tests;
