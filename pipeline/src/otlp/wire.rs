//! The protobuf wire format over borrowed bytes: varints, tags, fields.
//!
//! Source: protobuf "Encoding". Nothing here allocates, and nothing panics on any input.

/// How the value of a field is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// A base-128 integer of at most ten bytes.
    Varint,
    /// Eight bytes, little-endian.
    Fixed64,
    /// A varint length and that many bytes.
    Length,
    /// The start of a group, which OTLP does not use but protobuf allows among unknown fields.
    GroupStart,
    /// The end of a group.
    GroupEnd,
    /// Four bytes, little-endian.
    Fixed32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The field number, 1 to 2^29 - 1.
    pub number: u32,
    /// The value.
    pub value: Value<'a>,
    /// Tag and value as they stand, for copying through.
    pub raw: &'a [u8],
}

/// The value of a field as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Of [`WireType::Varint`].
    Varint(u64),
    /// Of [`WireType::Fixed64`].
    Fixed64(u64),
    /// Of [`WireType::Length`].
    Bytes(&'a [u8]),
    /// Of [`WireType::Fixed32`].
    Fixed32(u32),
    /// A group, skipped: its bytes without the surrounding tags.
    Group(&'a [u8]),
}

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than ten bytes or 64 bits.
    #[error("a number is longer than 64 bits")]
    Varint,
    /// A tag with field number 0 or beyond 2^29 - 1, or wire type 6 or 7.
    #[error("a field has an impossible tag")]
    Tag,
    /// A group that does not end, or ends without a start, or nests too deep.
    #[error("a group is not closed")]
    Group,
}

/// How deep groups among unknown fields may nest.
const GROUP_DEPTH: usize = 32;

/// Iterates over the fields of a message. Ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of this encoded message.
    #[inline]
    #[must_use]
    pub const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The bytes not yet read.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(never)]
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.rest;
        let (number, wire_type) = read_tag(&mut self.rest)?;
        let value = read_value(&mut self.rest, number, wire_type, GROUP_DEPTH)?;
        let raw = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        Ok(Field { number, value, raw })
    }

    /// Fields with short tags, lengths and numbers, which nearly all are: inlined, they cost half.
    #[inline]
    fn read_short(&mut self) -> Option<Field<'a>> {
        let start = self.rest;
        let (tag, tail) = match *start {
            [tag @ 8..0x80, ref tail @ ..] => (tag, tail),
            // Numbers from 16 to 31 end in a second byte, which is 1; the first then reads like a short tag.
            [tag @ 0x80..=0xff, 1, ref tail @ ..] => (tag, tail),
            _ => return None,
        };
        let (value, rest) = match (tag & 7, tail) {
            (2, [length @ 0..0x80, tail @ ..]) => {
                let (bytes, rest) = tail.split_at_checked(usize::from(*length))?;
                (Value::Bytes(bytes), rest)
            }
            (2, [low, high @ 0..0x80, tail @ ..]) => {
                let length = usize::from(low & 0x7f) | usize::from(*high) << 7;
                let (bytes, rest) = tail.split_at_checked(length)?;
                (Value::Bytes(bytes), rest)
            }
            (0, [number @ 0..0x80, rest @ ..]) => (Value::Varint(u64::from(*number)), rest),
            (1, tail) => {
                let (bytes, rest) = tail.split_first_chunk()?;
                (Value::Fixed64(u64::from_le_bytes(*bytes)), rest)
            }
            (5, tail) => {
                let (bytes, rest) = tail.split_first_chunk()?;
                (Value::Fixed32(u32::from_le_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        let raw = start.get(..start.len() - rest.len()).unwrap_or_default();
        Some(Field { number: u32::from(tag >> 3), value, raw })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(field) = self.read_short() {
            return Some(Ok(field));
        }
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Value<'a> {
    /// The number of a varint or fixed value; 0 for others, which a checked message never has here.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => value,
            Self::Fixed32(value) => value as u64,
            Self::Bytes(_) | Self::Group(_) => 0,
        }
    }

    /// The bytes of a length-delimited value; empty for others, which a checked message never has here.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(value) => value,
            _ => &[],
        }
    }

    /// The double of a fixed 64-bit value.
    #[inline]
    #[must_use]
    pub fn double(self) -> f64 {
        f64::from_bits(self.number())
    }

    /// The signed 64-bit integer of a varint or fixed value.
    #[inline]
    #[must_use]
    pub const fn signed(self) -> i64 {
        self.number().cast_signed()
    }

    /// The integer of a zigzag-encoded (`sint32`, `sint64`) varint.
    #[inline]
    #[must_use]
    pub const fn zigzag(self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
    }
}

/// Reads a tag: field number and wire type.
///
/// # Errors
/// [`WireError`] if there is none.
#[inline]
pub fn read_tag(rest: &mut &[u8]) -> Result<(u32, WireType), WireError> {
    let tag = read_varint(rest)?;
    let wire_type = match tag & 7 {
        0 => WireType::Varint,
        1 => WireType::Fixed64,
        2 => WireType::Length,
        3 => WireType::GroupStart,
        4 => WireType::GroupEnd,
        5 => WireType::Fixed32,
        _ => return Err(WireError::Tag),
    };
    match u32::try_from(tag >> 3) {
        Ok(number) if number != 0 && number < 1 << 29 => Ok((number, wire_type)),
        _ => Err(WireError::Tag),
    }
}

/// Reads a varint.
///
/// # Errors
/// [`WireError::Truncated`] or [`WireError::Varint`].
#[inline]
pub fn read_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    match *rest {
        [first, tail @ ..] if *first < 0x80 => {
            *rest = tail;
            Ok(u64::from(*first))
        }
        [first, second, tail @ ..] if *second < 0x80 => {
            *rest = tail;
            Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
        }
        _ => read_long_varint(rest),
    }
}

fn read_long_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0u64;
    for (index, byte) in rest.iter().enumerate() {
        if index == 10 {
            return Err(WireError::Varint);
        }
        // Decoders differ on what a tenth byte beyond one bit means: some drop it, some refuse.
        if index == 9 && *byte > 1 {
            return Err(WireError::Varint);
        }
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * u32::try_from(index).unwrap_or(0));
        if *byte < 0x80 {
            *rest = rest.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if rest.len() >= 10 { WireError::Varint } else { WireError::Truncated })
}

/// Reads `length` bytes.
///
/// # Errors
/// [`WireError::Truncated`] if there are fewer.
#[inline]
pub fn read_bytes<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(WireError::Truncated)?;
    *rest = tail;
    Ok(bytes)
}

#[inline]
fn read_value<'a>(
    rest: &mut &'a [u8],
    number: u32,
    wire_type: WireType,
    group_depth: usize,
) -> Result<Value<'a>, WireError> {
    Ok(match wire_type {
        WireType::Varint => Value::Varint(read_varint(rest)?),
        WireType::Fixed64 => {
            let (bytes, tail) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
            *rest = tail;
            Value::Fixed64(u64::from_le_bytes(*bytes))
        }
        WireType::Length => {
            let length = read_varint(rest)?;
            Value::Bytes(read_bytes(rest, length)?)
        }
        WireType::Fixed32 => {
            let (bytes, tail) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
            *rest = tail;
            Value::Fixed32(u32::from_le_bytes(*bytes))
        }
        WireType::GroupStart => Value::Group(read_group(rest, number, group_depth)?),
        WireType::GroupEnd => return Err(WireError::Group),
    })
}

#[cold]
fn read_group<'a>(rest: &mut &'a [u8], number: u32, depth: usize) -> Result<&'a [u8], WireError> {
    let depth = depth.checked_sub(1).ok_or(WireError::Group)?;
    let start = *rest;
    loop {
        let before = *rest;
        let (inner, wire_type) = read_tag(rest)?;
        if wire_type == WireType::GroupEnd {
            if inner != number {
                return Err(WireError::Group);
            }
            return Ok(start.get(..start.len() - before.len()).unwrap_or_default());
        }
        read_value(rest, inner, wire_type, depth)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_is_skipped_whole() {
        // field 5: group { 1: varint 7 }, then field 1: varint 1.
        let bytes = [0x2b, 0x08, 0x07, 0x2c, 0x08, 0x01];
        let fields: Vec<_> = Fields::of(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(fields[0].number, 5);
        assert_eq!(fields[0].raw, &bytes[..4]);
        assert_eq!(fields[1].value, Value::Varint(1));
    }

    #[test]
    fn a_varint_of_eleven_bytes_is_refused() {
        let mut bytes: &[u8] = &[0xff; 11];
        assert_eq!(read_varint(&mut bytes), Err(WireError::Varint));
        let mut bytes: &[u8] = &[0xff, 0xff];
        assert_eq!(read_varint(&mut bytes), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: usize = Fields::of(&bytes).flatten().map(|field| field.raw.len()).sum();
            prop_assert!(read <= bytes.len());
        }

        #[test]
        fn the_short_way_reads_what_the_long_way_reads(
            first: u8,
            second in prop_oneof![Just(1u8), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let bytes = [&[first, second], rest.as_slice()].concat();
            let mut fields = Fields::of(&bytes);
            if let Some(field) = fields.read_short() {
                let mut again = Fields::of(&bytes);
                prop_assert_eq!(again.read(), Ok(field));
                prop_assert_eq!(again.rest(), fields.rest());
            }
        }

        #[test]
        fn varints_read_back(number in any::<u64>()) {
            let mut bytes = Vec::new();
            crate::otlp::write::varint(&mut bytes, number);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_varint(&mut rest), Ok(number));
            prop_assert!(rest.is_empty());
        }
    }
}
