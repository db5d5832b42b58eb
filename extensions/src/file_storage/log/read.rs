//! Reading: the cursor that passes every record once, and the survey that counts what earlier processes left.

use std::io;

use super::{Cursor, Disk, Log, Loss, LossReason, Outcome, Place, Read, format::BLOCK};

/// What stands at a place in a segment.
enum Here {
    Record(super::RecordHeader),
    /// No record; the next begins there.
    Gap(u64),
    /// No record up to the end.
    Nothing,
}

impl<D: Disk> Log<D> {
    /// The next record that is not settled; `None` if there is none, or the survey has not come that far.
    pub(in crate::file_storage) fn read(&mut self) -> Option<Read> {
        while let Some(number) = self.returned.pop_front() {
            if let Some(place) = self.outstanding.get(&number).copied()
                && let Some(payload) = self.payload(place)
            {
                return Some(place.read(number, payload));
            }
        }
        loop {
            let place = self.peek()?;
            self.cursor.offset += place.header.span();
            if let Some(payload) = self.payload(place) {
                let number = self.hand_out(place);
                return Some(place.read(number, payload));
            }
        }
    }

    /// The payload of a record, unless it cannot be had: then that is counted.
    fn payload(&mut self, place: Place) -> Option<Vec<u8>> {
        let segment = self.segments.get_mut(&place.segment)?;
        let items = u64::from(place.header.items);
        match segment.payload(&self.disk, place.header.block * BLOCK, &place.header) {
            Ok(Some(payload)) => Some(payload),
            Ok(None) => {
                self.losses.push(Loss { reason: LossReason::CorruptPayload, records: 1, items });
                self.settle_place(place, Outcome::Corrupt);
                None
            }
            Err(_) => {
                segment.unreadable = true;
                self.losses.push(Loss { reason: LossReason::Unreadable, records: 1, items });
                None
            }
        }
    }

    /// Moves the cursor to the next record that is neither settled nor read already.
    pub(super) fn peek(&mut self) -> Option<Place> {
        loop {
            let (&id, segment) = self.segments.range_mut(self.cursor.segment..).next()?;
            if id > self.cursor.segment {
                self.cursor = Cursor { segment: id, offset: BLOCK };
            }
            let offset = self.cursor.offset;
            if offset >= segment.surveyed {
                let is_last = self.segments.range(id + 1..).next().is_none();
                let segment = self.segments.get_mut(&id)?;
                if !segment.is_surveyed() || self.tail == Some(id) || is_last {
                    return None;
                }
                segment.settled.clear();
                segment.close();
                self.cursor = Cursor { segment: id + 1, offset: BLOCK };
                continue;
            }
            let surveyed = segment.surveyed;
            let here = match segment.header(&self.disk, offset) {
                Ok(Some(header)) => Ok(Here::Record(header)),
                Ok(None) => segment
                    .next_record(&self.disk, offset + BLOCK, surveyed)
                    .map(|next| next.map_or(Here::Nothing, Here::Gap)),
                Err(error) => Err(error),
            };
            match here {
                Ok(Here::Record(header)) => {
                    let block = header.block;
                    if !segment.settled.remove(&block) && !self.places.contains(&(id, block)) {
                        return Some(Place { segment: id, header });
                    }
                    self.cursor.offset += header.span();
                }
                Ok(Here::Gap(next)) => self.cursor.offset = next,
                Ok(Here::Nothing) => self.cursor.offset = surveyed,
                Err(_) => {
                    // The survey has counted its records; they stay where they are.
                    segment.unreadable = true;
                    self.losses.push(Loss { reason: LossReason::Unreadable, records: 0, items: 0 });
                    self.cursor.offset = surveyed;
                }
            }
        }
    }

    /// Whether records of earlier processes are still to be counted.
    pub(in crate::file_storage) fn is_surveying(&self) -> bool {
        !self.to_survey.is_empty()
    }

    /// Counts records of earlier processes for about so many bytes of their files.
    pub(in crate::file_storage) fn survey(&mut self, most: u64) {
        let mut left = most;
        while left > 0
            && let Some(id) = self.to_survey.front().copied()
        {
            let passed = match self.survey_segment(id, left) {
                Ok(passed) => passed,
                Err(_) => self.give_up(id),
            };
            left = left.saturating_sub(passed.max(1));
            if self.segments.get(&id).is_none_or(|segment| segment.is_surveyed()) {
                self.to_survey.pop_front();
            }
        }
    }

    fn survey_segment(&mut self, id: u64, most: u64) -> io::Result<u64> {
        let Some(segment) = self.segments.get_mut(&id) else { return Ok(0) };
        let start = segment.surveyed;
        while segment.surveyed < segment.end && segment.surveyed - start < most {
            let offset = segment.surveyed;
            if let Some(header) = segment.header(&self.disk, offset)? {
                if !segment.settled.contains(&header.block) {
                    segment.live += 1;
                    segment.live_bytes += header.span();
                    self.held.add(&header);
                }
                segment.surveyed += header.span();
                continue;
            }
            let next = segment.next_record(&self.disk, offset + BLOCK, segment.end)?;
            self.losses.push(Loss { reason: LossReason::CorruptHeader, records: 0, items: 0 });
            segment.surveyed = next.unwrap_or(segment.end);
        }
        Ok(segment.surveyed - start)
    }

    /// What cannot be surveyed is not read either.
    fn give_up(&mut self, id: u64) -> u64 {
        self.losses.push(Loss { reason: LossReason::Unreadable, records: 0, items: 0 });
        self.segments.get_mut(&id).map_or(0, |segment| {
            let left = segment.end - segment.surveyed;
            segment.unreadable = true;
            segment.end = segment.surveyed;
            left
        })
    }

    /// Removes from the last segment what follows its last sound record: a process was cut short while it wrote that,
    /// and nobody was told that it was safe.
    pub(super) fn cut_torn_tail(&mut self, id: u64) {
        let Some(segment) = self.segments.get_mut(&id) else { return };
        match sound_end(segment, &self.disk) {
            Ok(end) if end < segment.end => {
                let cut = segment.file(&self.disk).and_then(|file| self.disk.truncate(file, end));
                // If that fails it is merely read, and skipped, again.
                let _ = cut;
                segment.end = end;
                self.losses.push(Loss { reason: LossReason::TornTail, records: 0, items: 0 });
            }
            Ok(_) | Err(_) => {}
        }
        segment.close();
    }
}

impl Place {
    fn read(&self, number: u64, payload: Vec<u8>) -> Read {
        Read { number, appended_at: self.header.appended_at, bytes: self.header.bytes, payload }
    }
}

/// Where the last record ends whose payload is what its header says.
fn sound_end<D: Disk>(segment: &mut super::Segment<D>, disk: &D) -> io::Result<u64> {
    let (mut offset, mut sound) = (BLOCK, BLOCK);
    while offset < segment.end {
        if let Some(header) = segment.header(disk, offset)? {
            let end = offset + header.span();
            if segment.payload(disk, offset, &header)?.is_some() {
                sound = end;
            }
            offset = end;
        } else {
            let Some(next) = segment.next_record(disk, offset + BLOCK, segment.end)? else { break };
            offset = next;
        }
    }
    Ok(sound)
}
