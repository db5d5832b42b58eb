//! OTLP/JSON to encoded OTLP, in one pass over the text.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    error::{JsonError, Problem},
    names,
    read::{Reader, Token},
};
use crate::{
    budget::{Charge, Exhausted},
    otlp::{
        check::DEPTH,
        schema::{self, Field, Message, Type},
        write::{Writer, varint},
    },
    signal::Signal,
};

type Result<T> = std::result::Result<T, Box<JsonError>>;

/// Encodes the OTLP/JSON of a root message (`{"resourceSpans":[…]}`), in canonical form.
///
/// As the specification demands: unknown keys are ignored, ids are hexadecimal in either case, 64-bit integers are
/// strings or numbers, and enums are integers. As the Collector does besides: snake_case keys and the names of
/// enums are taken too. `null` is as good as absent; in an array of messages it is an empty one. A key that
/// occurs twice in an object, or two types of one value, are refused, since decoders differ on which counts.
///
/// The result has at most four times the size of the text. It has yet to pass the [check](crate::otlp::check),
/// which repairs and counts text that is not UTF-8.
///
/// # Errors
/// [`JsonError`] if the text is no JSON or does not fit the schema.
pub fn decode(signal: Signal, json: &[u8]) -> std::result::Result<Vec<u8>, JsonError> {
    Decoder::new(json, None).root(signal).map_err(|error| *error)
}

/// Like [`decode`], charging the result in steps before it grows. What is charged in the end is its capacity.
///
/// # Errors
/// [`DecodeError`]; what was charged stays charged.
pub fn decode_charged(
    signal: Signal,
    json: &[u8],
    charge: &mut Charge,
) -> std::result::Result<Vec<u8>, DecodeError> {
    let before = charge.bytes();
    // A text with escapes is unescaped beside the result, and may be all there is.
    let unescaped = if memchr::memchr(b'\\', json).is_some() { json.len() as u64 } else { 0 };
    charge.grow(unescaped)?;
    let mut decoder = Decoder::new(json, Some(charge));
    let decoded = decoder.root(signal);
    let exhausted = decoder.exhausted;
    if let Ok(out) = &decoded {
        charge.shrink_to(before + out.capacity() as u64);
    }
    match (decoded, exhausted) {
        (Ok(out), _) => Ok(out),
        (Err(_), Some(exhausted)) => Err(DecodeError::Exhausted(exhausted)),
        (Err(error), None) => Err(DecodeError::Malformed(*error)),
    }
}

/// Why a text was not decoded under a budget.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not the OTLP/JSON of its signal; no retry will help.
    #[error(transparent)]
    Malformed(#[from] JsonError),
    /// There is no memory for the result.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// Room that is always left, so that the lengths of all messages that are open can be filled in.
const SLACK: usize = 8 * DEPTH;

struct Decoder<'a, 'c> {
    reader: Reader<'a>,
    out: Vec<u8>,
    expected: usize,
    charge: Option<&'c mut Charge>,
    /// Why there was no room.
    exhausted: Option<Exhausted>,
}

/// A number as protobuf writes it.
#[derive(Clone, Copy)]
enum Number {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
}

impl<'a, 'c> Decoder<'a, 'c> {
    fn new(json: &'a [u8], charge: Option<&'c mut Charge>) -> Self {
        let reader = Reader::new(json);
        Self { reader, out: Vec::new(), expected: json.len() / 2, charge, exhausted: None }
    }

    fn root(&mut self, signal: Signal) -> Result<Vec<u8>> {
        self.room(self.expected)?;
        match self.reader.value()? {
            Token::Object => self.object(schema::root(signal), DEPTH)?,
            other => return Err(self.unexpected("an object", &other)),
        }
        self.reader.end()?;
        Ok(std::mem::take(&mut self.out))
    }

    /// Makes sure that so many bytes can be written, a tag and a length besides.
    #[inline]
    fn room(&mut self, more: usize) -> Result<()> {
        let needed = self.out.len() + more + SLACK;
        if needed <= self.out.capacity() { Ok(()) } else { self.grow(needed) }
    }

    #[cold]
    fn grow(&mut self, needed: usize) -> Result<()> {
        let held = self.out.capacity();
        let room = needed.max(held + held / 2);
        if let Some(charge) = self.charge.as_deref_mut() {
            let before = charge.bytes();
            // Both buffers are held while one is copied to the other.
            if let Err(exhausted) = charge.grow(room as u64) {
                self.exhausted = Some(exhausted);
                return Err(self.reader.error(Problem::Memory));
            }
            self.out.reserve_exact(room - self.out.len());
            charge.shrink_to(before + (room - held) as u64);
        } else {
            self.out.reserve_exact(room - self.out.len());
        }
        Ok(())
    }

    /// The members of the object whose brace is read.
    fn object(&mut self, message: &'static Message, depth: usize) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.reader.error(Problem::Depth))?;
        let mut seen = 0u32;
        let mut chosen = false;
        let mut members_start = None;
        let mut next_place = 0;
        let mut first = true;
        while let Some(key) = self.reader.key(&mut first)? {
            let Some((place, field)) = find(message, &key, next_place) else {
                self.reader.skip()?;
                continue;
            };
            next_place = place + 1;
            let start = self.out.len();
            let value = self.reader.value().map_err(|error| error.in_field(field.json))?;
            if value == Token::Null {
                continue;
            }
            if seen & 1 << place != 0 {
                return Err(self.reader.error(Problem::Duplicate).in_field(field.json));
            }
            seen |= 1 << place;
            if field.one_of != 0 && std::mem::replace(&mut chosen, true) {
                return Err(self.reader.error(Problem::OneOf).in_field(field.json));
            }
            self.field(field, value, depth).map_err(|error| error.in_field(field.json))?;
            if field.rank > 0 {
                members_start.get_or_insert(start);
            } else if let (Type::Message(_), false, Some(members)) =
                (field.kind, field.repeated, &mut members_start)
            {
                // The resource or scope came after what it is for: put it in front.
                let length = self.out.len() - start;
                if let Some(group) = self.out.get_mut(*members..) {
                    group.rotate_right(length);
                }
                *members += length;
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, value: Token<'_>, depth: usize) -> Result<()> {
        if !field.repeated {
            return match field.kind {
                Type::Message(message) => self.message(field.number, message, &value, depth),
                _ => self.scalar(field, &value),
            };
        }
        if value != Token::Array {
            return Err(self.unexpected("an array", &value));
        }
        match field.kind {
            Type::Message(message) => self.elements(|decoder, value| {
                if value == Token::Null {
                    decoder.room(0)?;
                    decoder.writer().bytes(field.number, b"");
                    return Ok(());
                }
                decoder.message(field.number, message, &value, depth)
            }),
            Type::String | Type::Bytes | Type::Id(_) => {
                self.elements(|decoder, value| decoder.scalar(field, &value))
            }
            _ => self.packed(field),
        }
    }

    fn message(
        &mut self,
        number: u32,
        message: &'static Message,
        value: &Token<'_>,
        depth: usize,
    ) -> Result<()> {
        if *value != Token::Object {
            return Err(self.unexpected("an object", value));
        }
        self.room(0)?;
        let mark = self.writer().begin(number);
        self.object(message, depth)?;
        self.writer().end(mark);
        Ok(())
    }

    /// Shows each element of the array whose bracket is read to `each`.
    fn elements(&mut self, mut each: impl FnMut(&mut Self, Token<'_>) -> Result<()>) -> Result<()> {
        let mut first = true;
        let mut index = 0;
        while self.reader.element(&mut first)? {
            let value = self.reader.value();
            value.and_then(|value| each(self, value)).map_err(|error| error.at_index(index))?;
            index += 1;
        }
        Ok(())
    }

    /// Numbers in one field; none if the array is empty.
    fn packed(&mut self, field: &'static Field) -> Result<()> {
        self.room(0)?;
        let before = self.out.len();
        let mark = self.writer().begin(field.number);
        let start = self.out.len();
        self.elements(|decoder, value| {
            decoder.room(0)?;
            match decoder.number(field, &value)? {
                Number::Varint(number) => varint(&mut decoder.out, number),
                Number::Fixed64(number) => decoder.out.extend_from_slice(&number.to_le_bytes()),
                Number::Fixed32(number) => decoder.out.extend_from_slice(&number.to_le_bytes()),
            }
            Ok(())
        })?;
        if self.out.len() == start {
            self.out.truncate(before);
        } else {
            self.writer().end(mark);
        }
        Ok(())
    }

    fn scalar(&mut self, field: &'static Field, value: &Token<'_>) -> Result<()> {
        let keep_default = field.explicit || field.repeated;
        let text = match (field.kind, value) {
            (Type::String | Type::Bytes | Type::Id(_), Token::String(text)) => text,
            (Type::String | Type::Bytes | Type::Id(_), other) => {
                return Err(self.unexpected("a string", other));
            }
            _ => {
                self.room(0)?;
                match self.number(field, value)? {
                    Number::Varint(0) | Number::Fixed64(0) | Number::Fixed32(0) if !keep_default => {}
                    Number::Varint(number) => self.writer().varint(field.number, number),
                    Number::Fixed64(number) => self.writer().fixed64(field.number, number),
                    Number::Fixed32(number) => self.writer().fixed32(field.number, number),
                }
                return Ok(());
            }
        };
        if text.is_empty() && !keep_default {
            return Ok(());
        }
        self.room(text.len())?;
        match field.kind {
            Type::Id(length) => self.id(field.number, length, text),
            Type::Bytes => {
                let bytes = from_base64(text).ok_or_else(|| self.reader.error(Problem::Base64))?;
                self.writer().bytes(field.number, &bytes);
                Ok(())
            }
            _ => {
                self.writer().bytes(field.number, text);
                Ok(())
            }
        }
    }

    fn id(&mut self, number: u32, length: usize, text: &[u8]) -> Result<()> {
        if text.len() != length * 2 {
            return Err(self.reader.error(Problem::IdLength { expected: length * 2, found: text.len() }));
        }
        let mark = self.writer().begin(number);
        let (pairs, _) = text.as_chunks::<2>();
        for pair in pairs {
            let [Some(high), Some(low)] = pair.map(hexadecimal_digit) else {
                return Err(self.reader.error(Problem::Hexadecimal));
            };
            self.out.push(high << 4 | low);
        }
        self.writer().end(mark);
        Ok(())
    }

    #[expect(clippy::cast_sign_loss, reason = "varints hold the bits of signed numbers")]
    fn number(&self, field: &Field, value: &Token<'_>) -> Result<Number> {
        Ok(match field.kind {
            Type::Bool => match value {
                Token::Bool(value) => Number::Varint(u64::from(*value)),
                other => return Err(self.unexpected("true or false", other)),
            },
            Type::Double => Number::Fixed64(self.double(value)?.to_bits()),
            Type::Uint64 => Number::Varint(self.integer(value, UINT64, unsigned)?),
            Type::Fixed64 => Number::Fixed64(self.integer(value, UINT64, unsigned)?),
            Type::Int64 => Number::Varint(self.integer(value, INT64, signed)? as u64),
            Type::Sfixed64 => Number::Fixed64(self.integer(value, INT64, signed)? as u64),
            Type::Uint32 => Number::Varint(u64::from(self.integer(value, UINT32, unsigned_32)?)),
            Type::Fixed32 => Number::Fixed32(self.integer(value, UINT32, unsigned_32)?),
            Type::Enum => Number::Varint(self.enumeration(field, value)? as u64),
            Type::Sint32 => {
                let number = self.integer(value, INT32, signed_32)?;
                Number::Varint(u64::from((number << 1 ^ number >> 31) as u32))
            }
            _ => Number::Varint(i64::from(self.integer(value, INT32, signed_32)?) as u64),
        })
    }

    fn integer<T>(
        &self,
        value: &Token<'_>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        let parsed = match value {
            Token::Number(text) => parse(text),
            Token::String(text) => std::str::from_utf8(text).ok().and_then(parse),
            other => return Err(self.unexpected(expected, other)),
        };
        parsed.ok_or_else(|| self.reader.error(Problem::Range { expected }))
    }

    fn enumeration(&self, field: &Field, value: &Token<'_>) -> Result<i64> {
        if let Token::String(name) = value {
            let number = std::str::from_utf8(name).ok().and_then(|name| names::number(field.json, name));
            return number.ok_or_else(|| self.reader.error(Problem::EnumName));
        }
        self.integer(value, INT32, signed_32).map(i64::from)
    }

    fn double(&self, value: &Token<'_>) -> Result<f64> {
        let text = match value {
            Token::Number(text) => text,
            Token::String(text) => match text.as_ref() {
                b"NaN" => return Ok(f64::NAN),
                b"Infinity" => return Ok(f64::INFINITY),
                b"-Infinity" => return Ok(f64::NEG_INFINITY),
                text => std::str::from_utf8(text).unwrap_or_default(),
            },
            other => return Err(self.unexpected(DOUBLE, other)),
        };
        let parsed = text.parse().ok().filter(|number: &f64| number.is_finite());
        parsed.ok_or_else(|| self.reader.error(Problem::Range { expected: DOUBLE }))
    }

    #[cold]
    fn unexpected(&self, expected: &'static str, found: &Token<'_>) -> Box<JsonError> {
        self.reader.error(Problem::Type { expected, found: found.description() })
    }

    #[inline]
    fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.out)
    }
}

const UINT64: &str = "an unsigned 64-bit integer";
const INT64: &str = "a 64-bit integer";
const UINT32: &str = "an unsigned 32-bit integer";
const INT32: &str = "a 32-bit integer";
const DOUBLE: &str = "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";

/// The field with this key; most often the one at `expected`, since writers keep to the order of the schema.
#[inline]
fn find(message: &'static Message, key: &[u8], expected: usize) -> Option<(usize, &'static Field)> {
    if let Some(field) = message.fields.get(expected).filter(|field| field.json.as_bytes() == key) {
        return Some((expected, field));
    }
    let named =
        |name: &[u8]| message.fields.iter().enumerate().find(|(_, field)| field.json.as_bytes() == name);
    named(key).or_else(|| key.contains(&b'_').then(|| camel_case(key)).and_then(|name| named(&name)))
}

fn camel_case(snake_case: &[u8]) -> Vec<u8> {
    let mut after_underscore = false;
    let mut name = Vec::with_capacity(snake_case.len());
    for &byte in snake_case {
        match byte {
            b'_' => after_underscore = true,
            _ if std::mem::replace(&mut after_underscore, false) => name.push(byte.to_ascii_uppercase()),
            _ => name.push(byte),
        }
    }
    name
}

fn unsigned(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .or_else(|| integral(text, 0.0..18_446_744_073_709_551_616.0).map(|number| number as u64))
}

fn signed(text: &str) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    text.parse().ok().or_else(|| integral(text, -LIMIT..LIMIT).map(|number| number as i64))
}

fn unsigned_32(text: &str) -> Option<u32> {
    unsigned(text).and_then(|number| number.try_into().ok())
}

fn signed_32(text: &str) -> Option<i32> {
    signed(text).and_then(|number| number.try_into().ok())
}

/// An integer written with a fraction of zero or an exponent.
fn integral(text: &str, range: std::ops::Range<f64>) -> Option<f64> {
    let number: f64 = text.contains(['.', 'e', 'E']).then(|| text.parse().ok())??;
    (number.fract() == 0.0 && range.contains(&number)).then_some(number)
}

const fn hexadecimal_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Either alphabet, padded or not.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let is_url_safe = text.contains(&b'-') || text.contains(&b'_');
    if is_url_safe { URL_SAFE.decode(text) } else { STANDARD.decode(text) }.ok()
}

#[cfg(test)]
mod tests;
