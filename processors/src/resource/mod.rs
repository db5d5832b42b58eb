//! The `resource` processor: edits the attributes of resources.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    Batch, Consumer,
    component::{BuildError, ComponentConfig, Declaration, Problem, ProcessorContext, ProcessorFactory},
    otlp::rewrite::{self, Editor, Part, Visit},
    same_signals,
};

use crate::{
    attributes::action::{self, ActionConfig, Edits, Operation},
    rewriting::{Rewriter, Rewriting},
};

/// The `resource` processor.
pub struct Resource;

/// The keys of the `resource` processor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceConfig {
    /// What is done to the attributes of each resource, in order; at least one.
    pub attributes: Vec<ActionConfig>,
}

impl ComponentConfig for ResourceConfig {
    fn problems(&self) -> Vec<Problem> {
        action::problems(&self.attributes, "attributes")
    }
}

impl ProcessorFactory for Resource {
    type Config = ResourceConfig;
    const DECLARATION: Declaration = Declaration {
        name: "resource",
        aliases: &[],
        summary: "Inserts, changes, deletes, hashes, extracts and converts attributes of resources.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: ResourceConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let resources = Resources { operations: action::compile(&config.attributes) };
        Ok(Rewriting::before(next, resources, &context))
    }
}

struct Resources {
    operations: Vec<Operation>,
}

impl Rewriter for Resources {
    fn rewrite(&self, batch: Batch) -> Batch {
        let edits = Edits::new(&self.operations, batch.context());
        rewrite::batch(batch, &mut ResourceEditor(edits))
    }
}

struct ResourceEditor<'a>(Edits<'a>);

impl Editor for ResourceEditor<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        if let Some(attributes) = resource.attributes() {
            self.0.apply(attributes);
        }
        Visit::Keep
    }
}

#[cfg(test)]
mod tests;
