//! Appending: records are written behind the last one and synced together, or none of them counts.

use std::io;

use super::{
    Cursor, Disk, Log, Place, Record, Segment,
    format::{BLOCK, HEADER, RecordHeader, SegmentName},
    is_full,
};

/// Why records were not appended. None of them is in the log.
#[derive(Debug, thiserror::Error)]
pub(in crate::file_storage) enum AppendError {
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
    /// Appends the records and syncs them together. Up to `direct` of them need not be read again if the reader has
    /// nothing before them: they are given a number each, as if they had been read.
    ///
    /// # Errors
    /// [`AppendError`]; then nobody may be told that they are safe.
    pub(in crate::file_storage) fn append(
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
    pub(super) fn write(
        &mut self,
        records: &[Record<'_>],
        sync: bool,
    ) -> Result<Vec<RecordHeader>, AppendError> {
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
    pub(super) fn sync_tail(&mut self) -> io::Result<()> {
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
    pub(super) fn retire_tail(&mut self) {
        if let Some(segment) = self.tail.take().and_then(|tail| self.segments.get_mut(&tail)) {
            segment.close();
        }
    }
}

/// Adds a record to the content of a segment.
pub(in crate::file_storage) fn encode(
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

pub(super) fn describe(record: &Record<'_>, block: u64) -> Result<RecordHeader, AppendError> {
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
