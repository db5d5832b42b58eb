//! The keys of `sending_queue`.

use std::{collections::HashSet, num::NonZeroUsize, time};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    component::{Capability, ComponentId, Problem, Reference},
    config::types::Duration,
    consumer::Demand,
};

/// The queue between a pipeline and its destination.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QueueConfig {
    /// Whether there is a queue. Without one a request is answered when the destination has answered.
    pub enabled: bool,
    /// How many requests are sent at the same time.
    pub num_consumers: usize,
    /// How much the queue holds, in the unit of `sizer`, requests on their way included.
    pub queue_size: usize,
    /// What `queue_size` counts: `requests` (the default), `items` or `bytes`.
    pub sizer: Option<Sizer>,
    /// Whether a full queue lets its callers wait instead of refusing them.
    pub block_on_overflow: bool,
    /// Whether callers are answered only when their data was delivered.
    pub wait_for_result: bool,
    /// The extension that holds the queue on disk; in memory if absent.
    pub storage: Option<ComponentId>,
    /// Joins and splits requests while they are queued; `{}` for the defaults.
    pub batch: Option<BatchConfig>,
}

/// How requests are joined and split in a queue.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchConfig {
    /// How long a request waits for others at most.
    pub flush_timeout: Duration,
    /// From which size a batch is sent without waiting, in the unit of `sizer`.
    pub min_size: usize,
    /// Larger batches are split; 0 means never.
    pub max_size: usize,
    /// What the sizes count: `items` or `bytes`. By default that of the queue if it is set, else `items`.
    pub sizer: Option<Sizer>,
    /// Which requests may be joined.
    pub partition: PartitionConfig,
}

/// Which requests may be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PartitionConfig {
    /// Only requests with equal values of this client metadata are joined.
    pub metadata_keys: Vec<String>,
}

/// A unit in which batches are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Each batch counts one.
    Requests,
    /// Spans, data points, log records, profile samples.
    Items,
    /// Encoded, uncompressed bytes.
    Bytes,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: None,
            block_on_overflow: false,
            wait_for_result: false,
            storage: None,
            batch: None,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            flush_timeout: time::Duration::from_millis(200).into(),
            min_size: 8192,
            max_size: 0,
            sizer: None,
            partition: PartitionConfig::default(),
        }
    }
}

impl Sizer {
    /// The size of what is demanded.
    #[must_use]
    pub fn of_demand(self, demand: &Demand) -> usize {
        match self {
            Self::Requests => 1,
            Self::Items => demand.items,
            Self::Bytes => demand.bytes,
        }
    }

    /// The size of a batch.
    #[must_use]
    pub fn of(self, batch: &Batch) -> usize {
        match self {
            Self::Requests => 1,
            Self::Items => batch.items(),
            Self::Bytes => batch.bytes(),
        }
    }

    /// The name in configuration and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Items => "items",
            Self::Bytes => "bytes",
        }
    }
}

impl QueueConfig {
    /// No queue: the default of components that answer by themselves.
    #[must_use]
    pub fn disabled() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// What `queue_size` counts.
    #[must_use]
    pub fn sizer(&self) -> Sizer {
        self.sizer.unwrap_or(Sizer::Requests)
    }

    /// What the sizes of `batch` count.
    #[must_use]
    pub fn batch_sizer(&self) -> Sizer {
        self.batch.as_ref().and_then(|batch| batch.sizer).or(self.sizer).unwrap_or(Sizer::Items)
    }

    /// The extension that holds it, if one is to; `key` is where the block stands below its component.
    #[must_use]
    pub fn reference(&self, key: &str) -> Option<Reference> {
        let id = self.storage.clone().filter(|_| self.enabled)?;
        Some(Reference { key: format!("{key}.storage"), id, needs: Capability::Storage })
    }

    /// Everything wrong with the values; `key` is where the block stands below its component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        if !self.enabled {
            return Vec::new();
        }
        let mut problems = Vec::new();
        let mut wrong =
            |name: &str, message: String| problems.push(Problem::at(format!("{key}.{name}"), message));
        if self.num_consumers == 0 {
            wrong("num_consumers", "must be positive: with no consumer nothing is sent".to_owned());
        }
        if self.queue_size == 0 {
            wrong("queue_size", "must be positive; for no queue set enabled: false".to_owned());
        }
        if self.storage.is_some() && self.wait_for_result {
            wrong(
                "wait_for_result",
                "cannot be combined with storage, which answers once data is on disk; remove one of them"
                    .to_owned(),
            );
        }
        if let Some(batch) = &self.batch {
            problems.extend(self.batch_problems(batch, &format!("{key}.batch")));
        }
        problems
    }

    fn batch_problems(&self, batch: &BatchConfig, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong =
            |name: &str, message: String| problems.push(Problem::at(format!("{key}.{name}"), message));
        if time::Duration::from(batch.flush_timeout).is_zero() {
            wrong("flush_timeout", "must be positive".to_owned());
        }
        if self.batch_sizer() == Sizer::Requests {
            wrong("sizer", "must be items or bytes: a batch is one request whatever it holds".to_owned());
        } else if self.sizer() == self.batch_sizer() && batch.min_size > self.queue_size {
            wrong(
                "min_size",
                format!("must not exceed queue_size ({}), or no batch ever fills", self.queue_size),
            );
        }
        if batch.max_size > 0 && batch.max_size < batch.min_size {
            wrong(
                "max_size",
                format!("must not be less than min_size ({}); 0 means no limit", batch.min_size),
            );
        }
        problems.extend(metadata_key_problems(
            &batch.partition.metadata_keys,
            &format!("{key}.partition.metadata_keys"),
        ));
        problems
    }
}

impl BatchConfig {
    /// `max_size`, unless it is 0.
    #[must_use]
    pub fn max_size(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.max_size)
    }
}

/// What is wrong with a list of metadata keys: an entry that is no header name, or the same one twice.
#[must_use]
pub fn metadata_key_problems(keys: &[String], key: &str) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for (index, name) in keys.iter().enumerate() {
        let place = format!("{key}.{index}");
        if http::HeaderName::try_from(name.as_str()).is_err() {
            problems.push(Problem::at(place, format!("\"{name}\" cannot be the name of a header")));
        } else if !seen.insert(name.to_ascii_lowercase()) {
            problems.push(Problem::at(place, format!("duplicate entry \"{name}\" (case does not matter)")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &QueueConfig) -> Vec<String> {
        config.problems("q").into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_sound() {
        assert!(keys(&QueueConfig::default()).is_empty());
        let batching = QueueConfig { batch: Some(BatchConfig::default()), ..QueueConfig::default() };
        assert!(keys(&batching).is_empty(), "the batch sizer is items, so queue_size (requests) is no bound");
    }

    #[test]
    fn each_bad_value_is_named() {
        let config = QueueConfig {
            num_consumers: 0,
            queue_size: 0,
            wait_for_result: true,
            storage: Some(ComponentId::of_type("file_storage")),
            ..QueueConfig::default()
        };
        assert_eq!(keys(&config), ["q.num_consumers", "q.queue_size", "q.wait_for_result"]);
    }

    #[test]
    fn each_bad_batch_value_is_named() {
        let batch = BatchConfig {
            flush_timeout: time::Duration::ZERO.into(),
            min_size: 2000,
            max_size: 1999,
            partition: PartitionConfig {
                metadata_keys: vec!["tenant".to_owned(), "Tenant".to_owned(), "a b".to_owned()],
            },
            ..BatchConfig::default()
        };
        let config = QueueConfig { sizer: Some(Sizer::Items), batch: Some(batch), ..QueueConfig::default() };
        let expected = [
            "flush_timeout",
            "min_size",
            "max_size",
            "partition.metadata_keys.1",
            "partition.metadata_keys.2",
        ];
        assert_eq!(keys(&config), expected.map(|name| format!("q.batch.{name}")));
    }

    #[test]
    fn a_batch_inherits_a_sizer_only_if_it_is_written() {
        let mut config = QueueConfig { batch: Some(BatchConfig::default()), ..QueueConfig::default() };
        assert_eq!(config.batch_sizer(), Sizer::Items);
        config.sizer = Some(Sizer::Bytes);
        config.queue_size = 1 << 20;
        assert_eq!(config.batch_sizer(), Sizer::Bytes);
        config.sizer = Some(Sizer::Requests);
        assert_eq!(keys(&config), ["q.batch.sizer"]);
    }

    #[test]
    fn a_queue_that_is_off_is_not_checked() {
        assert!(keys(&QueueConfig { num_consumers: 0, ..QueueConfig::disabled() }).is_empty());
    }
}
