//! The way into the pipelines, the same for all protocols.

use std::time::{Duration, Instant};

use sluice_pipeline::{
    Batch, Chunk, Context, Failure, Outlet, Reply, Signal,
    budget::{Budget, Charge},
    component::Outlets,
    reply::Retry,
    telemetry::ReceiverMetrics,
};
use sluice_protocols::skywalking::id::Rules;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::translate::{Kind, Translated, Translator};

/// How much of a stream is handed over at once, at most, in bytes as they are held (and one message).
pub(super) const CUT: usize = 512 << 10;
/// Pauses between attempts, if no exporter says otherwise: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For how long a batch is tried whose client has left.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(30);

/// The way into the pipelines, with the counters of one transport.
#[derive(Clone)]
pub(super) struct Intake {
    outlets: Outlets,
    pub(super) metrics: ReceiverMetrics,
    budget: Budget,
    rules: Rules,
    /// The receiver stops: streams end, and nothing is tried again.
    pub(super) stopping: CancellationToken,
}

/// For how long a batch is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Once.
    Once,
    /// Until this time.
    Until(Instant),
    /// While the client is there.
    Stream,
}

impl Intake {
    pub(super) fn new(
        outlets: Outlets,
        metrics: ReceiverMetrics,
        budget: Budget,
        rules: Rules,
        stopping: CancellationToken,
    ) -> Self {
        Self { outlets, metrics, budget, rules, stopping }
    }

    /// Whether a pipeline takes this signal.
    pub(super) fn takes(&self, signal: Signal) -> bool {
        self.outlets.get(signal).is_some()
    }

    pub(super) fn translator(&self, kind: Kind) -> Translator {
        Translator::new(kind, self.rules).charged_to(&self.budget).keeping(&self.budget)
    }

    /// Hands over what a translator has and waits until it is taken, or refused for good, or patience ends. Dropping the
    /// future cancels nothing.
    pub(super) async fn deliver(
        &self,
        translator: &mut Translator,
        context: Context,
        patience: Patience,
    ) -> Result<(), Failure> {
        let kept = translator.take_kept().map(|chunk| (Signal::Traces, chunk));
        let translated = translator.take().map(|(translated, charge)| self.chunk(translated, charge));
        // All is under way before any is waited for.
        let under_way: Vec<_> = kept
            .into_iter()
            .chain(translated)
            .filter_map(|(signal, chunk)| self.start(signal, chunk, context.clone(), patience))
            .collect();
        let mut outcome = Ok(());
        for (attempts, _here) in under_way {
            outcome = outcome.and(match attempts.await {
                Ok(Reply::Failed(failure)) => Err(failure),
                Ok(Reply::Delivered | Reply::Rejected { .. } | Reply::Mixed(_)) => Ok(()),
                Err(_) => Err(Failure::retryable("the task of this message ended without an answer")),
            });
        }
        outcome
    }

    fn chunk(&self, translated: Translated, charge: Option<Charge>) -> (Signal, Chunk) {
        let Translated { signal, mut bytes, items, repaired } = translated;
        if repaired > 0 {
            self.metrics.repaired(repaired);
        }
        if bytes.capacity() - bytes.len() > bytes.len() / 8 {
            bytes.shrink_to_fit();
        }
        let held = bytes.capacity() as u64;
        let mut chunk = Chunk::new(bytes.into(), items);
        if let Some(mut charge) = charge {
            charge.shrink_to(held);
            chunk = chunk.with_charge(charge);
        }
        (signal, chunk)
    }

    /// Begins to hand over a chunk, in a task of its own, so that what becomes of the items is counted also if the client
    /// leaves, which it does when the guard is dropped. `None` if no pipeline takes the signal.
    fn start(
        &self,
        signal: Signal,
        chunk: Chunk,
        context: Context,
        patience: Patience,
    ) -> Option<(JoinHandle<Reply>, DropGuard)> {
        let Some(outlet) = self.outlets.get(signal).cloned() else {
            // Its agents send it whether or not anybody wants it.
            self.metrics.refused(signal, chunk.items());
            return None;
        };
        let left = CancellationToken::new();
        let here = left.clone().drop_guard();
        let attempts = Attempts { outlet, signal, chunk, context, patience, left, intake: self.clone() };
        Some((tokio::spawn(attempts.run()), here))
    }
}

/// A chunk on its way.
struct Attempts {
    outlet: Outlet,
    signal: Signal,
    chunk: Chunk,
    context: Context,
    patience: Patience,
    left: CancellationToken,
    intake: Intake,
}

impl Attempts {
    /// Tries until the chunk is taken, refused for good, or patience ends; counts what became of its items.
    async fn run(self) -> Reply {
        let (origin, items) = (self.chunk.origin(), self.chunk.items());
        let mut pause = FIRST_PAUSE;
        let mut orphaned = None;
        let reply = loop {
            let batch = Batch::new(self.signal, self.chunk.clone(), self.context.clone());
            let failure = match self.outlet.send(batch).await {
                reply @ Reply::Mixed(_) => match reply.for_origin(origin) {
                    Reply::Failed(failure) => failure,
                    settled => break settled,
                },
                Reply::Failed(failure) => failure,
                settled => break settled,
            };
            let wait = match failure.retry {
                Retry::Permanent => break failure.into(),
                Retry::Backoff => pause,
                Retry::After(delay) => delay.max(FIRST_PAUSE),
            };
            let end = match self.patience {
                Patience::Once => break failure.into(),
                Patience::Until(end) => Some(end),
                Patience::Stream if self.left.is_cancelled() => {
                    Some(*orphaned.get_or_insert_with(|| Instant::now() + ORPHAN_PATIENCE))
                }
                Patience::Stream => None,
            };
            if self.intake.stopping.is_cancelled() || end.is_some_and(|end| Instant::now() + wait >= end) {
                break failure.into();
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = self.intake.stopping.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let refused = match &reply {
            Reply::Delivered | Reply::Mixed(_) => 0,
            Reply::Rejected { items: rejected, .. } => {
                usize::try_from(*rejected).map_or(items, |rejected| rejected.min(items))
            }
            Reply::Failed(_) => items,
        };
        self.intake.metrics.accepted(self.signal, items - refused);
        if refused > 0 {
            self.intake.metrics.refused(self.signal, refused);
        }
        reply
    }
}
