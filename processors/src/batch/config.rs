//! The keys of the `batch` processor.

use std::num::NonZeroUsize;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    batching::Rules,
    component::{ComponentConfig, Problem},
    config::types::Duration,
    export::{Sizer, metadata_key_problems},
};

/// The keys of the `batch` processor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchConfig {
    /// How long items wait at most before they are sent; 0 sends them at once.
    pub timeout: Duration,
    /// From how many spans, data points or log records on a batch is sent without waiting.
    pub send_batch_size: usize,
    /// Larger batches are split; 0 means never.
    pub send_batch_max_size: usize,
    /// Only requests with equal values of this client metadata are joined.
    pub metadata_keys: Vec<String>,
    /// How many combinations of those values are taken while the process lives.
    pub metadata_cardinality_limit: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl BatchConfig {
    pub(super) fn rules(&self) -> Rules {
        let keys: Vec<HeaderName> =
            self.metadata_keys.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect();
        Rules {
            sizer: Sizer::Items,
            min_size: self.send_batch_size,
            max_size: NonZeroUsize::new(self.send_batch_max_size),
            timeout: self.timeout.into(),
            join: true,
            partition_limit: (!keys.is_empty() && self.metadata_cardinality_limit > 0)
                .then_some(self.metadata_cardinality_limit),
            metadata_keys: keys,
        }
    }
}

impl ComponentConfig for BatchConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = metadata_key_problems(&self.metadata_keys, "metadata_keys");
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            problems.push(Problem::at(
                "send_batch_max_size",
                format!(
                    "must be greater than or equal to send_batch_size ({}); 0 means no limit",
                    self.send_batch_size
                ),
            ));
        }
        problems
    }
}
