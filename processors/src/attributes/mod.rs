//! The `attributes` processor: edits the attributes of spans, log records and data points.

pub mod action;
mod config;
mod editor;
pub mod filter;
pub mod literal;

use std::sync::Arc;

use action::{Edits, Operation};
pub use config::AttributesConfig;
use editor::ItemEditor;
use filter::{Filter, MatchConfig, Matcher};
use sluice_pipeline::{
    Batch, Consumer, Signal,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    otlp::rewrite,
    same_signals,
};

use crate::rewriting::{Rewriter, Rewriting};

/// The `attributes` processor.
pub struct Attributes;

impl ProcessorFactory for Attributes {
    type Config = AttributesConfig;
    const DECLARATION: Declaration = Declaration {
        name: "attributes",
        aliases: &[],
        summary: "Inserts, changes, deletes, hashes, extracts and converts attributes.",
        signals: same_signals!(Beta: Traces, Metrics, Logs),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: AttributesConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let signal = context.pipeline.signal;
        let filter = filter("", config.include.as_ref(), config.exclude.as_ref(), signal)?;
        let items = Items { operations: action::compile(&config.actions), filter };
        Ok(Rewriting::before(next, items, &context))
    }
}

/// The filter of these blocks; `below` is the key that they stand under.
pub(crate) fn filter(
    below: &str,
    include: Option<&MatchConfig>,
    exclude: Option<&MatchConfig>,
    signal: Signal,
) -> Result<Filter, BuildError> {
    let matcher = |key: &str, config: Option<&MatchConfig>| {
        let Some(config) = config else { return Ok(None) };
        match config.problem_with(signal) {
            Some(problem) => Err(BuildError::setting(format!("{below}{key}"), problem)),
            None => Ok(Matcher::of(config)),
        }
    };
    Ok(Filter { include: matcher("include", include)?, exclude: matcher("exclude", exclude)? })
}

struct Items {
    operations: Vec<Operation>,
    filter: Filter,
}

impl Rewriter for Items {
    fn rewrite(&self, batch: Batch) -> Batch {
        let edits = Edits::new(&self.operations, batch.context());
        let mut editor = ItemEditor::new(batch.signal(), &self.filter, edits);
        rewrite::batch(batch, &mut editor)
    }
}

#[cfg(test)]
mod tests;
