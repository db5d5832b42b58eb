//! Changes to one message, recorded until they can be written in its order.

use super::{output::Output, place::Place};
use crate::otlp::write::Writer;

/// Bytes of a message to replace by others.
#[derive(Debug, Default)]
pub(super) struct Patches {
    list: Vec<Patch>,
    /// What the patches put in place, one after the other.
    written: Vec<u8>,
}

/// Places are relative to the content of the message.
#[derive(Clone, Copy, Debug)]
struct Patch {
    /// The number of the field that it sets; 0 if it sets none.
    number: u32,
    start: usize,
    end: usize,
    /// The range of `written` to put there.
    with: (usize, usize),
}

impl Patches {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.written.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts what `write` writes in the place of the bytes from `start` to `end`.
    #[inline]
    pub(super) fn replace(&mut self, start: usize, end: usize, write: impl FnOnce(&mut Writer<'_>)) {
        let from = self.written.len();
        write(&mut Writer::new(&mut self.written));
        let to = self.written.len();
        if start < end || from < to {
            self.list.push(Patch { number: 0, start, end, with: (from, to) });
        }
    }

    /// Puts what `write` writes in the first of these places, or at `end` if there is none, and empties the others.
    /// Undoes what was set before for this number.
    pub(super) fn set(
        &mut self,
        number: u32,
        places: impl Iterator<Item = (usize, usize)>,
        end: usize,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        self.list.retain(|patch| patch.number != number);
        let from = self.written.len();
        write(&mut Writer::new(&mut self.written));
        let mut with = (from, self.written.len());
        let mut is_placed = false;
        for (start, end) in places {
            self.list.push(Patch { number, start, end, with });
            is_placed = true;
            with = (0, 0);
        }
        if !is_placed && with.0 < with.1 {
            self.list.push(Patch { number, start: end, end, with });
        }
    }

    /// Brings them into the order of the message. Of two that overlap the first stays.
    #[inline]
    pub(super) fn sort(&mut self) {
        if let [] | [_] = *self.list {
            return;
        }
        // What is inserted before a field that is replaced comes first.
        self.list.sort_by_key(|patch| (patch.start, patch.end));
        self.list.dedup_by(|next, before| next.start < before.end);
    }

    /// Writes the message at `place` with all of them, if there are any.
    #[inline]
    pub(super) fn write(&self, output: &mut Output<'_>, place: Place<'_>) {
        if self.list.is_empty() {
            return;
        }
        let removed: usize = self.list.iter().map(|patch| patch.end - patch.start).sum();
        let added: usize = self.list.iter().map(|patch| patch.with.1 - patch.with.0).sum();
        output.begin(place, place.content.len() + added - removed);
        self.apply(0, usize::MAX, output, place.content_start());
        output.copy_to(place.end);
    }

    /// Writes those from the one with the index `first` on that start before `limit`, for a message whose content
    /// is at `base` in the source. Returns the index of the next.
    #[inline]
    pub(super) fn apply(&self, first: usize, limit: usize, output: &mut Output<'_>, base: usize) -> usize {
        let mut next = first;
        for patch in self.list.iter().skip(first).take_while(|patch| patch.start < limit) {
            let with = self.written.get(patch.with.0..patch.with.1).unwrap_or_default();
            output.replace(base + patch.start, base + patch.end, with);
            next += 1;
        }
        next
    }

    /// Whether one covers the byte at `place`.
    pub(super) fn cover(&self, place: usize) -> bool {
        self.list.iter().any(|patch| patch.start <= place && place < patch.end)
    }

    /// What they make of an empty message.
    pub(super) fn made(&self) -> Vec<u8> {
        let pieces = self.list.iter().filter_map(|patch| self.written.get(patch.with.0..patch.with.1));
        pieces.flatten().copied().collect()
    }
}
