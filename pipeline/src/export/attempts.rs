//! Delivers a batch by repeated attempts: time limit, back-off, resend per origin, and the account of what came of it.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Delivery, RetryConfig, Sender, backoff::Backoff};
use crate::{
    batch::Batch,
    component::{ComponentId, Kind},
    graph::{Status, panic_message},
    reply::{Code, Failure, Reply, Retry},
    telemetry::ExporterMetrics,
};

/// Delivers batches to one destination, and logs and counts what came of them.
pub(super) struct Attempts {
    pub(super) id: ComponentId,
    pub(super) sender: Arc<dyn Sender>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryConfig,
    pub(super) metrics: ExporterMetrics,
    /// Where what a drain loses is told.
    pub(super) status: Arc<Status>,
    /// Set when the exporter shuts down: who waits to repeat does so once more at once, and no further.
    pub(super) closing: CancellationToken,
    /// No attempt is repeated any more.
    pub(super) hurried: CancellationToken,
    /// Whether failed data goes back to its callers rather than being lost.
    pub(super) callers_wait: bool,
    /// Whether what a shutdown interrupts is kept on disk for the next start.
    pub(super) kept: bool,
}

/// Why no further attempt was made. The names are the values of the `reason` label.
#[derive(Clone, Copy)]
enum End {
    Permanent,
    RetryDisabled,
    RetriesExhausted,
    Deadline,
    Shutdown,
}

/// Counts a delivery as lost if its task is stopped before it ended.
struct UnderWay<'a> {
    attempts: &'a Attempts,
    items: usize,
    ended: bool,
}

impl Attempts {
    /// Delivers the batch, trying until `deadline` at most. A batch of several origins that fails for good is sent
    /// again one origin at a time, so that only those at fault fail.
    pub(super) async fn deliver(&self, batch: &Batch, deadline: Option<Instant>) -> Reply {
        let mut under_way = UnderWay { attempts: self, items: batch.items(), ended: false };
        self.metrics.in_flight.increment(1.0);
        let (reply, end) = self.repeat(batch, deadline).await;
        let reply = match reply {
            Reply::Failed(failure) if may_blame_an_item(&failure) => {
                self.deliver_apart(batch, failure, deadline).await
            }
            reply => self.conclude(batch, reply, end),
        };
        under_way.ended = true;
        reply
    }

    async fn deliver_apart(&self, batch: &Batch, failure: Failure, deadline: Option<Instant>) -> Reply {
        let parts = batch.by_origin();
        if parts.len() < 2 {
            return self.conclude(batch, Reply::Failed(failure), End::Permanent);
        }
        warn!(
            exporter = %self.id, error = %failure, requests = parts.len(), items = batch.items(),
            "A batch joined from several requests was refused; sending each request by itself."
        );
        let mut replies = Vec::with_capacity(parts.len());
        for (origin, part) in parts {
            let (reply, end) = self.repeat(&part, deadline).await;
            replies.push((origin, self.conclude(&part, reply, end)));
        }
        Reply::Mixed(replies)
    }

    /// Makes attempts until one is final.
    async fn repeat(&self, batch: &Batch, deadline: Option<Instant>) -> (Reply, End) {
        let started = now();
        let give_up_at = self.give_up_at(started);
        let mut backoff = Backoff::new(&self.retry);
        let mut delivery = self.sender.begin(batch);
        loop {
            let last = self.hurried.is_cancelled() || self.closing.is_cancelled();
            let failure = match self.attempt(batch, delivery.as_deref_mut(), deadline).await {
                Reply::Failed(failure) if failure.is_permanent() => {
                    return (Reply::Failed(failure), End::Permanent);
                }
                Reply::Failed(failure) => failure,
                taken => return (taken, End::Permanent),
            };
            let delay = backoff.next(hint(&failure));
            let next = now() + delay;
            let interrupted = self.hurried.is_cancelled() || self.closing.is_cancelled();
            let end = if self.kept && interrupted {
                // It is neither lost nor given up: the next start goes on with it.
                End::Shutdown
            } else if !self.retry.enabled {
                End::RetryDisabled
            } else if last {
                End::Shutdown
            } else if deadline.is_some_and(|deadline| deadline <= next) {
                End::Deadline
            } else if give_up_at.is_some_and(|limit| limit < next) {
                End::RetriesExhausted
            } else {
                self.announce_retry(&failure, delay);
                tokio::select! {
                    () = sleep(delay) => {}
                    () = self.closing.cancelled() => {}
                    () = self.hurried.cancelled() => {}
                }
                continue;
            };
            return (Reply::Failed(failure), end);
        }
    }

    async fn attempt(
        &self,
        batch: &Batch,
        delivery: Option<&mut (dyn Delivery + '_)>,
        deadline: Option<Instant>,
    ) -> Reply {
        let own = (!self.timeout.is_zero()).then(|| now().checked_add(self.timeout)).flatten();
        let limit = own.into_iter().chain(deadline).min();
        let attempt = async {
            match delivery {
                Some(delivery) => delivery.attempt(limit).await,
                None => self.sender.send(batch, limit).await,
            }
        };
        let sending = AssertUnwindSafe(attempt).catch_unwind();
        let outcome = match limit {
            Some(limit) => match timeout_at(limit.into(), sending).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    return Failure::retryable("the destination did not answer within the time limit")
                        .with_code(Code::DeadlineExceeded)
                        .into();
                }
            },
            None => sending.await,
        };
        outcome.unwrap_or_else(|panic| {
            let reason = panic_message(panic.as_ref());
            error!(exporter = %self.id, reason, "An exporter panicked while it sent a batch; report this");
            Failure::permanent("the exporter panicked while it sent the batch; see the log")
                .with_code(Code::Internal)
                .into()
        })
    }

    fn give_up_at(&self, started: Instant) -> Option<Instant> {
        let longest: Duration = self.retry.max_elapsed_time.into();
        (!longest.is_zero()).then(|| started.checked_add(longest)).flatten()
    }

    fn announce_retry(&self, failure: &Failure, delay: Duration) {
        self.metrics.retried(failure.code.unwrap_or(Code::Unknown).to_string());
        info!(
            exporter = %self.id, error = %failure, interval = ?delay,
            "Exporting failed. Will retry the request after interval."
        );
    }

    /// Logs and counts the final answer.
    fn conclude(&self, batch: &Batch, reply: Reply, end: End) -> Reply {
        let items = batch.items();
        match &reply {
            Reply::Delivered | Reply::Mixed(_) => self.metrics.sent(items),
            Reply::Rejected { items: rejected, message } => {
                self.metrics.sent(items);
                self.metrics.rejected(*rejected);
                warn!(
                    exporter = %self.id, rejected_items = rejected, message,
                    "The destination took a batch but rejected some of its items (partial success)."
                );
            }
            Reply::Failed(failure) if self.kept && matches!(end, End::Shutdown) => {
                info!(
                    exporter = %self.id, error = %failure, items,
                    "Exporting was interrupted by the shutdown. The data stays in the storage of the sending queue."
                );
            }
            Reply::Failed(failure) => {
                self.metrics.send_failed(items, end.name());
                if self.callers_wait {
                    error!(
                        exporter = %self.id, error = %failure, reason = end.name(), rejected_items = items,
                        "Exporting failed. Rejecting data."
                    );
                } else {
                    self.status.lost(Kind::Exporter, &self.id, items);
                    error!(
                        exporter = %self.id, error = %failure, reason = end.name(), dropped_items = items,
                        "Exporting failed. Dropping data."
                    );
                }
            }
        }
        reply
    }
}

/// Whether a failure may be due to one of several requests in a batch. Not if the destination refuses everything:
/// the sender is not allowed in, or nothing serves the address.
fn may_blame_an_item(failure: &Failure) -> bool {
    failure.is_permanent()
        && !matches!(
            failure.code,
            Some(Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound)
        )
}

fn hint(failure: &Failure) -> Duration {
    match failure.retry {
        Retry::After(delay) => delay,
        Retry::Backoff | Retry::Permanent => Duration::ZERO,
    }
}

/// The time on the runtime's clock, which tests can turn.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::RetryDisabled => "retry_disabled",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Deadline => "deadline",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.attempts.metrics.in_flight.decrement(1.0);
        if !self.ended && !self.attempts.kept {
            self.attempts.metrics.send_failed(self.items, End::Shutdown.name());
            if !self.attempts.callers_wait {
                self.attempts.status.lost(Kind::Exporter, &self.attempts.id, self.items);
            }
            error!(
                exporter = %self.attempts.id, dropped_items = self.items,
                "The destination had not answered at the shutdown deadline. Dropping data."
            );
        }
    }
}
