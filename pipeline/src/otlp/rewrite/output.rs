//! A copy of a message with parts replaced, begun only when the first part is.

use super::place::Place;
use crate::otlp::write::{Writer, varint, varint_length};

/// After what part of the source the size of the copy is foreseen: a sixteenth.
const FORESIGHT: usize = 16;

/// Copies a source up to each change and leaves nested messages whose content did not change as they stand.
///
/// Changes come in the order of the source. Nested messages in which a change may fall are entered and left; the
/// tag and length of those are written anew once there is one.
#[derive(Debug)]
pub(super) struct Output<'a> {
    source: &'a [u8],
    out: Vec<u8>,
    /// The source before this is copied, replaced or removed.
    done: usize,
    changed: bool,
    /// Whether there is room for what was foreseen.
    has_room: bool,
    frames: Vec<Frame<'a>>,
}

/// A nested message that the walk is in.
#[derive(Debug)]
struct Frame<'a> {
    place: Place<'a>,
    opened: Option<Opened>,
}

/// Where a nested message begins in the output.
#[derive(Clone, Copy, Debug)]
struct Opened {
    start: usize,
    length: usize,
    content: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            out: Vec::new(),
            done: 0,
            changed: false,
            has_room: false,
            frames: Vec::with_capacity(8),
        }
    }

    /// Goes into a nested message.
    #[inline]
    pub(super) fn enter(&mut self, place: Place<'a>) {
        self.frames.push(Frame { place, opened: None });
    }

    /// Comes out of the nested message last entered.
    #[inline]
    pub(super) fn leave(&mut self) {
        let Some(Frame { place, opened: Some(opened) }) = self.frames.pop() else { return };
        self.copy_to(place.end);
        self.fill_in_length(opened);
    }

    /// Comes out of the nested message last entered and leaves it out whole.
    pub(super) fn leave_out(&mut self) {
        let Some(Frame { place, opened }) = self.frames.pop() else { return };
        match opened {
            Some(opened) => {
                self.out.truncate(opened.start);
                self.done = place.end;
            }
            None => self.replace(place.start, place.end, &[]),
        }
    }

    /// Writes `replacement` for the source from `start` to `end`.
    #[inline]
    pub(super) fn replace(&mut self, start: usize, end: usize, replacement: &[u8]) {
        self.open();
        self.copy_to(start);
        self.out.extend_from_slice(replacement);
        self.done = self.done.max(end);
    }

    /// Writes a nested message that the source does not have before its byte `at`.
    pub(super) fn insert(&mut self, at: usize, number: u32, content: &[u8]) {
        self.open();
        self.copy_to(at);
        Writer::new(&mut self.out).bytes(number, content);
    }

    /// Starts a nested message whose content will have this length, in the place of one of the source. What the
    /// content keeps of that is copied by [`Output::replace`] and, up to its end, by [`Output::copy_to`].
    #[inline]
    pub(super) fn begin(&mut self, place: Place<'_>, length: usize) {
        self.open();
        self.copy_to(place.start);
        match (u8::try_from(place.number << 3 | 2), u16::try_from(length)) {
            // As nearly all items are.
            (Ok(tag @ 0..0x80), Ok(length @ 0x80..0x4000)) => {
                let [low, high] = ((length & 0x7f) | 0x80 | ((length << 1) & 0x7f00)).to_le_bytes();
                self.out.extend_from_slice(&[tag, low, high]);
            }
            _ => {
                varint(&mut self.out, u64::from(place.number) << 3 | 2);
                varint(&mut self.out, length as u64);
            }
        }
        self.done = place.content_start();
    }

    /// Writes fields for the source from `start` to `end`, in a message that was begun.
    #[inline]
    pub(super) fn fields<'f>(
        &mut self,
        start: usize,
        end: usize,
        number: u32,
        contents: impl IntoIterator<Item = &'f [u8]>,
    ) {
        self.copy_to(start);
        for content in contents {
            match (u8::try_from(number << 3 | 2), u8::try_from(content.len())) {
                (Ok(tag @ 0..0x80), Ok(length @ 0..0x80)) => {
                    self.out.extend_from_slice(&[tag, length]);
                    self.out.extend_from_slice(content);
                }
                _ => Writer::new(&mut self.out).bytes(number, content),
            }
        }
        self.done = self.done.max(end);
    }

    /// Copies the source up to `end`, but for what is done.
    #[inline]
    pub(super) fn copy_to(&mut self, end: usize) {
        if end <= self.done {
            return;
        }
        self.out.extend_from_slice(self.source.get(self.done..end).unwrap_or_default());
        self.done = end;
    }

    /// The copy, unless nothing was changed.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        if !self.changed {
            return None;
        }
        self.copy_to(self.source.len());
        if self.out.capacity() / 2 > self.out.len() {
            self.out.shrink_to_fit();
        }
        Some(self.out)
    }

    /// Begins the messages that the next change is in.
    #[inline]
    fn open(&mut self) {
        if !self.changed {
            self.changed = true;
            self.out.reserve(self.source.len() + self.source.len() / 8);
        }
        if !self.has_room && self.done > self.source.len() / FORESIGHT {
            self.make_room();
        }
        let unopened = self.frames.iter().rev().take_while(|frame| frame.opened.is_none()).count();
        for index in self.frames.len() - unopened..self.frames.len() {
            let Some(&Frame { place, .. }) = self.frames.get(index) else { return };
            self.copy_to(place.start);
            let start = self.out.len();
            varint(&mut self.out, u64::from(place.number) << 3 | 2);
            let length = self.out.len();
            // As much room as the length needed before: most often that fits.
            self.out.resize(length + varint_length(place.content.len() as u64), 0);
            self.done = place.content_start();
            let opened = Opened { start, length, content: self.out.len() };
            if let Some(frame) = self.frames.get_mut(index) {
                frame.opened = Some(opened);
            }
        }
    }

    /// Makes room for all of the copy, as large as what there is of it foretells: to grow later is to copy more. Not for more
    /// than twice the first room, which it would take by itself.
    #[cold]
    fn make_room(&mut self) {
        self.has_room = true;
        let (copy, done, all) = (self.out.len() as u128, self.done as u128, self.source.len() as u128);
        let expected = copy * all / done.max(1);
        let most = 2 * (all + all / 8);
        let room = usize::try_from((expected + expected / 16).min(most)).unwrap_or(usize::MAX);
        if room > self.out.capacity() {
            self.out.reserve_exact(room - self.out.len());
        }
    }

    #[inline]
    fn fill_in_length(&mut self, opened: Opened) {
        let content_end = self.out.len();
        let length = content_end - opened.content;
        let room = opened.content - opened.length;
        let needed = varint_length(length as u64);
        if needed > room {
            self.out.resize(content_end + needed - room, 0);
        }
        if needed != room {
            self.out.copy_within(opened.content..content_end, opened.length + needed);
            self.out.truncate(opened.length + needed + length);
        }
        let mut rest = length;
        for byte in self.out.iter_mut().skip(opened.length).take(needed) {
            #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            *byte = if rest == 0 { low } else { low | 0x80 };
        }
    }
}
