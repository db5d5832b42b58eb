//! The `file_storage` extension: sending queues on disk that survive the process and a power cut.
//!
//! A queue is a log of segments ([`log`]) in a directory of its own ([`directory`]), worked on by a thread of its own
//! ([`worker`]). The format is described in `docs/queue-format.md`, what it promises in `docs/reliability.md`.

mod config;
mod directory;
mod disk;
pub mod fuzzing;
mod identity;
mod log;
mod queue;
mod record;
mod storage;
mod telemetry;
#[cfg(test)]
mod tests;
mod worker;

use std::{sync::Arc, time::Instant};

pub use config::{CompactionConfig, FileStorageConfig, RetentionConfig};
use futures_util::future::BoxFuture;
use sluice_pipeline::component::{
    BuildError, Capabilities, Capability, Declaration, Extension, ExtensionContext, ExtensionFactory,
    Listeners, Storage,
};
use tokio::task::spawn_blocking;
use tracing::warn;

use directory::Directory;
use log::Settings;
use storage::FileQueues;
use worker::Retention;

/// From which size on a segment is followed by the next, in bytes.
const SEGMENT_SIZE: u64 = 32 << 20;

/// The `file_storage` extension.
pub struct FileStorage;

/// A running `file_storage` extension.
struct Running {
    config: FileStorageConfig,
    queues: Arc<FileQueues>,
}

impl ExtensionFactory for FileStorage {
    type Config = FileStorageConfig;
    const DECLARATION: Declaration = Declaration {
        name: "file_storage",
        aliases: &[],
        summary: "Keeps sending queues on disk.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &FileStorageConfig) -> Vec<sluice_pipeline::component::Endpoint> {
        Vec::new()
    }

    fn offers(_config: &FileStorageConfig) -> Vec<Capability> {
        vec![Capability::Storage]
    }

    fn build(config: FileStorageConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let context = context.component;
        for key in config.without_effect() {
            warn!(extension = %context.id, key, "This key of the Collector is not needed here and has no effect");
        }
        let settings = Settings { segment_size: SEGMENT_SIZE, sync: config.fsync };
        let max_age: std::time::Duration = config.retention.max_age.into();
        let retention = Retention {
            max_age: u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX),
            max_size: config.retention.max_size_mib.saturating_mul(1 << 20),
        };
        Ok(Box::new(Running { config, queues: FileQueues::new(context, settings, retention) }))
    }
}

impl Extension for Running {
    fn capabilities(&self) -> Capabilities {
        let storage: Arc<dyn Storage> = Arc::<FileQueues>::clone(&self.queues);
        Capabilities { storage: Some(storage), ..Capabilities::default() }
    }

    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let config = self.config.clone();
            let opened = spawn_blocking(move || Directory::open(&config)).await;
            let directory = opened
                .map_err(|error| BuildError::Other(error.to_string()))?
                .map_err(|error| BuildError::setting("directory", error.to_string()))?;
            self.queues.start(directory);
            Ok(())
        })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.queues.stop(deadline))
    }
}
