//! One direction of a connection: where it is in its stream, and in which part of a message.

use super::{body::Body, pending::record};
use crate::ebpf_network::{exchange::Call, socket::Segment};

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The offset behind the last byte, seen or skipped; `None` before the first.
    pub(super) next: Option<u64>,
    pub(super) state: State,
    /// The beginning of a head that is split over segments.
    pub(super) head: Vec<u8>,
    /// How far it was searched for its end.
    pub(super) scanned: usize,
    /// When the current message began.
    pub(super) start: u64,
    /// The calls of the current head.
    pub(super) calls: Vec<Call>,
    /// The current segment is among the calls of the current message.
    pub(super) recorded: bool,
    /// The current message was found by its looks, not by the end of the one before.
    pub(super) found: bool,
}

/// The part of a message that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Not known: a message is looked for at the beginning of each segment.
    #[default]
    Seek,
    /// A message begins.
    Start,
    Head,
    Body(Body),
}

/// What a segment adds to a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct News<'s> {
    /// Bytes before it that never came.
    pub(super) gap: u64,
    /// Its bytes, without those that came before.
    pub(super) bytes: &'s [u8],
    /// Bytes behind them that were not captured.
    pub(super) uncaptured: u64,
    /// Its first byte is the segment's first.
    pub(super) whole: bool,
}

impl Stream {
    /// A stream at its very beginning.
    pub(super) fn fresh() -> Self {
        Self { next: Some(0), state: State::Start, ..Self::default() }
    }

    /// Moves on behind the segment. `None` if all of it came before.
    pub(super) fn advance<'s>(&mut self, segment: &Segment<'s>) -> Option<News<'s>> {
        let length = u64::from(segment.length);
        let end = segment.offset.checked_add(length)?;
        let next = self.next.unwrap_or(segment.offset);
        if end <= next {
            return None;
        }
        let known = next.saturating_sub(segment.offset);
        let captured = usize::try_from(length).ok().and_then(|length| segment.bytes.get(..length));
        let captured = captured.unwrap_or(segment.bytes);
        let bytes = usize::try_from(known).ok().and_then(|known| captured.get(known..)).unwrap_or_default();
        self.next = Some(end);
        self.recorded = false;
        Some(News {
            gap: segment.offset.saturating_sub(next),
            bytes,
            uncaptured: (end - next.max(segment.offset)) - bytes.len() as u64,
            whole: known == 0,
        })
    }

    /// A message begins with a byte of this segment.
    pub(super) fn begin_head(&mut self, segment: &Segment<'_>, found: bool) {
        self.state = State::Head;
        self.start = segment.first_byte();
        self.found = found;
        self.calls.clear();
        self.clear_head();
    }

    /// Adds the segment's call to those of the head.
    pub(super) fn record(&mut self, call: Call) {
        if !self.recorded {
            self.recorded = true;
            record(&mut self.calls, call);
        }
    }

    /// The message has ended.
    pub(super) const fn finish(&mut self) {
        self.state = State::Start;
        self.recorded = false;
    }

    /// What came before this offset is of no interest. A message begins there.
    pub(super) fn settle(&mut self, offset: u64, is_certain: bool) {
        self.next = self.next.max(Some(offset));
        if is_certain {
            self.state = State::Start;
            self.found = false;
            self.clear_head();
        }
    }

    /// Where messages begin and end is not known any more.
    pub(super) fn lose(&mut self) {
        self.state = State::Seek;
        self.clear_head();
    }

    fn clear_head(&mut self) {
        self.head.clear();
        self.scanned = 0;
    }

    /// Gives back what is not in use.
    pub(super) fn release(&mut self) {
        if self.head.is_empty() {
            self.head = Vec::new();
        }
        if self.state != State::Head {
            self.calls = Vec::new();
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.head.capacity() + self.calls.capacity() * size_of::<Call>()
    }
}
