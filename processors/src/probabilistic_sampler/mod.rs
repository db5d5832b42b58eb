//! The `probabilistic_sampler` processor: keeps a share of all traces, or of log records.

mod carried;
mod config;
mod editor;
mod metrics;
mod number;
mod sampler;

use std::sync::Arc;

pub use config::{AttributeSource, ProbabilisticSamplerConfig, SamplingMode};
use editor::{Records, Spans};
use metrics::SamplerMetrics;
use sampler::Sampler;
use sluice_pipeline::{
    Batch, Consumer, Signal,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    otlp::rewrite,
    same_signals,
};

use crate::rewriting::{Rewriter, Rewriting};

/// The `probabilistic_sampler` processor.
pub struct ProbabilisticSampler;

impl ProcessorFactory for ProbabilisticSampler {
    type Config = ProbabilisticSamplerConfig;
    const DECLARATION: Declaration = Declaration {
        name: "probabilistic_sampler",
        aliases: &[],
        summary: "Keeps a share of all traces, or of log records, by their trace id or an attribute.",
        signals: same_signals!(Beta: Traces, Logs),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: ProbabilisticSamplerConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let signal = context.pipeline.signal;
        let metrics = SamplerMetrics::new(&context.component.id, signal, &config.from_attribute);
        let sampler = Sampler::new(&config);
        Ok(Rewriting::before(next, Sampling { sampler, config, metrics }, &context))
    }
}

struct Sampling {
    sampler: Sampler,
    config: ProbabilisticSamplerConfig,
    metrics: SamplerMetrics,
}

impl Rewriter for Sampling {
    fn rewrite(&self, batch: Batch) -> Batch {
        let (batch, counts) = if batch.signal() == Signal::Traces {
            let mut spans = Spans::new(&self.sampler);
            (rewrite::batch(batch, &mut spans), spans.counts)
        } else {
            let mut records = Records::new(&self.sampler, &self.config);
            (rewrite::batch(batch, &mut records), records.counts)
        };
        self.metrics.add(&counts);
        batch
    }
}

#[cfg(test)]
mod tests;
