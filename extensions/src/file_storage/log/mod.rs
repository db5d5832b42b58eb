//! The segment log of one queue: append and sync, read, settle, recover. Knows nothing of threads or telemetry.
//!
//! The format and the order of writes are described in `docs/queue-format.md`.

pub(super) mod format;
mod read;
mod reclaim;
mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
};

use super::disk::{Disk, is_full};
use format::{BLOCK, HEADER, Outcome, RecordHeader, SegmentHeader, SegmentName};
use segment::Segment;

/// The files of a queue that are no part of its log.
const OTHER_FILES: [&str; 2] = [super::identity::FILE, super::identity::UNFINISHED];

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

/// Why a log cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// A file that is not the queue's.
    #[error("it holds \"{0}\", which is no file of a queue; move it elsewhere")]
    Foreign(String),
    /// A segment of a later format.
    #[error(
        "its segment {name} is of version {version} of the format and this build reads version {}; run the version \
         of Sluice that wrote it until the queue is empty",
        format::VERSION
    )]
    Newer {
        /// The segment.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The disk reports an error.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: String,
        /// The disk's reason.
        source: io::Error,
    },
}

/// Why records were not appended. None of them is in the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// No room on the disk.
    #[error("the disk of the sending queue is full: {0}")]
    Full(#[source] io::Error),
    /// Larger than a record can be.
    #[error("a batch of {0} bytes is too large for the sending queue's storage, which takes up to 4 GiB")]
    TooLarge(usize),
    /// Any other failure to write.
    #[error("cannot write to the sending queue's storage: {0}")]
    Write(#[source] io::Error),
    /// What was written may not be there after a power cut.
    #[error("cannot sync the sending queue's storage: {0}")]
    Sync(#[source] io::Error),
}

impl<D: Disk> Log<D> {
    /// Opens the log with what earlier processes left in it. Counting what is in older segments is left to
    /// [`Log::survey`].
    ///
    /// # Errors
    /// [`OpenError`]; the log is as it was.
    pub(super) fn open(disk: D, settings: Settings) -> Result<Self, OpenError> {
        let (names, settled) = list(&disk)?;
        let segments = keyed(&names);
        let mut log = Self {
            disk,
            settings,
            segments: BTreeMap::new(),
            tail: None,
            next_segment: segments.last().map_or(1, |(key, _)| key + 1),
            to_survey: segments.iter().map(|(key, _)| *key).collect(),
            cursor: Cursor { segment: 0, offset: BLOCK },
            outstanding: HashMap::new(),
            places: HashSet::new(),
            returned: VecDeque::new(),
            next_number: 1,
            held: Held::default(),
            losses: Vec::new(),
            directory_is_unsynced: false,
        };
        for (key, name) in &segments {
            let mut segment = log.open_segment(*name)?;
            if settled.contains(name) {
                segment.load_settlements(&log.disk).map_err(|source| OpenError::Disk {
                    doing: format!("cannot read {}", name.settled()),
                    source,
                })?;
            }
            log.segments.insert(*key, segment);
        }
        // Only now is it certain that the log can be used, and something may be changed.
        for name in settled.iter().filter(|name| !names.contains(name)) {
            let _ = log.disk.remove(&name.settled());
        }
        if let Some((last, _)) = segments.last() {
            log.cut_torn_tail(*last);
        }
        Ok(log)
    }

    fn open_segment(&self, name: SegmentName) -> Result<Segment<D>, OpenError> {
        let failed = |source| OpenError::Disk { doing: format!("cannot open {}", name.segment()), source };
        let file = self.disk.open(&name.segment()).map_err(failed)?;
        let length = self.disk.length(&file).map_err(failed)?;
        refuse_newer(&self.disk, &file, name)?.map_err(failed)?;
        let mut segment = Segment::new(name, file, length.max(BLOCK));
        segment.close();
        Ok(segment)
    }

    /// Appends the records and syncs them together. Up to `direct` of them need not be read again if the reader has
    /// nothing before them: they are given a number each, as if they had been read.
    ///
    /// # Errors
    /// [`AppendError`]; then nobody may be told that they are safe.
    pub(super) fn append(
        &mut self,
        records: &[Record<'_>],
        direct: usize,
    ) -> Result<Vec<Option<u64>>, AppendError> {
        let headers = self.write(records, self.settings.sync)?;
        let Some(tail) = self.tail else { return Ok(vec![None; headers.len()]) };
        let mut numbers = Vec::with_capacity(headers.len());
        for header in headers {
            let here = Cursor { segment: tail, offset: header.block * BLOCK };
            if numbers.len() < direct && self.cursor == here && self.returned.is_empty() {
                self.cursor.offset += header.span();
                numbers.push(Some(self.hand_out(Place { segment: tail, header })));
            } else {
                numbers.push(None);
            }
        }
        Ok(numbers)
    }

    /// Writes the records behind the last one; all or none of them count.
    fn write(&mut self, records: &[Record<'_>], sync: bool) -> Result<Vec<RecordHeader>, AppendError> {
        let tail = self.tail_with_room().map_err(write_error)?;
        let Some(segment) = self.segments.get_mut(&tail) else { return Ok(Vec::new()) };
        let start = segment.end;
        let mut end = start;
        let mut headers = Vec::with_capacity(records.len());
        for record in records {
            let header = describe(record, end / BLOCK)?;
            end += header.span();
            headers.push(header);
        }
        let encoded: Vec<[u8; HEADER]> = headers.iter().map(|header| header.encode(segment.name)).collect();
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(records.len() * 4);
        for ((record, header), bytes) in records.iter().zip(&headers).zip(&encoded) {
            pieces.push(bytes);
            pieces.extend(&record.payload);
            pieces.push(header.padding());
        }
        segment.unsynced = true;
        let disk = &self.disk;
        let written = segment.file(disk).and_then(|file| disk.write_at(file, start, &pieces));
        if let Err(error) = written {
            let restored = segment.file(disk).and_then(|file| disk.truncate(file, start));
            if restored.is_err() || !is_full(&error) {
                self.retire_tail();
            }
            return Err(write_error(error));
        }
        if sync {
            self.sync_tail().map_err(|error| {
                // What is beyond the end would be found after a restart; better if not, but not wrong.
                if let Some(segment) = self.segments.get_mut(&tail) {
                    let _ = segment.file(&self.disk).and_then(|file| self.disk.truncate(file, start));
                }
                self.retire_tail();
                AppendError::Sync(error)
            })?;
        }
        if let Some(segment) = self.segments.get_mut(&tail) {
            segment.end = end;
            segment.surveyed = end;
            for header in &headers {
                segment.live += 1;
                segment.live_bytes += header.span();
                self.held.add(header);
            }
        }
        Ok(headers)
    }

    /// Syncs the content of the tail and, if it is new, its name.
    fn sync_tail(&mut self) -> io::Result<()> {
        let Some(segment) = self.tail.and_then(|tail| self.segments.get_mut(&tail)) else { return Ok(()) };
        self.disk.sync(segment.file(&self.disk)?)?;
        segment.unsynced = false;
        if self.directory_is_unsynced {
            self.disk.sync_directory()?;
            self.directory_is_unsynced = false;
        }
        Ok(())
    }

    /// The segment to append to: the tail, or a new one if it is full or there is none.
    fn tail_with_room(&mut self) -> io::Result<u64> {
        if let Some(tail) = self.tail {
            let full =
                self.segments.get(&tail).is_none_or(|segment| segment.end >= self.settings.segment_size);
            if !full {
                return Ok(tail);
            }
            if !self.settings.sync {
                // What was answered without a sync is synced before it is left.
                let _ = self.sync_tail();
            }
            self.retire_tail();
        }
        let name = SegmentName { id: self.next_segment, salt: fastrand::u64(..) };
        let file = self.disk.create(&name.segment())?;
        // Whatever comes of it, the id is used up.
        self.next_segment += 1;
        if let Err(error) = self.disk.write_at(&file, 0, &[&name.header()]) {
            let _ = self.disk.remove(&name.segment());
            return Err(error);
        }
        self.directory_is_unsynced = true;
        self.segments.insert(name.id, Segment::new(name, file, BLOCK));
        self.tail = Some(name.id);
        // Lets a reader that has read everything stand at the begin of the new segment.
        let _ = self.peek();
        Ok(name.id)
    }

    /// Appends nothing more to the tail.
    fn retire_tail(&mut self) {
        if let Some(segment) = self.tail.take().and_then(|tail| self.segments.get_mut(&tail)) {
            segment.close();
        }
    }

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

/// Whether a log could be opened, as far as the names of its files and the headers of its segments tell. Changes nothing.
pub(super) fn check<D: Disk>(disk: &D) -> Result<(), OpenError> {
    for name in list(disk)?.0 {
        let failed = |source| OpenError::Disk { doing: format!("cannot read {}", name.segment()), source };
        let file = disk.open(&name.segment()).map_err(failed)?;
        refuse_newer(disk, &file, name)?.map_err(failed)?;
    }
    Ok(())
}

fn refuse_newer<D: Disk>(disk: &D, file: &D::File, name: SegmentName) -> Result<io::Result<()>, OpenError> {
    let mut block = [0; BLOCK as usize];
    let count = match disk.read_at(file, 0, &mut block) {
        Ok(count) => count,
        Err(error) => return Ok(Err(error)),
    };
    match name.check_header(block.get(..count).unwrap_or_default()) {
        SegmentHeader::Newer(version) => Err(OpenError::Newer { name: name.segment(), version }),
        SegmentHeader::Readable | SegmentHeader::Damaged => Ok(Ok(())),
    }
}

/// The segments and `.settled` files, each in the order of their ids.
fn list<D: Disk>(disk: &D) -> Result<(Vec<SegmentName>, Vec<SegmentName>), OpenError> {
    let names = disk
        .list()
        .map_err(|source| OpenError::Disk { doing: "cannot list the directory".to_owned(), source })?;
    let (mut segments, mut settled) = (Vec::new(), Vec::new());
    for name in names {
        let parsed = name.rsplit_once('.').and_then(|(stem, ending)| Some((stem.parse().ok()?, ending)));
        match parsed {
            Some((segment, "segment")) => segments.push(segment),
            Some((segment, "settled")) => settled.push(segment),
            _ if OTHER_FILES.contains(&name.as_str()) => {}
            _ => return Err(OpenError::Foreign(name)),
        }
    }
    segments.sort_by_key(|name: &SegmentName| name.id);
    settled.sort_by_key(|name: &SegmentName| name.id);
    Ok((segments, settled))
}

/// The segments with what they are known by: their id, or the next number if a removal that was never synced has brought
/// back another segment of that id.
fn keyed(names: &[SegmentName]) -> Vec<(u64, SegmentName)> {
    let mut next = 0;
    names
        .iter()
        .map(|name| {
            let key = name.id.max(next);
            next = key + 1;
            (key, *name)
        })
        .collect()
}

/// Adds a record to the content of a segment.
pub(super) fn encode(
    record: &Record<'_>,
    segment: SegmentName,
    content: &mut Vec<u8>,
) -> Result<(), AppendError> {
    let header = describe(record, content.len() as u64 / BLOCK)?;
    content.extend_from_slice(&header.encode(segment));
    record.payload.iter().for_each(|piece| content.extend_from_slice(piece));
    content.extend_from_slice(header.padding());
    Ok(())
}

fn describe(record: &Record<'_>, block: u64) -> Result<RecordHeader, AppendError> {
    let length: usize = record.payload.iter().map(|piece| piece.len()).sum();
    let checksum = record.payload.iter().fold(0, |checksum, piece| crc32c::crc32c_append(checksum, piece));
    Ok(RecordHeader {
        length: u32::try_from(length).map_err(|_| AppendError::TooLarge(length))?,
        checksum,
        items: record.items,
        block,
        appended_at: record.appended_at,
        bytes: record.bytes,
    })
}

fn write_error(error: io::Error) -> AppendError {
    if is_full(&error) { AppendError::Full(error) } else { AppendError::Write(error) }
}
