//! The check at the door: what passes it, views and rewriters read without failing.
//!
//! One walk verifies structure, wire types, lengths, id lengths, nesting depth and UTF-8, counts the items, and
//! finds out whether the message is in canonical form: singular fields once, at most one member of a `oneof`,
//! resource and scope before their items. What is not, and what needs its text repaired, is rewritten by
//! [`super::canonical`].
//!
//! It is stricter than protobuf decoders in that ids must have their length or be empty, and in that messages nest
//! at most [`DEPTH`] deep and groups 32; and laxer in that text need not be UTF-8.

use std::convert::Infallible;

use bytes::Bytes;

use super::{
    canonical::canonical,
    count::count,
    rule::{Class, Rule},
    schema::{self, Message},
    wire::{Fields, Value, WireError, read_varint},
};
use crate::signal::Signal;

/// How deep messages may nest, the batch itself being the first.
pub const DEPTH: usize = 64;

/// A message that passed the check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The message: the input itself if that was canonical and clean.
    pub bytes: Bytes,
    /// How many spans, data points, log records or profile samples it holds.
    pub items: usize,
    /// In how many strings invalid UTF-8 was replaced by U+FFFD.
    pub repaired: usize,
    /// Whether the input was valid protobuf, but not in canonical form.
    pub canonicalised: bool,
}

/// Why bytes are not the OTLP message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The protobuf wire format is broken.
    #[error("cannot read a {message} as protobuf: {reason}")]
    Wire {
        /// The innermost message.
        message: &'static str,
        /// What is wrong with it.
        reason: WireError,
    },
    /// A known field has a value of another type.
    #[error("cannot read a {message}: its field {number} has the wrong wire type")]
    WireType {
        /// The message that the field is in.
        message: &'static str,
        /// The number of the field.
        number: u32,
    },
    /// An id of the wrong length.
    #[error("cannot read a {message}: its {field} has {length} bytes; an id has {expected} or is absent")]
    Id {
        /// The message that the id is in.
        message: &'static str,
        /// Its name in OTLP/JSON.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The length of such ids.
        expected: usize,
    },
    /// Messages nest too deep.
    #[error("messages nest more than {DEPTH} deep; send flatter attributes")]
    Depth,
}

/// Checks the encoded root message of a signal.
///
/// # Errors
/// [`Malformed`]; the message must be refused, no retry will help.
pub fn check(signal: Signal, bytes: Bytes) -> Result<Checked, Malformed> {
    let free = |_| Ok::<(), Infallible>(());
    match check_charged(signal, bytes, free) {
        Ok(checked) => Ok(checked),
        Err(NotTaken::Malformed(malformed)) => Err(malformed),
        Err(NotTaken::Refused(never)) => match never {},
    }
}

/// Why [`check_charged`] gave no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken<E> {
    /// The message must be refused, no retry will help.
    Malformed(Malformed),
    /// There was no memory to rewrite it.
    Refused(E),
}

/// Like [`check`], asking `charge` for the bytes that a message which has to be rewritten takes at most.
///
/// # Errors
/// [`NotTaken`].
pub fn check_charged<E>(
    signal: Signal,
    bytes: Bytes,
    charge: impl FnOnce(u64) -> Result<(), E>,
) -> Result<Checked, NotTaken<E>> {
    /// U+FFFD takes three bytes, and replaces one at least.
    const REPAIRED: usize = 3;
    let mut walk = Walk::default();
    walk.message(schema::root(signal), &bytes, DEPTH).map_err(NotTaken::Malformed)?;
    if !walk.irregular && !walk.invalid_text {
        return Ok(Checked { bytes, items: walk.items, repaired: 0, canonicalised: false });
    }
    let most = if walk.invalid_text { bytes.len() * REPAIRED } else { bytes.len() };
    charge(most as u64).map_err(NotTaken::Refused)?;
    let rewritten = canonical(signal, &bytes);
    Ok(Checked {
        items: count(signal, &rewritten.bytes),
        bytes: rewritten.bytes.into(),
        repaired: rewritten.repaired,
        canonicalised: walk.irregular,
    })
}

/// Whether a message inside another one certainly needs no rewriting; `depth` is what is left for it. Tells for items
/// and common attributes only: items do not nest in each other, so that no byte is checked again and again.
pub(super) fn is_clean(message: &'static Message, bytes: &[u8], depth: usize) -> bool {
    if std::ptr::eq(message, &schema::KEY_VALUE) {
        return is_plain_attribute(bytes);
    }
    let mut walk = Walk::default();
    message.is_item() && walk.message(message, bytes, depth).is_ok() && !walk.irregular && !walk.invalid_text
}

/// What one walk over a message finds out.
#[derive(Default)]
struct Walk {
    items: usize,
    irregular: bool,
    invalid_text: bool,
}

impl Walk {
    fn message(&mut self, message: &'static Message, mut rest: &[u8], depth: usize) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Malformed::Depth) };
        self.items += usize::from(message.is_item());
        let rules = message.rules();
        let (mut seen, mut twice) = (0, 0);
        while let [tag, tail @ ..] = rest {
            let rule = &rules[usize::from(tag >> 3)];
            let tail = if *tag < 0x80 && rule.wire_type == tag & 7 {
                tail
            } else if let ([1, tail @ ..], 0x80..) = (tail, *tag)
                && rule.wire_type == tag & 7
            {
                // Numbers from 16 to 31 end in a second byte, which is 1; the first then reads like a short tag.
                tail
            } else {
                let (after, excludes, marks) = self.unusual(message, rest, depth)?;
                twice |= seen & excludes;
                seen |= marks;
                rest = after;
                continue;
            };
            twice |= seen & rule.excludes;
            seen |= rule.marks;
            rest = match rule.class {
                Class::Varint => skip_varint(tail).map_err(|reason| wire(message, reason))?,
                Class::Fixed64 => tail.get(8..).ok_or_else(|| wire(message, WireError::Truncated))?,
                Class::Fixed32 => tail.get(4..).ok_or_else(|| wire(message, WireError::Truncated))?,
                Class::Message => {
                    let (value, after) = split_value(tail).map_err(|reason| wire(message, reason))?;
                    if !(depth >= 2 && is_attribute(rule) && is_plain_attribute(value)) {
                        self.value(message, rule, *tag >> 3, value, depth)?;
                    }
                    after
                }
                Class::Text => {
                    let (value, after) = split_value(tail).map_err(|reason| wire(message, reason))?;
                    self.invalid_text |= !is_utf8(value);
                    after
                }
                Class::Id => {
                    let (value, after) = split_value(tail).map_err(|reason| wire(message, reason))?;
                    if value.len() != usize::from(rule.length) {
                        self.value(message, rule, *tag >> 3, value, depth)?;
                    }
                    after
                }
                Class::Bytes | Class::Unknown => split_value(tail).map_err(|reason| wire(message, reason))?.1,
            };
        }
        self.irregular |= twice != 0;
        Ok(())
    }

    #[inline(never)]
    fn value(
        &mut self,
        message: &'static Message,
        rule: &Rule,
        number: u8,
        value: &[u8],
        depth: usize,
    ) -> Result<(), Malformed> {
        match rule.class {
            Class::Text => self.invalid_text |= !is_utf8(value),
            Class::Id => {
                if value.len() != usize::from(rule.length) && !value.is_empty() {
                    return Err(id(message, rule, number, value));
                }
            }
            _ => {
                if let Some(nested) = rule.nested {
                    self.message(nested, value, depth)?;
                }
            }
        }
        Ok(())
    }

    /// Fields with long tags, packed ones, unknown ones and wrong ones. Returns what follows the field, and which
    /// marks it excludes and sets.
    #[inline(never)]
    fn unusual<'a>(
        &mut self,
        message: &'static Message,
        rest: &'a [u8],
        depth: usize,
    ) -> Result<(&'a [u8], u32, u32), Malformed> {
        let mut fields = Fields::of(rest);
        let field = match fields.next() {
            Some(Ok(field)) => field,
            Some(Err(reason)) => return Err(wire(message, reason)),
            None => return Ok((&[], 0, 0)),
        };
        let Some(rule) = message.rules().get(field.number as usize) else {
            return Ok((fields.rest(), 0, 0));
        };
        match (rule.class, field.value) {
            (Class::Unknown, _)
            | (Class::Varint, Value::Varint(_))
            | (Class::Fixed64, Value::Fixed64(_))
            | (Class::Fixed32, Value::Fixed32(_)) => {}
            (Class::Varint | Class::Fixed64, Value::Bytes(packed)) if rule.packable => {
                check_packed(rule.class, packed).map_err(|reason| wire(message, reason))?;
            }
            (Class::Text | Class::Bytes | Class::Id | Class::Message, Value::Bytes(value)) => {
                // Rules are for numbers below 32.
                self.value(message, rule, field.number as u8, value, depth)?;
            }
            _ => return Err(Malformed::WireType { message: message.name, number: field.number }),
        }
        Ok((fields.rest(), rule.excludes, rule.marks))
    }
}

#[inline]
fn is_attribute(rule: &Rule) -> bool {
    rule.nested.is_some_and(|nested| std::ptr::eq(nested, &schema::KEY_VALUE))
}

/// Whether this is a `KeyValue` of the common shape: a short ASCII key, then a short ASCII text or a number, nothing
/// else. Attributes are most of what there is to check, and most of them are like that.
#[inline(always)]
fn is_plain_attribute(pair: &[u8]) -> bool {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = pair else { return false };
    let Some((key, [0x12, value_length @ 0..0x80, value @ ..])) =
        rest.split_at_checked(usize::from(*key_length))
    else {
        return false;
    };
    usize::from(*value_length) == value.len()
        && match value {
            // Around key and text there are only tags and lengths below 0x80.
            [0x0a, length @ 0..0x80, text @ ..] => usize::from(*length) == text.len() && is_short_ascii(pair),
            [0x10, 0..0x80] => is_short_ascii(key),
            [0x18, high @ .., 0..0x80] => {
                high.len() < 9 && high.iter().all(|byte| *byte >= 0x80) && is_short_ascii(key)
            }
            [0x21, double @ ..] => double.len() == 8 && is_short_ascii(key),
            _ => false,
        }
}

#[inline]
fn skip_varint(rest: &[u8]) -> Result<&[u8], WireError> {
    match rest {
        [0..0x80, rest @ ..] | [_, 0..0x80, rest @ ..] => Ok(rest),
        _ => {
            let mut rest = rest;
            read_varint(&mut rest)?;
            Ok(rest)
        }
    }
}

#[inline]
fn split_value(rest: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut rest = rest;
    let length = usize::try_from(read_varint(&mut rest)?).map_err(|_| WireError::Truncated)?;
    rest.split_at_checked(length).ok_or(WireError::Truncated)
}

fn check_packed(class: Class, mut packed: &[u8]) -> Result<(), WireError> {
    if class == Class::Fixed64 {
        return if packed.len().is_multiple_of(8) { Ok(()) } else { Err(WireError::Truncated) };
    }
    while !packed.is_empty() {
        packed = skip_varint(packed)?;
    }
    Ok(())
}

/// Most text is short and ASCII: there overlapping words decide.
#[inline]
fn is_utf8(text: &[u8]) -> bool {
    is_short_ascii(text) || simdutf8::basic::from_utf8(text).is_ok()
}

#[inline(always)]
fn is_short_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const WIDE: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(HIGH, |bytes| u64::from_ne_bytes(*bytes));
    let wide = |bytes: Option<&[u8; 16]>| bytes.map_or(WIDE, |bytes| u128::from_ne_bytes(*bytes));
    let high = match text.len() {
        0..4 => text.iter().fold(0, |high, byte| high | byte).into(),
        4..8 => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)).into(),
            _ => HIGH,
        },
        8..16 => word(text.first_chunk()) | word(text.last_chunk()),
        16..=128 => {
            let words = text.as_chunks().0.iter().fold(0, |high, bytes| high | wide(Some(bytes)));
            return (words | wide(text.last_chunk())) & WIDE == 0;
        }
        _ => HIGH,
    };
    high & HIGH == 0
}

#[cold]
fn wire(message: &'static Message, reason: WireError) -> Malformed {
    Malformed::Wire { message: message.name, reason }
}

#[cold]
fn id(message: &'static Message, rule: &Rule, number: u8, value: &[u8]) -> Malformed {
    Malformed::Id {
        message: message.name,
        field: message.field(number.into()).map_or("id", |field| field.json),
        length: value.len(),
        expected: rule.length.into(),
    }
}

#[cfg(test)]
mod tests;
