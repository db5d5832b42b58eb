//! `service.telemetry.traces`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::not_in_this_build;
use crate::config::{Node, Problems};

/// Spans about Sluice. There are none in this build; as in the Collector they are off unless processors are named.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Traces {
    /// How many there are: none, basic, normal or detailed.
    pub level: Option<String>,
    /// How their context travels: tracecontext, b3.
    pub propagators: Vec<String>,
    /// Where they go; not in this build.
    pub processors: Vec<Value>,
    /// Which of them are kept.
    pub sampler: Option<Value>,
}

impl Traces {
    pub(super) fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.processors.is_empty() {
            not_in_this_build(node, "traces.processors", "exporting spans about Sluice", problems);
        }
    }
}
