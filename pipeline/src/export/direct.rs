//! An exporter without a queue: each caller waits for the destination's answer.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::attempts::Attempts;
use crate::{
    batch::Batch,
    consumer::{Consumer, Demand, Permit},
    reply::{Code, Failure, Reply},
};

/// Delivers each batch on its caller's time: retrying ends at the caller's deadline.
pub(super) struct Direct {
    attempts: Arc<Attempts>,
    under_way: TaskTracker,
}

impl Direct {
    pub(super) fn new(attempts: Attempts) -> Self {
        Self { attempts: Arc::new(attempts), under_way: TaskTracker::new() }
    }
}

impl Consumer for Direct {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async {
            if self.attempts.closing.is_cancelled() { Err(shutting_down()) } else { Ok(Permit::none()) }
        })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        let deadline = batch.context().deadline;
        Box::pin(self.under_way.track_future(async move { self.attempts.deliver(&batch, deadline).await }))
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.attempts.closing.cancel();
            self.under_way.close();
            if timeout_at(deadline.into(), self.under_way.wait()).await.is_err() {
                warn!(
                    exporter = %self.attempts.id, requests = self.under_way.len(),
                    "The destination did not answer before the shutdown deadline; the callers are not answered."
                );
            }
        })
    }

    fn hurry(&self) {
        self.attempts.hurried.cancel();
    }
}

/// The refusal of an exporter that is being shut down.
pub(super) fn shutting_down() -> Failure {
    Failure::retryable("the exporter is shutting down; send again later").with_code(Code::Unavailable)
}
