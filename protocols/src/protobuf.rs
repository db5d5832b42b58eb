//! The protobuf wire format, as much as the foreign protocols need. Source: protobuf "Encoding".
//!
//! Apart from the pipeline's own reader because this crate stands alone; it refuses groups, which no protocol here has.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, enum or bool.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A string, bytes or message.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The bytes end inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("a number is longer than ten bytes")]
    Varint,
    /// Field number 0, or a group or unknown wire type.
    #[error("a field has an impossible tag")]
    Tag,
}

/// Iterates over field numbers and values. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of this encoded message.
    #[must_use]
    pub const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Result<(u32, Value<'a>), ProtobufError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(ProtobufError::Tag)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| ProtobufError::Truncated)?;
                let (bytes, tail) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
                self.rest = tail;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(ProtobufError::Tag),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (byte, tail) = self.rest.split_first().ok_or(ProtobufError::Truncated)?;
            self.rest = tail;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Varint)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let (array, tail) = self.rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
        self.rest = tail;
        Ok(*array)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
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

/// Appends a varint field.
pub fn write_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number) << 3);
    varint(out, value);
}

/// Appends a `fixed64` field.
pub fn write_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `double` field.
pub fn write_double(out: &mut Vec<u8>, number: u32, value: f64) {
    write_fixed64(out, number, value.to_bits());
}

/// Appends a `bytes` or `string` field.
pub fn write_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a nested message, which `fill` writes.
pub fn write_message<T>(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    varint(out, u64::from(number) << 3 | 2);
    let start = out.len();
    let result = fill(out);
    let length = out.len() - start;
    varint(out, length as u64);
    // The length now stands behind the content; turn the two around.
    let width = out.len() - start - length;
    if let Some(content) = out.get_mut(start..) {
        content.rotate_right(width);
    }
    result
}

/// Appends a varint without a tag, as packed fields have them.
pub fn write_raw_varint(out: &mut Vec<u8>, value: u64) {
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for size in [0, 127, 128, 20_000] {
            let content = vec![7u8; size];
            let mut out = Vec::new();
            write_message(&mut out, 3, |inner| write_bytes(inner, 1, &content));
            write_varint(&mut out, 4, u64::MAX);
            write_fixed64(&mut out, 5, 9);
            let fields: Vec<_> = Fields::of(&out).collect::<Result<_, _>>().unwrap();
            let Value::Bytes(inner) = fields[0].1 else { panic!("field 3 is a message") };
            assert_eq!(Fields::of(inner).next(), Some(Ok((1, Value::Bytes(&content)))));
            assert_eq!(&fields[1..], &[(4, Value::Varint(u64::MAX)), (5, Value::Fixed64(9))]);
        }
    }

    #[test]
    fn groups_and_endless_numbers_are_refused() {
        assert_eq!(Fields::of(&[0x2b, 0x2c]).next(), Some(Err(ProtobufError::Tag)));
        assert_eq!(Fields::of(&[0xff; 11]).next(), Some(Err(ProtobufError::Varint)));
        assert_eq!(Fields::of(&[0x0a, 0x05, 0x01]).next(), Some(Err(ProtobufError::Truncated)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}
