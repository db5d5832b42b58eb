//! The thread of a queue: the only one that touches its disk, so that no task of the pipeline ever waits for a disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::Histogram;
use sluice_pipeline::{
    budget::Budget,
    reply::{Code, Failure},
};
use tracing::error;

use super::{
    disk::Disk,
    log::{
        AppendError, Log, Record,
        format::{Outcome, RecordHeader},
    },
    queue::{Append, ReadyBatch, Shared, Size, size_in_memory, unix_milliseconds},
    record,
    telemetry::Telemetry,
};

/// How often deliveries are recorded and space is given back. A crash repeats at most what was delivered in twice this
/// time.
const ROUND: Duration = Duration::from_millis(500);
/// How long the thread sleeps when there is nothing that a round would do.
const IDLE: Duration = Duration::from_secs(3600);
/// How many bytes of old segments are looked through between two appends.
const SURVEY_STRIDE: u64 = 8 << 20;
/// How many bytes are read ahead between two appends.
const READ_STRIDE: u64 = 8 << 20;
/// The most that waits in memory for the exporter, in bytes, and the share of the budget that it is at most. What does not
/// fit is read back from the disk when its turn comes.
const READY_LIMIT: u64 = 512 << 20;
const READY_SHARE: u64 = 32;

/// What may be given up before it is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retention {
    /// In milliseconds; 0 for no limit.
    pub(super) max_age: u64,
    /// In bytes on disk; 0 for no limit.
    pub(super) max_size: u64,
}

/// The thread's own.
pub(super) struct Worker<D: Disk> {
    log: Log<D>,
    shared: Arc<Shared>,
    budget: Budget,
    retention: Retention,
    telemetry: Telemetry,
    group_size: Histogram,
    last_round: Instant,
    /// What was settled since the users of the queue were last told.
    unpublished: Size,
    /// Whether something was appended or settled since the last round.
    changed: bool,
}

impl<D: Disk> Worker<D> {
    pub(super) fn new(
        log: Log<D>,
        shared: Arc<Shared>,
        budget: Budget,
        retention: Retention,
        telemetry: Telemetry,
    ) -> Self {
        let group_size = telemetry.group_size();
        let last_round = Instant::now();
        let unpublished = Size::default();
        Self { log, shared, budget, retention, telemetry, group_size, last_round, unpublished, changed: true }
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        self.publish();
        let mut more = true;
        loop {
            let work = self.shared.work(self.patience(more));
            self.changed |= !work.settled.is_empty() || !work.appends.is_empty();
            for (number, outcome) in work.settled {
                self.log.settle(number, outcome);
            }
            self.unpublished = work.settled_size;
            self.log.give_back(work.returned);
            self.append(work.appends);
            if self.log.is_surveying() {
                self.log.survey(SURVEY_STRIDE);
            }
            if work.closing {
                break;
            }
            more = self.read_ahead();
            if self.last_round.elapsed() >= ROUND {
                self.round();
            }
            self.publish();
        }
        self.round();
        self.log.leave_empty_tail();
        self.reclaim();
        self.publish();
    }

    fn patience(&self, more: bool) -> Duration {
        if more || self.log.is_surveying() {
            Duration::ZERO
        } else if self.changed || self.log.held().records > 0 {
            ROUND.saturating_sub(self.last_round.elapsed()).max(Duration::from_millis(1))
        } else {
            IDLE
        }
    }

    /// Appends all that came together, and answers.
    fn append(&mut self, appends: Vec<Append>) {
        if appends.is_empty() {
            return;
        }
        let appended_at = unix_milliseconds();
        self.drop_excess(appends.iter().map(|append| append.encoded.len() as u64).sum());
        let records: Vec<Record<'_>> = appends
            .iter()
            .map(|append| Record {
                payload: append.encoded.payload(),
                items: u32::try_from(append.batch.items()).unwrap_or(u32::MAX),
                bytes: append.batch.bytes() as u64,
                appended_at,
            })
            .collect();
        let direct = self.room_for(&appends);
        let outcome = self.log.append(&records, direct);
        drop(records);
        #[expect(clippy::cast_precision_loss, reason = "a histogram is of floats")]
        self.group_size.record(appends.len() as f64);
        let numbers = match outcome {
            Ok(numbers) => numbers,
            Err(error) => return self.refuse(appends, &error),
        };
        self.publish();
        for (append, number) in appends.into_iter().zip(numbers) {
            // Whoever asked may have gone; it is safe all the same.
            let _ = append.answer.send(Ok(()));
            if let Some(number) = number {
                self.hand_over(number, append.batch);
            }
        }
    }

    /// How many of these may wait in memory for the exporter.
    fn room_for(&self, appends: &[Append]) -> usize {
        let limit = self.ready_limit();
        let mut bytes = self.shared.ready_bytes();
        appends
            .iter()
            .take_while(|append| {
                let fits = bytes < limit;
                bytes += size_in_memory(&append.batch);
                fits
            })
            .count()
    }

    fn ready_limit(&self) -> u64 {
        READY_LIMIT.min(self.budget.limit() / READY_SHARE)
    }

    fn hand_over(&self, number: u64, batch: sluice_pipeline::Batch) {
        let held = self.budget.hold(size_in_memory(&batch), self.shared.ready_bytes()).ok();
        self.shared.push_ready(ReadyBatch { number, batch, held });
    }

    fn refuse(&self, appends: Vec<Append>, error: &AppendError) {
        let operation = match error {
            AppendError::Full(_) => "full",
            AppendError::TooLarge(_) => "too_large",
            AppendError::Write(_) => "write",
            AppendError::Sync(_) => "sync",
        };
        self.telemetry.failed(operation);
        let failure = Failure::retryable(error.to_string()).with_code(Code::Unavailable);
        for append in appends {
            let _ = append.answer.send(Err(failure.clone()));
        }
    }

    /// Reads what the exporter will ask for next. Returns whether it should go on at once.
    fn read_ahead(&mut self) -> bool {
        let limit = self.ready_limit();
        let mut read = 0;
        self.drop_excess(0);
        while self.shared.ready_bytes() < limit {
            if read >= READ_STRIDE {
                return true;
            }
            let Some(next) = self.log.read() else {
                self.shared.refill_below(limit / 2, false);
                return false;
            };
            read += next.payload.len() as u64;
            let age = Duration::from_millis(unix_milliseconds().saturating_sub(next.appended_at));
            match record::decode(next.payload, next.bytes, age, &self.budget) {
                Ok(batch) => self.hand_over(next.number, batch),
                Err(error) => {
                    error!(%error, "A record of the sending queue cannot be decoded; report this");
                    self.log.undecodable(next.number);
                }
            }
        }
        self.shared.refill_below(limit / 2, true);
        // It may have been emptied meanwhile, by one who saw no need to ask.
        self.shared.ready_bytes() < limit / 2
    }

    /// Gives up what may not be kept, so that so many bytes more find room: the oldest first, and nothing that the
    /// exporter has taken.
    fn drop_excess(&mut self, coming: u64) {
        let Retention { max_age, max_size } = self.retention;
        let log = &mut self.log;
        if max_age > 0 {
            let now = unix_milliseconds();
            let excess = |header: &RecordHeader| header.appended_at.saturating_add(max_age) < now;
            let waiting =
                self.shared.take_back(|number| log.header_of(number).is_none_or(|header| excess(&header)));
            self.changed |= !waiting.is_empty();
            log.drop_read(Outcome::Expired, waiting);
            log.drop_oldest(Outcome::Expired, |_, header| excess(header));
        }
        if max_size > 0 {
            let mut surplus = log.held().stored.saturating_add(coming).saturating_sub(max_size);
            let waiting = self.shared.take_back(|number| {
                let excess = surplus > 0;
                surplus = surplus.saturating_sub(log.header_of(number).map_or(0, |header| header.span()));
                excess
            });
            self.changed |= !waiting.is_empty();
            log.drop_read(Outcome::Evicted, waiting);
            log.drop_oldest(Outcome::Evicted, |held, _| held.stored.saturating_add(coming) > max_size);
        }
    }

    /// What is done every now and then.
    fn round(&mut self) {
        self.last_round = Instant::now();
        self.drop_excess(0);
        self.shared.publish_oldest(self.log.oldest());
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if let Err(error) = self.log.checkpoint() {
            self.telemetry.failed("checkpoint");
            error!(%error, "Deliveries could not be recorded in the sending queue; after a crash they may be repeated");
        }
        if self.log.move_stragglers().is_err() {
            self.telemetry.failed("move");
        }
        self.reclaim();
    }

    fn reclaim(&mut self) {
        if let Err(error) = self.log.reclaim() {
            self.telemetry.failed("remove");
            error!(%error, "Space of the sending queue could not be given back; it is tried again");
            self.changed = true;
        }
    }

    fn publish(&mut self) {
        for loss in self.log.take_losses() {
            self.telemetry.lost(loss);
        }
        self.shared.publish(self.log.held(), std::mem::take(&mut self.unpublished));
    }
}
