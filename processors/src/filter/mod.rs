//! The `filter` processor: drops spans, metrics and log records that are not wanted.

mod config;
mod editor;

use std::sync::Arc;

pub use config::{
    ErrorMode, FilterConfig, LogFilters, LogMatch, LogMatchType, MetricFilters, MetricMatch, MetricMatchType,
    Severity, SpanFilters,
};
use editor::{Dropping, Selected};
use metrics::{Counter, counter};
use sluice_pipeline::{
    Batch, Consumer, Signal,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    otlp::rewrite,
    same_signals,
    telemetry::names,
};

use crate::{
    attributes,
    rewriting::{Rewriter, Rewriting},
};

/// The `filter` processor.
pub struct Filter;

impl ProcessorFactory for Filter {
    type Config = FilterConfig;
    const DECLARATION: Declaration = Declaration {
        name: "filter",
        aliases: &[],
        summary: "Drops spans, metrics and log records by include and exclude (no OTTL conditions yet).",
        signals: same_signals!(Beta: Traces, Metrics, Logs),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: FilterConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let (selected, counter_name) = match context.pipeline.signal {
            Signal::Traces => {
                let SpanFilters { include, exclude } = &config.spans;
                let filter =
                    attributes::filter("spans.", include.as_ref(), exclude.as_ref(), Signal::Traces)?;
                (Selected::Items(Box::new(filter)), names::FILTERED_SPANS)
            }
            Signal::Metrics => (config.metrics.selected(), names::FILTERED_DATA_POINTS),
            Signal::Logs | Signal::Profiles => {
                (Selected::Items(Box::new(config.logs.filter())), names::FILTERED_LOG_RECORDS)
            }
        };
        let dropped = counter!(counter_name, "processor" => context.component.id.to_string());
        Ok(Rewriting::before(next, Filtering { selected, dropped }, &context))
    }
}

struct Filtering {
    selected: Selected,
    dropped: Counter,
}

impl Rewriter for Filtering {
    fn rewrite(&self, batch: Batch) -> Batch {
        let before = batch.items();
        let mut dropping = Dropping::new(batch.signal(), &self.selected);
        let batch = rewrite::batch(batch, &mut dropping);
        self.dropped.increment(before.saturating_sub(batch.items()) as u64);
        batch
    }
}

#[cfg(test)]
mod tests;
