//! A stage that rewrites each batch, or drops some of it, and hands on what is left.

use std::{sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, ready};
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Permit, Reply,
    component::{BuildError, ProcessorContext},
    telemetry::ProcessorMetrics,
};

/// Rewrites a batch.
pub(crate) trait Rewriter: Send + Sync + 'static {
    /// The batch with its changes, without what is dropped on purpose.
    fn rewrite(&self, batch: Batch) -> Batch;

    /// As [`Consumer::ready`].
    fn ready(&self) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(ready(Ok(())))
    }
}

/// A stage that rewrites each batch and hands on what is left of it.
pub(crate) struct Rewriting<R> {
    rewriter: R,
    next: Arc<dyn Consumer>,
    metrics: ProcessorMetrics,
}

impl<R: Rewriter> Rewriting<R> {
    pub(crate) fn before(
        next: Arc<dyn Consumer>,
        rewriter: R,
        context: &ProcessorContext,
    ) -> Arc<dyn Consumer> {
        let metrics = ProcessorMetrics::new(&context.component.id, context.pipeline.signal);
        Arc::new(Self { rewriter, next, metrics })
    }
}

impl<R: Rewriter> Consumer for Rewriting<R> {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        self.next.reserve(demand)
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            self.metrics.incoming(batch.items());
            let batch = self.rewriter.rewrite(batch);
            self.metrics.outgoing(batch.items());
            if batch.chunks().is_empty() {
                return Reply::Delivered;
            }
            self.next.consume(batch, permit).await
        })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), BuildError>> {
        self.rewriter.ready()
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}
