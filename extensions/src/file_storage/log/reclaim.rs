//! Giving space back: settled segments, stragglers, and what may not be kept any longer.

use std::io;

use super::{
    Cursor, Disk, Held, Log, Loss, LossReason, Outcome, Place, Record,
    format::{BLOCK, RecordHeader},
};

/// A segment of which at most one part in so many is unsettled has stragglers.
const STRAGGLING: u64 = 4;

impl<D: Disk> Log<D> {
    /// Removes segments in which everything is settled. Returns whether there were any.
    ///
    /// # Errors
    /// The disk's; what is left is removed the next time.
    pub(in crate::file_storage) fn reclaim(&mut self) -> io::Result<bool> {
        // Takes the cursor off a segment that is read to its end.
        let _ = self.peek();
        let done: Vec<u64> = self.segments.keys().copied().filter(|id| self.is_done(*id)).collect();
        if done.is_empty() {
            return Ok(false);
        }
        for id in &done {
            if let Some(segment) = self.segments.get_mut(id) {
                segment.close();
                remove(&self.disk, &segment.name.segment())?;
            }
        }
        // If a `.settled` file went before its segment, a power cut could bring back the segment alone.
        self.disk.sync_directory()?;
        self.directory_is_unsynced = false;
        for id in done {
            if let Some(segment) = self.segments.remove(&id).filter(|segment| segment.has_settlements()) {
                // One that stays is removed at the next start.
                let _ = self.disk.remove(&segment.name.settled());
            }
        }
        Ok(true)
    }

    fn is_done(&self, id: u64) -> bool {
        self.segments.get(&id).is_some_and(|segment| {
            segment.live == 0
                && !segment.unreadable
                && self.tail != Some(id)
                && segment.is_surveyed()
                && self.cursor >= (Cursor { segment: id, offset: segment.end.max(BLOCK) })
        })
    }

    /// Appends anew what is left of the oldest segment that is read and mostly settled, so that it can be removed.
    /// Returns whether there was one.
    ///
    /// # Errors
    /// As of an append; then everything stays where it was.
    pub(in crate::file_storage) fn move_stragglers(&mut self) -> Result<bool, super::AppendError> {
        let Some((id, numbers)) = self.stragglers() else { return Ok(false) };
        let mut payloads = Vec::with_capacity(numbers.len());
        for number in &numbers {
            let Some(place) = self.outstanding.get(number).copied() else { return Ok(false) };
            let Some(segment) = self.segments.get_mut(&id) else { return Ok(false) };
            match segment.payload(&self.disk, place.header.block * BLOCK, &place.header) {
                Ok(Some(payload)) => payloads.push((place, payload)),
                // It is on its way all the same. Its segment stays, so that nothing gets worse.
                Ok(None) | Err(_) => {
                    segment.unreadable = true;
                    return Ok(false);
                }
            }
        }
        let records: Vec<Record<'_>> = payloads
            .iter()
            .map(|(place, payload)| Record {
                payload: vec![payload.as_slice()],
                items: place.header.items,
                bytes: place.header.bytes,
                appended_at: place.header.appended_at,
            })
            .collect();
        let headers = self.write(&records, true)?;
        let Some(tail) = self.tail else { return Ok(false) };
        for ((number, (old, _)), header) in numbers.into_iter().zip(&payloads).zip(headers) {
            self.places.remove(&(old.segment, old.header.block));
            self.places.insert((tail, header.block));
            self.outstanding.insert(number, Place { segment: tail, header });
            self.settle_place(*old, Outcome::Moved);
        }
        Ok(true)
    }

    fn stragglers(&self) -> Option<(u64, Vec<u64>)> {
        let (id, segment) = self.segments.range(..self.cursor.segment).find(|(id, segment)| {
            segment.live > 0
                && !segment.unreadable
                && self.tail != Some(**id)
                && segment.live_bytes * STRAGGLING <= segment.end
        })?;
        let mut numbers: Vec<u64> = self
            .outstanding
            .iter()
            .filter(|(_, place)| place.segment == *id)
            .map(|(number, _)| *number)
            .collect();
        numbers.sort_unstable();
        (numbers.len() as u64 == segment.live).then_some((*id, numbers))
    }

    /// Appends nothing more to a segment in which everything is settled, so that it can be removed.
    pub(in crate::file_storage) fn leave_empty_tail(&mut self) {
        let _ = self.peek();
        let empty = self.tail.and_then(|tail| self.segments.get(&tail)).is_some_and(|tail| {
            tail.live == 0 && self.cursor >= (Cursor { segment: tail.name.id, offset: tail.end })
        });
        if empty {
            self.retire_tail();
        }
    }

    /// Gives up the oldest records that nobody has read yet, as long as `excess` says so of the next one.
    pub(in crate::file_storage) fn drop_oldest(
        &mut self,
        outcome: Outcome,
        excess: impl Fn(&Held, &RecordHeader) -> bool,
    ) {
        let mut dropped = Held::default();
        while let Some(place) = self.peek()
            && excess(&self.held, &place.header)
        {
            self.cursor.offset += place.header.span();
            self.settle_place(place, outcome);
            dropped.add(&place.header);
        }
        self.count_dropped(outcome, dropped);
    }

    /// Gives up records that were read and that nobody has taken yet.
    pub(in crate::file_storage) fn drop_read(
        &mut self,
        outcome: Outcome,
        numbers: impl IntoIterator<Item = u64>,
    ) {
        let mut dropped = Held::default();
        for number in numbers {
            if let Some(header) = self.header_of(number) {
                dropped.add(&header);
                self.settle(number, outcome);
            }
        }
        self.count_dropped(outcome, dropped);
    }

    /// The header of a record that was read and is not settled.
    pub(in crate::file_storage) fn header_of(&self, number: u64) -> Option<RecordHeader> {
        self.outstanding.get(&number).map(|place| place.header)
    }

    fn count_dropped(&mut self, outcome: Outcome, dropped: Held) {
        let reason = match outcome {
            Outcome::Expired => LossReason::Expired,
            _ => LossReason::Evicted,
        };
        if dropped.records > 0 {
            self.losses.push(Loss { reason, records: dropped.records, items: dropped.items });
        }
    }
}

/// Removes a file that may be gone already, from a try that failed half-way.
fn remove<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
