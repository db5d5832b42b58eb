//! The sending queue: in memory, or behind a storage extension.

mod backlog;
mod durable;
mod memory;
mod room;
mod space;

pub(super) use durable::Durable;
pub(super) use memory::Memory;

use http::HeaderName;

use super::{BatchConfig, QueueConfig};
use crate::batching::Rules;

/// How batches are joined and split in a queue of this configuration.
fn rules(config: &QueueConfig) -> Rules {
    let Some(batch) = &config.batch else { return Rules::none() };
    Rules {
        sizer: config.batch_sizer(),
        min_size: batch.min_size,
        max_size: batch.max_size(),
        timeout: batch.flush_timeout.into(),
        join: true,
        metadata_keys: metadata_keys(batch),
        partition_limit: None,
    }
}

fn metadata_keys(batch: &BatchConfig) -> Vec<HeaderName> {
    batch.partition.metadata_keys.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect()
}
