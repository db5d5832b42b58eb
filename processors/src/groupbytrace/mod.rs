//! The `groupbytrace` processor: holds the spans of a trace until they have come, and hands them on together.

mod config;
mod processor;
mod store;

use std::sync::Arc;

pub use config::GroupByTraceConfig;
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    same_signals,
};

/// The `groupbytrace` processor.
pub struct GroupByTrace;

impl ProcessorFactory for GroupByTrace {
    type Config = GroupByTraceConfig;
    const DECLARATION: Declaration = Declaration {
        name: "groupbytrace",
        aliases: &[],
        summary: "Holds the spans of a trace until they have come, and hands them on together.",
        signals: same_signals!(Beta: Traces),
        absorbs: true,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: GroupByTraceConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(processor::build(&config, context, next))
    }
}

#[cfg(test)]
mod tests;
