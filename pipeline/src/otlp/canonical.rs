//! Rewrites valid protobuf that is not in canonical form, and repairs its text. The slow path of [`super::check`].
//!
//! The output decodes to what protobuf's rules make of the input: of a singular scalar the last occurrence counts;
//! occurrences of a singular message are merged; of a `oneof` the last member counts, its message merged with
//! those directly before it that set the same member; repeated fields are appended; unknown fields, groups too,
//! stay in their order. Singular fields come first, so that resource and scope precede their items.
//!
//! Time is linear in the input, and nothing is allocated but the output, which is no longer than the input but for
//! the U+FFFD that replace invalid UTF-8.

use super::{
    check::{DEPTH, is_clean},
    schema::{self, MAX_FIELDS, Message, Type},
    wire::{Field, Fields},
    write::Writer,
};
use crate::signal::Signal;

/// A message in canonical form.
#[derive(Debug)]
pub struct Canonical {
    /// The encoded message.
    pub bytes: Vec<u8>,
    /// In how many strings invalid UTF-8 was replaced by U+FFFD.
    pub repaired: usize,
}

/// The canonical form of the root message of a signal.
///
/// The input must have passed the structural part of the check; of other input, what follows a broken field in its
/// message is lost.
#[must_use]
pub fn canonical(signal: Signal, bytes: &[u8]) -> Canonical {
    let mut rewritten = Vec::with_capacity(bytes.len());
    let mut rewrite = Rewrite { repaired: 0 };
    rewrite.message(schema::root(signal), &Pieces::Whole(bytes), &mut Writer::new(&mut rewritten), DEPTH);
    Canonical { bytes: rewritten, repaired: rewrite.repaired }
}

/// A message that may be spread over several occurrences of its field, found by walking the parent again.
///
/// Lists of pieces would cost a hostile input's size many times over. Singular messages nest in each other at most
/// three deep before a repeated field starts afresh, so walking again keeps time linear.
enum Pieces<'p, 'a> {
    /// A message in one piece.
    Whole(&'a [u8]),
    /// The occurrences of a field in the parent.
    Within {
        parent: &'p Pieces<'p, 'a>,
        number: u32,
        /// How many fields of the parent come before the first that counts.
        skip: usize,
    },
}

impl<'a> Pieces<'_, 'a> {
    fn each_field(&self, visit: &mut dyn FnMut(Field<'a>)) {
        match *self {
            Self::Whole(message) => Fields::of(message).map_while(Result::ok).for_each(visit),
            Self::Within { parent, number, skip } => {
                let mut position = 0;
                parent.each_field(&mut |field| {
                    if field.number == number && position >= skip {
                        Fields::of(field.value.bytes()).map_while(Result::ok).for_each(&mut *visit);
                    }
                    position += 1;
                });
            }
        }
    }
}

/// What counts of the singular fields of a message.
struct Singular<'a> {
    /// The last occurrence of each with its tag, by its place in the schema; empty if there is none.
    last: [&'a [u8]; MAX_FIELDS],
    /// The member of the `oneof` that is set.
    member: Option<usize>,
    /// How many fields come before the last run of that member.
    member_skip: usize,
}

impl<'a> Singular<'a> {
    fn of(message: &'static Message, pieces: &Pieces<'_, 'a>) -> Self {
        let mut singular = Self { last: [&[]; MAX_FIELDS], member: None, member_skip: 0 };
        let mut position = 0;
        pieces.each_field(&mut |field| {
            if let Some(place) = message.place(field.number)
                && !message.fields[place].repeated
            {
                if message.fields[place].one_of != 0 && singular.member != Some(place) {
                    if let Some(before) = singular.member.replace(place) {
                        singular.last[before] = &[];
                    }
                    singular.member_skip = position;
                }
                singular.last[place] = field.raw;
            }
            position += 1;
        });
        singular
    }
}

struct Rewrite {
    repaired: usize,
}

impl Rewrite {
    fn message(
        &mut self,
        message: &'static Message,
        pieces: &Pieces<'_, '_>,
        output: &mut Writer<'_>,
        depth: usize,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return };
        self.singular_fields(message, pieces, output, depth);
        pieces.each_field(&mut |field| match message.field(field.number) {
            None => output.raw(field.raw),
            Some(known) if known.repeated => match known.kind {
                Type::Message(nested) if is_clean(nested, field.value.bytes(), depth) => {
                    output.raw(field.raw)
                }
                Type::Message(nested) => output.message(field.number, |inner| {
                    self.message(nested, &Pieces::Whole(field.value.bytes()), inner, depth);
                }),
                _ => self.scalar(known.kind, field, output),
            },
            Some(_) => {}
        });
    }

    fn singular_fields(
        &mut self,
        message: &'static Message,
        pieces: &Pieces<'_, '_>,
        output: &mut Writer<'_>,
        depth: usize,
    ) {
        let singular = Singular::of(message, pieces);
        for (known, last) in message.fields.iter().zip(singular.last) {
            let Some(Ok(field)) = Fields::of(last).next() else { continue };
            let Type::Message(nested) = known.kind else {
                self.scalar(known.kind, field, output);
                continue;
            };
            let skip = if known.one_of == 0 { 0 } else { singular.member_skip };
            let within = Pieces::Within { parent: pieces, number: field.number, skip };
            output.message(field.number, |inner| self.message(nested, &within, inner, depth));
        }
    }

    fn scalar(&mut self, kind: Type, field: Field<'_>, output: &mut Writer<'_>) {
        let text = field.value.bytes();
        if !matches!(kind, Type::String) || simdutf8::basic::from_utf8(text).is_ok() {
            output.raw(field.raw);
            return;
        }
        self.repaired += 1;
        output.message(field.number, |inner| {
            for chunk in text.utf8_chunks() {
                inner.raw(chunk.valid().as_bytes());
                if !chunk.invalid().is_empty() {
                    inner.raw("\u{FFFD}".as_bytes());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
