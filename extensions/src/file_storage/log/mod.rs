//! The segment log of one queue: append and sync, read, settle, recover. Knows nothing of threads or telemetry.
//!
//! The format and the order of writes are described in `docs/queue-format.md`.

mod append;
pub(super) mod format;
mod open;
mod read;
mod reclaim;
mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
};

pub(super) use append::{AppendError, encode};
pub(super) use open::{OpenError, check};

use super::disk::{Disk, is_full};
use format::{BLOCK, Outcome, RecordHeader};
use segment::Segment;

/// How a log behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// From which size on a segment is followed by the next, in bytes.
    pub(super) segment_size: u64,
    /// Whether an append is synced before it returns.
    pub(super) sync: bool,
}

/// A log on a disk.
pub(super) struct Log<D: Disk> {
    disk: D,
    settings: Settings,
    segments: BTreeMap<u64, Segment<D>>,
    /// The segment that is appended to.
    tail: Option<u64>,
    next_segment: u64,
    /// Segments of earlier processes whose records are not all counted.
    to_survey: VecDeque<u64>,
    cursor: Cursor,
    /// What was read and is not settled, by the number that it was given.
    outstanding: HashMap<u64, Place>,
    /// Where outstanding records are.
    places: HashSet<(u64, u64)>,
    /// Outstanding records whose reader is gone.
    returned: VecDeque<u64>,
    next_number: u64,
    held: Held,
    losses: Vec<Loss>,
    directory_is_unsynced: bool,
}

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    segment: u64,
    offset: u64,
}

/// A record's place.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    header: RecordHeader,
}

/// What the log holds that is not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) records: u64,
    pub(super) items: u64,
    /// Encoded OTLP before compression.
    pub(super) bytes: u64,
    /// What the records take on disk.
    pub(super) stored: u64,
}

/// A record to append. Its payload comes in pieces, so that nobody has to join them.
#[derive(Clone, Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) payload: Vec<&'a [u8]>,
    pub(super) items: u32,
    pub(super) bytes: u64,
    pub(super) appended_at: u64,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// What to settle it by.
    pub(super) number: u64,
    pub(super) appended_at: u64,
    /// Size of the encoded OTLP before compression.
    pub(super) bytes: u64,
    pub(super) payload: Vec<u8>,
}

/// Records that can not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) reason: LossReason,
    /// Of those whose header is lost it is not known how many.
    pub(super) records: u64,
    pub(super) items: u64,
}

/// Why they cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LossReason {
    /// No header where a record should begin.
    CorruptHeader,
    /// The payload does not match its checksum.
    CorruptPayload,
    /// The payload matches its checksum and does not make sense.
    Undecodable,
    /// The disk reports an error.
    Unreadable,
    /// Written and never answered: the end of what a process wrote that was cut short.
    TornTail,
    /// Older than `retention.max_age`.
    Expired,
    /// Beyond `retention.max_size_mib`.
    Evicted,
}

impl<D: Disk> Log<D> {
    fn hand_out(&mut self, place: Place) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.places.insert((place.segment, place.header.block));
        self.outstanding.insert(number, place);
        number
    }

    /// Records that a record that was read is done with. Unknown numbers change nothing.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome) {
        if let Some(place) = self.outstanding.remove(&number) {
            self.places.remove(&(place.segment, place.header.block));
            self.settle_place(place, outcome);
        }
    }

    fn settle_place(&mut self, place: Place, outcome: Outcome) {
        let Some(segment) = self.segments.get_mut(&place.segment) else { return };
        let block = place.header.block;
        segment.live = segment.live.saturating_sub(1);
        segment.live_bytes = segment.live_bytes.saturating_sub(place.header.span());
        segment.note(block, outcome);
        if self.cursor <= (Cursor { segment: place.segment, offset: block * BLOCK }) {
            segment.settled.insert(block);
        }
        self.held.remove(&place.header);
    }

    /// Has records that were read and not settled read again.
    pub(super) fn give_back(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let known = numbers.into_iter().filter(|number| self.outstanding.contains_key(number));
        self.returned.extend(known);
    }

    /// Makes settlements, and in relaxed mode appends, survive a power cut.
    ///
    /// # Errors
    /// The disk's. Everything else was still done.
    pub(super) fn checkpoint(&mut self) -> io::Result<()> {
        let mut outcome = if self.settings.sync { Ok(()) } else { self.checkpoint_tail() };
        for segment in self.segments.values_mut() {
            let (is_new, written) = segment.write_settlements(&self.disk);
            self.directory_is_unsynced |= is_new;
            let synced = segment.sync_settlements(&self.disk);
            outcome = outcome.and(written).and(synced);
        }
        if self.directory_is_unsynced {
            let synced = self.disk.sync_directory();
            self.directory_is_unsynced = synced.is_err();
            outcome = outcome.and(synced);
        }
        outcome
    }

    fn checkpoint_tail(&mut self) -> io::Result<()> {
        let unsynced = self.tail.and_then(|tail| self.segments.get(&tail)).is_some_and(|tail| tail.unsynced);
        if unsynced && let Err(error) = self.sync_tail() {
            self.retire_tail();
            return Err(error);
        }
        Ok(())
    }

    /// What is not settled, as far as it was surveyed.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// When the oldest record that is not settled was appended, in milliseconds since 1970.
    pub(super) fn oldest(&mut self) -> Option<u64> {
        let unread = self.peek().map(|place| place.header.appended_at);
        self.outstanding.values().map(|place| place.header.appended_at).chain(unread).min()
    }

    /// What was lost since this was last asked.
    pub(super) fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// Counts a record that was read as one that cannot be decoded.
    pub(super) fn undecodable(&mut self, number: u64) {
        let items = self.outstanding.get(&number).map_or(0, |place| u64::from(place.header.items));
        self.losses.push(Loss { reason: LossReason::Undecodable, records: 1, items });
        self.settle(number, Outcome::Corrupt);
    }
}

impl Held {
    fn add(&mut self, header: &RecordHeader) {
        self.records += 1;
        self.items += u64::from(header.items);
        self.bytes += header.bytes;
        self.stored += header.span();
    }

    fn remove(&mut self, header: &RecordHeader) {
        self.records = self.records.saturating_sub(1);
        self.items = self.items.saturating_sub(u64::from(header.items));
        self.bytes = self.bytes.saturating_sub(header.bytes);
        self.stored = self.stored.saturating_sub(header.span());
    }
}

impl LossReason {
    /// The value of the `reason` label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CorruptHeader => "corrupt_header",
            Self::CorruptPayload => "corrupt_payload",
            Self::Undecodable => "undecodable",
            Self::Unreadable => "unreadable",
            Self::TornTail => "torn_tail",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
        }
    }
}
