//! The keys of the `attributes` processor.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::{ComponentConfig, Problem};

use super::{
    action::{self, ActionConfig},
    filter::MatchConfig,
};

/// The keys of the `attributes` processor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttributesConfig {
    /// What is done, in order; at least one.
    pub actions: Vec<ActionConfig>,
    /// Acts only on what matches.
    #[serde(alias = "include=null")]
    pub include: Option<MatchConfig>,
    /// Does not act on what matches, even if it is included.
    #[serde(alias = "exclude=null")]
    pub exclude: Option<MatchConfig>,
}

impl ComponentConfig for AttributesConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = action::problems(&self.actions, "actions");
        for (key, block) in [("include", &self.include), ("exclude", &self.exclude)] {
            problems.extend(block.iter().flat_map(|block| block.problems(key)));
        }
        problems
    }
}
