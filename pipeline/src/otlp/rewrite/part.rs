//! One message of a chunk, shown to an editor.

use super::{attributes::Attributes, output::Output, place::places};
use crate::otlp::{schema::Message, write::Writer};

/// A resource, scope, metric, item or span event that an [`Editor`](super::Editor) sees and may change.
///
/// Changes are recorded here and written once the editor is done with the message.
#[derive(Debug)]
pub struct Part<'a> {
    message: &'static Message,
    bytes: &'a [u8],
    /// The field number of its attributes.
    attribute_number: Option<u32>,
    attributes: Attributes<'a>,
    attributes_read: bool,
    /// In the order of `start` once collected.
    patches: Vec<Patch>,
    /// What the patches write.
    written: Vec<u8>,
}

/// Bytes of the message to replace, places relative to its content.
#[derive(Clone, Copy, Debug)]
struct Patch {
    /// The field set, 0 for others.
    number: u32,
    start: usize,
    end: usize,
    /// The range of `written` to put there.
    with: (usize, usize),
}

impl<'a> Part<'a> {
    /// An empty message, to be [shown](Part::show) others.
    pub(super) fn new(message: &'static Message) -> Self {
        Self {
            message,
            bytes: &[],
            attribute_number: attribute_number(message),
            attributes: Attributes::default(),
            attributes_read: false,
            patches: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Its type: tells the kinds of data points apart.
    #[must_use]
    pub fn message(&self) -> &'static Message {
        self.message
    }

    /// The encoded message as it came, without the edits made here; for the views.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its attributes; `None` for a metric and a profile, which have none of their own.
    #[inline]
    pub fn attributes(&mut self) -> Option<&mut Attributes<'a>> {
        let number = self.attribute_number?;
        if !self.attributes_read {
            self.attributes_read = true;
            self.attributes.read(self.bytes, number);
        }
        Some(&mut self.attributes)
    }

    /// Replaces every field of this number by what `write` writes; the fields are removed if that is nothing.
    ///
    /// `write` writes whole fields of this message. Setting a member of a `oneof` leaves its other members to the
    /// caller; setting the attributes' number as well as editing [`Part::attributes`] leaves which wins open.
    pub fn set(&mut self, number: u32, write: impl FnOnce(&mut Writer<'_>)) {
        self.patches.retain(|patch| patch.number != number);
        let with = self.write(write);
        let mut with = Some(with);
        for place in places(self.bytes, 0).filter(|place| place.number == number) {
            let with = with.take().unwrap_or((0, 0));
            self.patches.push(Patch { number, start: place.start, end: place.end, with });
        }
        if let Some(with @ (start, end)) = with
            && start < end
        {
            let end = self.bytes.len();
            self.patches.push(Patch { number, start: end, end, with });
        }
    }

    /// Appends the fields that `write` writes, a span event for instance.
    pub fn append(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let with = self.write(write);
        let end = self.bytes.len();
        self.patches.push(Patch { number: 0, start: end, end, with });
    }

    /// Turns to another message, without changes.
    #[inline]
    pub(super) fn show(&mut self, message: &'static Message, bytes: &'a [u8]) {
        if !std::ptr::eq(self.message, message) {
            self.message = message;
            self.attribute_number = attribute_number(message);
        }
        self.bytes = bytes;
        if self.attributes_read {
            self.attributes.clear();
            self.attributes_read = false;
        }
        self.patches.clear();
        self.written.clear();
    }

    /// Ends the editing: what follows reads the changes in the order of the message.
    #[inline]
    pub(super) fn seal(&mut self) {
        let Self { bytes, attribute_number, attributes, attributes_read, patches, written, .. } = self;
        if let (true, Some(number)) = (*attributes_read, *attribute_number) {
            attributes.changes(bytes, number, |start, end, write| {
                let from = written.len();
                write(&mut Writer::new(written));
                patches.push(Patch { number, start, end, with: (from, written.len()) });
            });
        }
        if !patches.is_sorted_by_key(|patch| patch.start) {
            patches.sort_by_key(|patch| patch.start);
        }
    }

    /// Writes the changes of a message that starts at `base` of the output's source.
    #[inline]
    pub(super) fn apply(&self, output: &mut Output<'a>, base: usize) {
        self.apply_from(0, usize::MAX, output, base);
    }

    /// Writes those from the one with this index on that start before `limit`; returns the index of the next.
    pub(super) fn apply_from(
        &self,
        first: usize,
        limit: usize,
        output: &mut Output<'a>,
        base: usize,
    ) -> usize {
        let mut next = first;
        for patch in self.patches.iter().skip(first).take_while(|patch| patch.start < limit) {
            let with = self.written.get(patch.with.0..patch.with.1).unwrap_or_default();
            output.replace(base + patch.start, base + patch.end, with);
            next += 1;
        }
        next
    }

    /// Whether a change covers the byte at `place`.
    pub(super) fn replaces(&self, place: usize) -> bool {
        self.patches.iter().any(|patch| patch.start <= place && place < patch.end)
    }

    /// What the changes make of a message that was absent.
    pub(super) fn made(&self) -> Vec<u8> {
        let pieces = self.patches.iter().filter_map(|patch| self.written.get(patch.with.0..patch.with.1));
        pieces.flatten().copied().collect()
    }

    fn write(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> (usize, usize) {
        let start = self.written.len();
        write(&mut Writer::new(&mut self.written));
        (start, self.written.len())
    }
}

fn attribute_number(message: &Message) -> Option<u32> {
    message.field_named("attributes").map(|field| field.number)
}
