//! The keys of the `groupbytrace` processor.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::Duration,
};

/// The keys of the `groupbytrace` processor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupByTraceConfig {
    /// How many traces are held. Beyond it the oldest leave early, with what has come of them; the Collector drops them.
    pub num_traces: usize,
    /// Accepted for the Collector's files: every thread of the process works here.
    pub num_workers: u32,
    /// How long a trace is held from its first span on.
    pub wait_duration: Duration,
    /// Declared by the Collector, and not built there either.
    pub discard_orphans: NotBuilt,
    /// Declared by the Collector, and not built there either.
    pub store_on_disk: NotBuilt,
}

impl Default for GroupByTraceConfig {
    fn default() -> Self {
        Self {
            num_traces: 1_000_000,
            num_workers: 1,
            wait_duration: Duration::from_secs(1),
            discard_orphans: NotBuilt::default(),
            store_on_disk: NotBuilt::default(),
        }
    }
}

impl ComponentConfig for GroupByTraceConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.num_traces == 0 {
            problems.push(Problem::at("num_traces", "must be more than 0"));
        }
        if self.num_workers == 0 {
            problems.push(Problem::at("num_workers", "must be more than 0"));
        }
        if self.wait_duration == Duration::ZERO {
            problems.push(Problem::at("wait_duration", "must be more than 0, or no trace would be whole"));
        }
        for (key, asked) in [("discard_orphans", self.discard_orphans), ("store_on_disk", self.store_on_disk)]
        {
            asked.report(key, "remove it", &mut problems);
        }
        problems
    }
}
