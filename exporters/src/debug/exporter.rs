//! Prints batches.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{Batch, Reply, export::Sender};
use tracing::warn;

use super::{
    config::{DebugConfig, Verbosity},
    detailed, normal,
    sampler::Sampler,
    sink::Sink,
    summary::Summary,
    text::harmless,
};

/// Prints batches. Its answer is always that they were delivered: a terminal that is gone must not make other
/// exporters of the pipeline send twice. What was not printed is said once, in the log.
pub(super) struct Printer {
    verbosity: Verbosity,
    sampler: Sampler,
    sink: Sink,
    failing: AtomicBool,
}

impl Printer {
    pub(super) fn new(config: &DebugConfig, sink: Sink) -> Self {
        Self {
            verbosity: config.verbosity,
            sampler: Sampler::new(config.sampling_initial, config.sampling_thereafter),
            sink,
            failing: AtomicBool::new(false),
        }
    }

    async fn print(&self, batch: &Batch) {
        let signal = batch.signal();
        let mut text = String::new();
        for chunk in batch.chunks() {
            match self.verbosity {
                Verbosity::Basic => {}
                Verbosity::Normal => normal::print(signal, chunk.bytes(), &mut text),
                Verbosity::Detailed => detailed::print(signal, chunk.bytes(), &mut text),
            }
        }
        match self.sink.print(signal, &Summary::of(batch), harmless(text)).await {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    warn!(%error, "A batch was not printed; the next failures are not logged");
                }
            }
        }
    }
}

impl Sender for Printer {
    fn send<'a>(&'a self, batch: &'a Batch, _deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            if self.sampler.admits(Instant::now()) {
                self.print(batch).await;
            }
            Reply::Delivered
        })
    }
}
