//! What exporters share: time-outs, retries, the sending queue.
//!
//! An exporter implements [`Sender`], one attempt to deliver one batch. [`Exporter::start`] makes of it a consumer
//! that keeps the rules of `timeout`, `retry_on_failure` and `sending_queue`.

mod attempts;
mod backoff;
mod direct;
mod queue;
mod queue_config;
mod retry_config;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::Batch,
    component::{BuildError, ComponentId, ExporterContext, QueueOwner, Storage},
    consumer::Consumer,
    reply::Reply,
    telemetry::ExporterMetrics,
};
use attempts::Attempts;
use direct::Direct;
use queue::{Durable, Memory};
pub use queue_config::{BatchConfig, PartitionConfig, QueueConfig, Sizer, metadata_key_problems};
pub use retry_config::RetryConfig;

/// One attempt to deliver a batch.
pub trait Sender: Send + Sync + 'static {
    /// Sends the batch and returns what the destination answered. The caller gives up at `deadline`, and cancels by
    /// dropping the future. Never retries by itself, and logs nothing that the reply says.
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply>;

    /// Begins to deliver a batch, for senders that make several requests of one and know from one attempt to the next which
    /// of them the destination has. `None`: each attempt is a [`Sender::send`].
    fn begin<'a>(&'a self, _batch: &'a Batch) -> Option<Box<dyn Delivery + 'a>> {
        None
    }
}

/// The attempts to deliver one batch, one after another.
pub trait Delivery: Send {
    /// As [`Sender::send`], of what the destination does not have yet.
    fn attempt(&mut self, deadline: Option<Instant>) -> BoxFuture<'_, Reply>;
}

/// The rules of one exporter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long one attempt may take; zero means no limit.
    pub timeout: Duration,
    /// Whether and how failed attempts are repeated.
    pub retry: RetryConfig,
    /// The queue before the destination.
    pub queue: QueueConfig,
}

/// Makes consumers of senders.
#[derive(Debug)]
pub struct Exporter;

impl Exporter {
    /// The consumer that delivers through `sender` under these rules. Needs a Tokio runtime.
    ///
    /// # Errors
    /// `sending_queue.storage` names no running extension that holds queues.
    pub fn start(
        sender: Arc<dyn Sender>,
        settings: Settings,
        context: &ExporterContext,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let attempts = Attempts {
            id: context.component.id.clone(),
            sender,
            timeout: settings.timeout,
            retry: settings.retry,
            metrics: ExporterMetrics::new(&context.component.id, context.signal),
            status: Arc::clone(&context.component.status),
            closing: CancellationToken::new(),
            hurried: CancellationToken::new(),
            callers_wait: true,
            kept: false,
        };
        let queue = settings.queue;
        let consumer: Arc<dyn Consumer> = match &queue.storage {
            _ if !queue.enabled => Arc::new(Direct::new(attempts)),
            Some(storage) => {
                Arc::new(Durable::start(attempts, &queue, storage_for(storage, context)?, owner(context)))
            }
            None => Arc::new(Memory::start(attempts, &queue, context.component.budget.clone())),
        };
        Ok(consumer)
    }
}

fn storage_for(id: &ComponentId, context: &ExporterContext) -> Result<Arc<dyn Storage>, BuildError> {
    const KEY: &str = "sending_queue.storage";
    context.component.extension(KEY, id)?.storage.clone().ok_or_else(|| {
        BuildError::setting(KEY, format!("extension \"{id}\" holds no queues; name a storage extension"))
    })
}

fn owner(context: &ExporterContext) -> QueueOwner {
    QueueOwner { id: context.component.id.clone(), signal: context.signal }
}

/// Whether an exporter with this queue answers only once data is delivered or synced.
#[must_use]
pub fn answers_later(queue: &QueueConfig) -> bool {
    !queue.enabled || queue.wait_for_result || queue.storage.is_some()
}

#[cfg(test)]
mod tests;
