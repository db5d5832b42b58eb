//! One message of a chunk, shown to an editor.

use super::{
    attributes::Attributes,
    output::Output,
    patches::Patches,
    place::{Place, places},
};
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
    attributes_shown: bool,
    patches: Patches,
}

impl<'a> Part<'a> {
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
        if !self.attributes_shown {
            self.attributes_shown = true;
            self.attributes.show(self.bytes, number);
        }
        Some(&mut self.attributes)
    }

    /// Replaces every field of this number by what `write` writes; the fields are removed if that is nothing.
    ///
    /// `write` writes whole fields of this message. Setting a member of a `oneof` leaves its other members to the
    /// caller. Attributes are changed by [`Part::attributes`] only.
    pub fn set(&mut self, number: u32, write: impl FnOnce(&mut Writer<'_>)) {
        let places = places(self.bytes, 0).filter(|place| place.number == number);
        self.patches.set(number, places.map(|place| (place.start, place.end)), self.bytes.len(), write);
    }

    /// Appends the fields that `write` writes, a span event for instance.
    pub fn append(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let end = self.bytes.len();
        self.patches.replace(end, end, write);
    }

    /// An empty message, to be [shown](Part::show) others.
    pub(super) fn new(message: &'static Message) -> Self {
        Self {
            message,
            bytes: &[],
            attribute_number: attribute_number(message),
            attributes: Attributes::default(),
            attributes_shown: false,
            patches: Patches::default(),
        }
    }

    /// Turns to another message, without changes.
    #[inline]
    pub(super) fn show(&mut self, message: &'static Message, bytes: &'a [u8]) {
        if !std::ptr::eq(self.message, message) {
            self.message = message;
            self.attribute_number = attribute_number(message);
        }
        self.bytes = bytes;
        self.attributes_shown = false;
        self.patches.clear();
    }

    /// Writes the message, which stands at `place`, with its changes, if there are any.
    #[inline]
    pub(super) fn write(&mut self, output: &mut Output<'_>, place: Place<'_>) {
        if !self.patches.is_empty() {
            self.patches().write(output, place);
        } else if let (true, Some(number)) = (self.attributes_shown, self.attribute_number)
            && self.attributes.is_changed()
        {
            self.attributes.write(number, output, place);
        }
    }

    /// The changes, in the order of the message.
    #[inline]
    pub(super) fn patches(&mut self) -> &Patches {
        if let (true, Some(number)) = (std::mem::take(&mut self.attributes_shown), self.attribute_number) {
            self.attributes.record(self.bytes.len(), number, &mut self.patches);
        }
        self.patches.sort();
        &self.patches
    }
}

fn attribute_number(message: &Message) -> Option<u32> {
    message.field_named("attributes").map(|field| field.number)
}
