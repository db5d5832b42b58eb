//! Where the fields of a message stand.

use crate::otlp::wire::{Fields, Value};

/// Where a field stands in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Its number.
    pub(super) number: u32,
    /// Its value, if that is length-delimited.
    pub(super) content: &'a [u8],
    /// Where its tag starts.
    pub(super) start: usize,
    /// Where its value ends.
    pub(super) end: usize,
}

impl Place<'_> {
    /// Where its content starts.
    #[inline]
    pub(super) const fn content_start(&self) -> usize {
        self.end - self.content.len()
    }
}

/// The fields of a message that itself starts at `base`.
#[inline]
pub(super) fn places(message: &[u8], base: usize) -> Places<'_> {
    Places { fields: Fields::of(message), at: base, end: base + message.len() }
}

/// Iterates over the places of fields.
#[derive(Debug)]
pub(super) struct Places<'a> {
    fields: Fields<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Places<'a> {
    type Item = Place<'a>;

    #[inline]
    fn next(&mut self) -> Option<Place<'a>> {
        let field = self.fields.next()?.ok()?;
        let start = self.at;
        self.at = self.end - self.fields.rest().len();
        let content = match field.value {
            Value::Bytes(content) => content,
            _ => &[],
        };
        Some(Place { number: field.number, content, start, end: self.at })
    }
}
