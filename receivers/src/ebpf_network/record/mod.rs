//! From exchanges to log records: sampled, redacted, grouped by process.

mod attribute;
mod batch;
mod content;
mod inflate;
mod log_record;
mod media_type;

use std::sync::Arc;

use bytes::Bytes;

use self::{batch::Batch, content::Scratch, log_record::Circumstances};
use super::{
    exchange::Exchange,
    redaction::Redactor,
    sampling::{Class, Offer, Pair, Rules, SamplingConfig, Skipped, Top},
    socket::Ends,
};

/// The process that an exchange was seen in.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// Tells it from all others.
    pub id: u64,
    /// Its encoded `Resource`.
    pub resource: &'a Bytes,
}

/// From the monotonic clock to the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds from the epoch to the zero of the monotonic clock.
    pub offset: u64,
}

/// Turns exchanges into log records. Whoever parses has one of its own.
#[derive(Debug)]
pub struct Recorder {
    rules: Arc<Rules>,
    redactor: Arc<Redactor>,
    window: u64,
    ends_at: Option<u64>,
    top: Top,
    batch: Batch,
    scratch: Scratch,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the batch.
    Recorded,
    /// It is among the longest of its window so far.
    Held,
    /// It is among the longest of its window so far, instead of a shorter one, which stays without record.
    Replaced,
    /// It stays without record.
    Dropped(Reason),
}

/// Why an exchange stays without record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is not sampled.
    Skipped(Skipped),
    /// Longer ones of its class and pair fill the window.
    Shorter,
    /// The window holds all the bytes that it may.
    Full,
}

/// Records that are ready to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// An encoded `LogsData`.
    pub logs: Vec<u8>,
    /// How many records it holds.
    pub records: usize,
}

impl Clock {
    /// Nanoseconds since the epoch.
    #[inline]
    #[must_use]
    pub const fn unix(self, monotonic: u64) -> u64 {
        self.offset.wrapping_add(monotonic)
    }
}

impl Recorder {
    /// A recorder by these rules.
    #[must_use]
    pub fn new(config: &SamplingConfig, rules: Arc<Rules>, redactor: Arc<Redactor>) -> Self {
        Self {
            rules,
            redactor,
            window: u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX),
            ends_at: None,
            top: Top::new(config.top),
            batch: Batch::default(),
            scratch: Scratch::new(),
        }
    }

    /// Samples an exchange that has ended; `now` is the monotonic clock.
    pub fn push(
        &mut self,
        exchange: &Exchange<'_>,
        ends: &Ends,
        process: Process<'_>,
        clock: Clock,
        now: u64,
    ) -> Outcome {
        self.roll(now);
        let Self { rules, redactor, top, batch, scratch, .. } = self;
        let sampled = match rules.judge(exchange) {
            Ok(sampled) => sampled,
            Err(skipped) => return Outcome::Dropped(Reason::Skipped(skipped)),
        };
        let circumstances = Circumstances { ends, clock, sampled, syscalls: rules.syscalls() };
        let write = |record: &mut Vec<u8>| {
            log_record::write(record, exchange, &circumstances, redactor, scratch);
        };
        if sampled.class == Class::Ratio {
            batch.push(process.id, process.resource, write);
            return Outcome::Recorded;
        }
        let pair = Pair::new(process.id, exchange.role, ends);
        let place = (process.id, process.resource);
        match top.offer(pair, sampled.class, sampled.duration, place, write) {
            Offer::Held => Outcome::Held,
            Offer::Replaced => Outcome::Replaced,
            Offer::Shorter => Outcome::Dropped(Reason::Shorter),
            Offer::Full => Outcome::Dropped(Reason::Full),
        }
    }

    /// Moves what the window holds to the batch if `now` is past its end. Call it also while no exchange comes.
    pub fn roll(&mut self, now: u64) {
        match self.ends_at {
            Some(end) if now < end => return,
            Some(_) => self.flush(),
            None => {}
        }
        self.ends_at = Some(now.saturating_add(self.window));
    }

    /// Moves what the window holds to the batch.
    pub fn flush(&mut self) {
        let batch = &mut self.batch;
        self.top.drain(|process, resource, record| {
            batch.push(process, resource, |out| out.extend_from_slice(record));
        });
    }

    /// Records in the batch.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.batch.records()
    }

    /// Bytes held in the batch and in the window.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.batch.bytes() + self.top.bytes()
    }

    /// The batch, unless it is empty. What the window holds stays.
    pub fn finish(&mut self) -> Option<Finished> {
        let records = self.batch.records();
        (records > 0).then(|| Finished { logs: self.batch.finish(), records })
    }
}

impl Reason {
    /// As a label of a metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Skipped(Skipped::Untraced) => "untraced",
            Self::Skipped(Skipped::NotSampled) => "not_sampled",
            Self::Skipped(Skipped::Unremarkable) => "unremarkable",
            Self::Shorter => "not_in_top",
            Self::Full => "window_full",
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
