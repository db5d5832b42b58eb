//! Writes protobuf messages front to back, in minimal form.
//!
//! Fields at their default are the caller's to leave out: protobuf 3 does not tell them from absent ones.

/// Writes the fields of a message into a buffer.
///
/// A nested message is written by [`Writer::message`]: its length is filled in once it is known. Short messages
/// (under 128 bytes) cost nothing for that, longer ones one move of their own bytes.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to this buffer.
    #[inline]
    pub fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer }
    }

    /// A varint field: `uint32`, `uint64`, `bool`, enums.
    #[inline]
    pub fn varint(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        varint(self.buffer, value);
    }

    /// A varint field of type `int32` or `int64`.
    #[inline]
    pub fn int(&mut self, number: u32, value: i64) {
        self.varint(number, value.cast_unsigned());
    }

    /// A zigzag field of type `sint32` or `sint64`.
    #[inline]
    pub fn zigzag(&mut self, number: u32, value: i64) {
        self.varint(number, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// A `fixed64` or `sfixed64` field.
    #[inline]
    pub fn fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    /// A `double` field.
    #[inline]
    pub fn double(&mut self, number: u32, value: f64) {
        self.fixed64(number, value.to_bits());
    }

    /// A `fixed32` field.
    #[inline]
    pub fn fixed32(&mut self, number: u32, value: u32) {
        self.tag(number, 5);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    /// A `bytes` or `string` field.
    #[inline]
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, 2);
        varint(self.buffer, value.len() as u64);
        self.buffer.extend_from_slice(value);
    }

    /// A nested message, written by `fill`.
    #[inline]
    pub fn message<T>(&mut self, number: u32, fill: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        self.tag(number, 2);
        let start = self.open();
        let result = fill(self);
        self.close(start);
        result
    }

    /// The same of a message that is expected to have from 128 to 16,383 bytes, which is not moved then.
    #[inline]
    pub fn long_message<T>(&mut self, number: u32, fill: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        self.tag(number, 2);
        self.buffer.extend_from_slice(&[0; 2]);
        let start = self.buffer.len();
        let result = fill(self);
        let length = self.buffer.len() - start;
        match (length, self.buffer.get_mut(start - 2..start)) {
            (0x80..0x4000, Some([first, second])) => {
                #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
                let low = (length & 0x7f) as u8;
                *first = low | 0x80;
                *second = u8::try_from(length >> 7).unwrap_or_default();
            }
            _ => {
                // As if there had been room for one byte.
                self.buffer.copy_within(start.., start - 1);
                self.buffer.truncate(start - 1 + length);
                self.close(start - 1);
            }
        }
        result
    }

    /// Tag and length of a nested message whose fields are written next.
    #[inline]
    pub fn header(&mut self, number: u32, length: usize) {
        self.tag(number, 2);
        varint(self.buffer, length as u64);
    }

    /// Tags and values exactly as they stood elsewhere ([`super::wire::Field::raw`]).
    #[inline]
    pub fn raw(&mut self, fields: &[u8]) {
        self.buffer.extend_from_slice(fields);
    }

    /// Starts a nested message whose end is not in the same scope; [`Writer::end`] takes the returned mark.
    #[inline]
    pub fn begin(&mut self, number: u32) -> Mark {
        self.tag(number, 2);
        Mark(self.open())
    }

    /// Ends the nested message begun with this mark. Marks end in reverse order.
    #[inline]
    pub fn end(&mut self, mark: Mark) {
        self.close(mark.0);
    }

    /// Takes back everything since the message of this mark began, except its tag and length byte.
    pub fn truncate_to(&mut self, mark: &Mark) {
        self.buffer.truncate(mark.0);
    }

    /// Bytes written so far, with what the buffer held before.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    #[inline]
    fn open(&mut self) -> usize {
        self.buffer.push(0);
        self.buffer.len()
    }

    #[inline]
    fn close(&mut self, start: usize) {
        let length = self.buffer.len() - start;
        if let (Ok(short @ 0..0x80), Some(byte)) = (u8::try_from(length), self.buffer.get_mut(start - 1)) {
            *byte = short;
            return;
        }
        let more = varint_length(length as u64) - 1;
        let end = self.buffer.len();
        self.buffer.resize(end + more, 0);
        self.buffer.copy_within(start..end, start + more);
        let mut rest = length;
        for index in 0..=more {
            #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            self.buffer[start - 1 + index] = if index == more { low } else { low | 0x80 };
        }
    }

    #[inline]
    fn tag(&mut self, number: u32, wire_type: u8) {
        varint(self.buffer, u64::from(number) << 3 | u64::from(wire_type));
    }
}

/// Where a nested message begins.
#[derive(Debug)]
#[must_use = "a message begun must be ended"]
pub struct Mark(usize);

/// Appends a varint.
#[inline]
pub fn varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    buffer.push(value as u8);
}

/// How many bytes a varint takes.
#[inline]
#[must_use]
pub const fn varint_length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::{Fields, Value};

    #[test]
    fn lengths_of_every_size_are_filled_in() {
        for size in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let content = vec![7u8; size];
            let mut buffer = Vec::new();
            Writer::new(&mut buffer).message(3, |inner| inner.message(1, |deep| deep.raw(&content)));
            let outer = Fields::of(&buffer).next().unwrap().unwrap();
            assert_eq!(outer.raw.len(), buffer.len());
            let inner = Fields::of(outer.value.bytes()).next().unwrap().unwrap();
            assert_eq!(inner.value, Value::Bytes(&content));
        }
    }

    #[test]
    fn long_messages_are_written_as_all_are() {
        for size in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let content = vec![7u8; size];
            let (mut one, mut other) = (vec![1], vec![1]);
            Writer::new(&mut one).message(3, |inner| inner.raw(&content));
            Writer::new(&mut other).long_message(3, |inner| inner.raw(&content));
            assert!(one == other, "{size} bytes");
        }
    }

    #[test]
    fn varint_lengths_match_what_is_written() {
        for value in [0, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut buffer = Vec::new();
            varint(&mut buffer, value);
            assert_eq!(buffer.len(), varint_length(value));
        }
    }

    #[test]
    fn zigzag_and_signed_read_back() {
        for value in [0, 1, -1, i64::MIN, i64::MAX] {
            let mut buffer = Vec::new();
            let mut writer = Writer::new(&mut buffer);
            writer.zigzag(1, value);
            writer.int(2, value);
            let fields: Vec<_> = Fields::of(&buffer).flatten().collect();
            assert_eq!(fields[0].value.zigzag(), value);
            assert_eq!(fields[1].value.signed(), value);
        }
    }
}
