//! The delivery of one batch: part by part, what the server has already is not sent again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::BoxFuture, stream};
use sluice_pipeline::{
    Batch, Failure, Reply,
    budget::Charge,
    export::Delivery,
    reply::{Code, Retry},
};
use tokio::sync::SemaphorePermit;

use super::{
    refusal::Refusal,
    request::{Holds, Request},
    verdict::Verdict,
    writer::RemoteWriter,
};

/// How many times a refused request is halved to find the series at fault.
const MOST_DEPTH: u32 = 8;
/// How many requests of a part of a batch are halved.
const MOST_SPLITS: u32 = 32;

/// The delivery of one batch.
pub(super) struct RemoteDelivery<'a> {
    writer: &'a RemoteWriter,
    batch: &'a Batch,
    /// Held from the first attempt to the last.
    turn: Option<SemaphorePermit<'a>>,
    /// The number of the first point that is not translated yet.
    next: Option<usize>,
    /// Requests of the current part that the server does not have.
    pending: Vec<Arc<Request>>,
    charge: Option<Charge>,
    splits: u32,
    outcome: Outcome,
}

/// What came of the batch so far.
#[derive(Debug, Default)]
struct Outcome {
    /// Points that were not sent.
    refused: BTreeMap<Refusal, u64>,
    /// Points that the server refused.
    rejected: u64,
    /// Why it refused the first of them.
    failure: Option<Failure>,
    /// Whether the server has taken anything.
    written: bool,
}

impl<'a> RemoteDelivery<'a> {
    pub(super) fn new(writer: &'a RemoteWriter, batch: &'a Batch) -> Self {
        Self {
            writer,
            batch,
            turn: None,
            next: Some(0),
            pending: Vec::new(),
            charge: None,
            splits: MOST_SPLITS,
            outcome: Outcome::default(),
        }
    }

    async fn proceed(&mut self, deadline: Option<Instant>) -> Reply {
        if self.turn.is_none() {
            // The semaphore is never closed.
            self.turn = self.writer.turn.acquire().await.ok();
        }
        loop {
            while !self.pending.is_empty() {
                if let Some(failure) = self.send_pending(deadline).await {
                    return failure.into();
                }
            }
            let Some(from) = self.next else { return self.outcome.reply() };
            if let Err(failure) = self.translate(from) {
                return failure.into();
            }
        }
    }

    /// Makes the requests of the next part.
    fn translate(&mut self, from: usize) -> Result<(), Failure> {
        let writer = self.writer;
        self.charge = None;
        let translated = writer.translator.translate(self.batch, from);
        let _held = writer.budget.charge_anyway(translated.segment.bytes() as u64);
        let requests = writer
            .requests(&translated.segment)
            .map_err(|error| Failure::permanent(error.to_string()).with_code(Code::Internal))?;
        let bytes: usize = requests.iter().map(Request::bytes).sum();
        self.pending = requests.into_iter().map(Arc::new).collect();
        self.charge = Some(writer.budget.charge_anyway(bytes as u64));
        self.splits = MOST_SPLITS;
        self.next = translated.next;
        for (refusal, points) in translated.refused {
            writer.counters.refused(refusal, points);
            *self.outcome.refused.entry(refusal).or_default() += points;
        }
        Ok(())
    }

    /// Sends what is pending. What the server has, or will not take, is pending no more; why it does not take the rest now
    /// is returned.
    async fn send_pending(&mut self, deadline: Option<Instant>) -> Option<Failure> {
        let writer = self.writer;
        let context = self.batch.context();
        // A server that asks for patience is asked nothing more.
        let stop = AtomicBool::new(false);
        let mut later: Option<Failure> = None;
        let requests = self.pending.clone();
        let posts = requests.into_iter().map(|request| {
            let stop = &stop;
            async move {
                let verdict = if stop.load(Ordering::Relaxed) {
                    None
                } else {
                    Some(writer.post(&request, context, deadline).await)
                };
                (request, verdict)
            }
        });
        let mut verdicts = stream::iter(posts).buffer_unordered(writer.parallelism);
        while let Some((request, verdict)) = verdicts.next().await {
            match verdict {
                None => {}
                Some(Verdict::Later(failure)) => {
                    writer.counters.request("failed");
                    stop.store(true, Ordering::Relaxed);
                    later = Some(longer(later, failure));
                }
                Some(verdict) => {
                    self.pending.retain(|pending| !Arc::ptr_eq(pending, &request));
                    writer.translator.sent(&request, matches!(verdict, Verdict::Written));
                    match self.halves(&request, &verdict) {
                        Some(halves) => self.pending.extend(halves.map(Arc::new)),
                        None => self.outcome.note(writer, request.holds, verdict),
                    }
                }
            }
        }
        later
    }

    /// The halves of a request of which one may be without fault.
    fn halves(&mut self, request: &Request, verdict: &Verdict) -> Option<[Request; 2]> {
        let divisible = matches!(verdict, Verdict::Rejected { divisible: true, .. });
        if !divisible || self.splits == 0 || request.depth >= MOST_DEPTH {
            return None;
        }
        let halves = request.halves(self.writer.message)?;
        self.splits -= 1;
        self.writer.counters.request("rejected");
        Some(halves)
    }
}

impl Outcome {
    /// Notes what came of a request for good.
    fn note(&mut self, writer: &RemoteWriter, holds: Holds, verdict: Verdict) {
        match verdict {
            Verdict::Later(_) => {}
            Verdict::Written => {
                writer.counters.request("written");
                writer.counters.written(holds);
                self.written = true;
            }
            Verdict::Partly { written, failure, reason } => {
                writer.counters.request("partly");
                writer.counters.written(written);
                let missing = holds.without(written);
                writer.counters.rejected(missing, &reason);
                self.written |= written.samples + written.histograms > 0;
                let points = holds.points.min(missing.samples + missing.histograms);
                // Exemplars may be missing where no point is.
                if points == 0 {
                    return;
                }
                self.reject(points, || {
                    if let Some(failure) = failure {
                        return failure;
                    }
                    let Holds { samples, histograms, exemplars, .. } = missing;
                    Failure::permanent(format!(
                        "the server says that it has not written {samples} samples, {histograms} histograms and \
                         {exemplars} exemplars of a request that it took"
                    ))
                });
            }
            Verdict::Rejected { failure, reason, .. } => {
                writer.counters.request("rejected");
                writer.counters.rejected(holds, &reason);
                self.reject(holds.points, || failure);
            }
        }
    }

    fn reject(&mut self, points: u64, failure: impl FnOnce() -> Failure) {
        self.rejected += points;
        self.failure.get_or_insert_with(failure);
    }

    fn reply(&self) -> Reply {
        let refused: u64 = self.refused.values().sum();
        let mut parts: Vec<String> = self
            .refused
            .iter()
            .map(|(refusal, points)| format!("{points} {}", refusal.explanation()))
            .collect();
        match &self.failure {
            Some(failure) if !self.written => return failure.clone().into(),
            Some(failure) => parts.push(format!("{} refused by the server: {failure}", self.rejected)),
            None if refused == 0 => return Reply::Delivered,
            None => {}
        }
        let message = format!("data points that Prometheus does not have: {}", parts.join("; "));
        Reply::Rejected { items: refused + self.rejected, message }
    }
}

impl Delivery for RemoteDelivery<'_> {
    fn attempt(&mut self, deadline: Option<Instant>) -> BoxFuture<'_, Reply> {
        Box::pin(self.proceed(deadline))
    }
}

/// The failure that asks for more patience.
fn longer(one: Option<Failure>, other: Failure) -> Failure {
    let asked = |failure: &Failure| match failure.retry {
        Retry::After(delay) => delay,
        Retry::Backoff | Retry::Permanent => Duration::ZERO,
    };
    match one {
        Some(one) if asked(&one) >= asked(&other) => one,
        _ => other,
    }
}
