//! The keys of the `debug` exporter.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem, Reference},
    export::QueueConfig,
};

/// The keys of the `debug` exporter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DebugConfig {
    /// How much is printed of each batch.
    pub verbosity: Verbosity,
    /// How many batches are printed in each second before sampling begins.
    pub sampling_initial: u64,
    /// From then on every how many-th batch of that second is printed. 1 prints all, 0 none.
    pub sampling_thereafter: u64,
    /// Whether to print through Sluice's own log. Otherwise plain text goes to `output_paths`.
    pub use_internal_logger: bool,
    /// Where plain text goes: `stdout`, `stderr` or files, which are added to.
    pub output_paths: Vec<String>,
    /// The queue before the exporter; off by default.
    pub sending_queue: QueueConfig,
}

/// How much is printed of each batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// A line with counts.
    #[default]
    Basic,
    /// Besides, a line for each item.
    Normal,
    /// Besides, everything that is known of each item.
    Detailed,
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
            output_paths: vec!["stdout".to_owned()],
            sending_queue: QueueConfig::disabled(),
        }
    }
}

impl ComponentConfig for DebugConfig {
    fn references(&self) -> Vec<Reference> {
        self.sending_queue.reference("sending_queue").into_iter().collect()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.sending_queue.problems("sending_queue");
        if self.use_internal_logger && self.output_paths != Self::default().output_paths {
            problems.push(Problem::at(
                "output_paths",
                "output_paths has no effect unless use_internal_logger is false",
            ));
        }
        if !self.use_internal_logger && self.output_paths.is_empty() {
            problems.push(Problem::at(
                "output_paths",
                "output_paths must name at least one of stdout, stderr or a file when use_internal_logger is false",
            ));
        }
        problems
    }
}
