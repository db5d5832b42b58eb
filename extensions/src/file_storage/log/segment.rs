//! One segment as the log knows it, and how its file is read.

use std::{collections::HashSet, io};

use super::{
    Disk,
    format::{BLOCK, ENTRY, HEADER, Outcome, RecordHeader, SegmentName, entry, settled_block},
};

/// How much is looked through at once for the next record behind damage.
const STRIDE: usize = 64 << 10;

/// A segment.
pub(super) struct Segment<D: Disk> {
    pub(super) name: SegmentName,
    /// Open while it is written or read.
    file: Option<D::File>,
    /// Where its records end.
    pub(super) end: u64,
    /// Up to where its records are counted. Nothing is read beyond.
    pub(super) surveyed: u64,
    /// Records that are not settled.
    pub(super) live: u64,
    /// What they take of the file.
    pub(super) live_bytes: u64,
    /// Blocks of settled records that the reader has yet to pass.
    pub(super) settled: HashSet<u64>,
    /// Something in it could not be read. It is left alone until the next start.
    pub(super) unreadable: bool,
    /// Its content was written and not synced.
    pub(super) unsynced: bool,
    settlements: Settlements<D::File>,
}

/// The `.settled` file of a segment.
struct Settlements<F> {
    file: Option<F>,
    exists: bool,
    end: u64,
    /// Entries that are not written yet.
    pending: Vec<u8>,
    written: bool,
}

impl<D: Disk> Segment<D> {
    pub(super) fn new(name: SegmentName, file: D::File, end: u64) -> Self {
        Self {
            name,
            file: Some(file),
            end,
            surveyed: BLOCK,
            live: 0,
            live_bytes: 0,
            settled: HashSet::new(),
            unreadable: false,
            unsynced: false,
            settlements: Settlements {
                file: None,
                exists: false,
                end: 0,
                pending: Vec::new(),
                written: false,
            },
        }
    }

    pub(super) fn file(&mut self, disk: &D) -> io::Result<&D::File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => disk.open(&self.name.segment())?,
        };
        Ok(self.file.insert(file))
    }

    pub(super) fn close(&mut self) {
        self.file = None;
    }

    pub(super) fn is_surveyed(&self) -> bool {
        self.surveyed >= self.end
    }

    /// The header of the record at `offset`, if there is one that ends within the segment.
    pub(super) fn header(&mut self, disk: &D, offset: u64) -> io::Result<Option<RecordHeader>> {
        let (name, end) = (self.name, self.end);
        let mut bytes = [0; HEADER];
        let count = disk.read_at(self.file(disk)?, offset, &mut bytes)?;
        let header = RecordHeader::decode(bytes.get(..count).unwrap_or_default(), name, offset / BLOCK);
        Ok(header.filter(|header| offset + header.span() <= end))
    }

    /// The payload of a record; `None` if it is not what its header says.
    pub(super) fn payload(
        &mut self,
        disk: &D,
        offset: u64,
        header: &RecordHeader,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut payload = vec![0; usize::try_from(header.length).unwrap_or(usize::MAX)];
        let count = disk.read_at(self.file(disk)?, offset + HEADER as u64, &mut payload)?;
        let sound = count == payload.len() && crc32c::crc32c(&payload) == header.checksum;
        Ok(sound.then_some(payload))
    }

    /// The first place from `from` to `limit` at which a record begins.
    pub(super) fn next_record(&mut self, disk: &D, from: u64, limit: u64) -> io::Result<Option<u64>> {
        let (name, end) = (self.name, self.end);
        let file = self.file(disk)?;
        let mut stride = vec![0; STRIDE];
        let mut start = from.next_multiple_of(BLOCK);
        while start < limit {
            let count = disk.read_at(file, start, &mut stride)?;
            let blocks = stride.get(..count).unwrap_or_default().chunks(BLOCK as usize);
            for (offset, block) in (start..limit).step_by(BLOCK as usize).zip(blocks) {
                let header = RecordHeader::decode(block, name, offset / BLOCK);
                if header.is_some_and(|header| offset + header.span() <= end) {
                    return Ok(Some(offset));
                }
            }
            start += STRIDE as u64;
        }
        Ok(None)
    }

    /// Reads which records an earlier process has settled.
    pub(super) fn load_settlements(&mut self, disk: &D) -> io::Result<()> {
        let file = disk.open(&self.name.settled())?;
        let length = disk.length(&file)?;
        let mut entries = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let count = disk.read_at(&file, 0, &mut entries)?;
        let whole = entries.get(..count).unwrap_or_default().chunks_exact(ENTRY);
        self.settled.extend(whole.filter_map(|entry| settled_block(self.name, entry)));
        self.settlements.exists = true;
        self.settlements.end = length.next_multiple_of(ENTRY as u64);
        Ok(())
    }

    pub(super) fn note(&mut self, block: u64, outcome: Outcome) {
        self.settlements.pending.extend_from_slice(&entry(self.name, block, outcome));
    }

    pub(super) fn has_settlements(&self) -> bool {
        self.settlements.exists
    }

    /// Writes what was noted. What fails is written again the next time, at the same place.
    ///
    /// Returns whether the directory must be synced for it, and the disk's answer.
    pub(super) fn write_settlements(&mut self, disk: &D) -> (bool, io::Result<()>) {
        let settlements = &mut self.settlements;
        if settlements.pending.is_empty() {
            return (false, Ok(()));
        }
        let is_new = !settlements.exists;
        let opened = match settlements.file.take() {
            Some(file) => Ok(file),
            None if is_new => disk.create(&self.name.settled()),
            None => disk.open(&self.name.settled()),
        };
        let file = match opened {
            Ok(file) => settlements.file.insert(file),
            Err(error) => return (false, Err(error)),
        };
        settlements.exists = true;
        if let Err(error) = disk.write_at(file, settlements.end, &[&settlements.pending]) {
            return (is_new, Err(error));
        }
        settlements.end += settlements.pending.len() as u64;
        settlements.pending.clear();
        settlements.written = true;
        (is_new, Ok(()))
    }

    /// Syncs what was written. After a failure it is not tried again: what was lost is delivered once more.
    pub(super) fn sync_settlements(&mut self, disk: &D) -> io::Result<()> {
        let Some(file) = self.settlements.file.take() else { return Ok(()) };
        if !std::mem::take(&mut self.settlements.written) {
            return Ok(());
        }
        disk.sync(&file)
    }
}
