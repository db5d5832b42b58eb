//! Thrift's binary protocol, as much as reading foreign messages needs. Source: Apache Thrift, "Thrift Binary protocol
//! encoding".
//!
//! Nothing is allocated here: a length or count that a message declares is believed as far as its bytes go.

/// How deep values may nest where they are only skipped.
pub const MAX_DEPTH: usize = 32;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Thrift's own")]
pub enum Type {
    Bool = 2,
    Byte = 3,
    Double = 4,
    I16 = 6,
    I32 = 8,
    I64 = 10,
    String = 11,
    Struct = 12,
    Map = 13,
    Set = 14,
    List = 15,
}

/// Bytes that are no message in Thrift's binary protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThriftError {
    /// The bytes end inside a value.
    #[error("the message ends inside a value")]
    Truncated,
    /// A length or count below zero.
    #[error("a length or count is negative")]
    Negative,
    /// A type that Thrift does not have, or a list of other things than it should hold.
    #[error("a value has an impossible type")]
    Type,
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("values nest too deep")]
    Depth,
    /// More bytes than the message has.
    #[error("bytes follow the end of the message")]
    Trailing,
}

/// Reads values one after the other, front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads this message.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The number and type of a struct's next field, whose value comes next; `None` at the end of the struct.
    ///
    /// # Errors
    /// Truncated, or a type that Thrift does not have.
    pub fn field(&mut self) -> Result<Option<(i16, Type)>, ThriftError> {
        let [kind] = self.array()?;
        if kind == 0 {
            return Ok(None);
        }
        let kind = Type::of(kind)?;
        Ok(Some((self.i16()?, kind)))
    }

    /// How many elements the list has that comes next, each at least a byte long.
    ///
    /// # Errors
    /// A count that cannot be, or elements of another type than `wanted`. An empty list may be of any.
    pub fn list(&mut self, wanted: Type) -> Result<usize, ThriftError> {
        let [kind] = self.array()?;
        let count = self.count()?;
        if count > 0 && Type::of(kind)? != wanted { Err(ThriftError::Type) } else { Ok(count) }
    }

    /// A string of any bytes.
    ///
    /// # Errors
    /// A length that cannot be.
    pub fn bytes(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = self.count()?;
        self.take(length)
    }

    /// A truth value.
    ///
    /// # Errors
    /// Truncated.
    pub fn boolean(&mut self) -> Result<bool, ThriftError> {
        self.array().map(|[byte]| byte == 1)
    }

    /// An integer of 16 bits.
    ///
    /// # Errors
    /// Truncated.
    pub fn i16(&mut self) -> Result<i16, ThriftError> {
        self.array().map(i16::from_be_bytes)
    }

    /// An integer of 32 bits.
    ///
    /// # Errors
    /// Truncated.
    pub fn i32(&mut self) -> Result<i32, ThriftError> {
        self.array().map(i32::from_be_bytes)
    }

    /// An integer of 64 bits.
    ///
    /// # Errors
    /// Truncated.
    pub fn i64(&mut self) -> Result<i64, ThriftError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Skips a value of this type.
    ///
    /// # Errors
    /// Malformed bytes, or nesting beyond [`MAX_DEPTH`].
    pub fn skip(&mut self, kind: Type) -> Result<(), ThriftError> {
        self.skip_within(kind, MAX_DEPTH)
    }

    /// Succeeds if nothing is left.
    ///
    /// # Errors
    /// Something is.
    pub const fn end(&self) -> Result<(), ThriftError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ThriftError::Trailing) }
    }

    fn skip_within(&mut self, kind: Type, depth: usize) -> Result<(), ThriftError> {
        let inner = depth.checked_sub(1).ok_or(ThriftError::Depth)?;
        match kind {
            Type::Bool | Type::Byte => self.take(1).map(drop),
            Type::I16 => self.take(2).map(drop),
            Type::I32 => self.take(4).map(drop),
            Type::I64 | Type::Double => self.take(8).map(drop),
            Type::String => self.bytes().map(drop),
            Type::Struct => {
                while let Some((_, kind)) = self.field()? {
                    self.skip_within(kind, inner)?;
                }
                Ok(())
            }
            Type::Map => {
                let [key, value] = self.array()?;
                self.skip_elements(&[key, value], inner)
            }
            Type::Set | Type::List => {
                let [element] = self.array()?;
                self.skip_elements(&[element], inner)
            }
        }
    }

    /// Skips a count, and so many times a value of each of these types.
    fn skip_elements(&mut self, kinds: &[u8], depth: usize) -> Result<(), ThriftError> {
        for _ in 0..self.count()? {
            for kind in kinds {
                self.skip_within(Type::of(*kind)?, depth)?;
            }
        }
        Ok(())
    }

    /// A length or count. What it counts takes a byte each at least, so that one beyond the bytes left is wrong.
    fn count(&mut self) -> Result<usize, ThriftError> {
        let count = usize::try_from(self.i32()?).map_err(|_| ThriftError::Negative)?;
        if count > self.rest.len() { Err(ThriftError::Truncated) } else { Ok(count) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let (array, tail) = self.rest.split_first_chunk().ok_or(ThriftError::Truncated)?;
        self.rest = tail;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ThriftError> {
        let (bytes, tail) = self.rest.split_at_checked(length).ok_or(ThriftError::Truncated)?;
        self.rest = tail;
        Ok(bytes)
    }
}

impl Type {
    fn of(byte: u8) -> Result<Self, ThriftError> {
        Ok(match byte {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::String,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            _ => return Err(ThriftError::Type),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skip(kind: Type, message: &[u8]) -> Result<(), ThriftError> {
        let mut reader = Reader::new(message);
        reader.skip(kind)?;
        reader.end()
    }

    #[test]
    fn every_kind_of_value_is_skipped() {
        for (kind, message) in [
            (Type::Bool, &[1][..]),
            (Type::Byte, &[1]),
            (Type::I16, &[0; 2]),
            (Type::I32, &[0; 4]),
            (Type::I64, &[0; 8]),
            (Type::Double, &[0; 8]),
            (Type::String, &[0, 0, 0, 2, b'h', b'i']),
            (Type::List, &[8, 0, 0, 0, 1, 0, 0, 0, 9]),
            (Type::List, &[0, 0, 0, 0, 0]),
            (Type::Set, &[2, 0, 0, 0, 2, 0, 1]),
            (Type::Map, &[3, 6, 0, 0, 0, 2, 1, 0, 1, 2, 0, 2]),
            (Type::Struct, &[2, 0, 1, 1, 12, 0, 2, 0, 0]),
        ] {
            assert_eq!(skip(kind, message), Ok(()), "{kind:?}");
            let shorter = &message[..message.len() - 1];
            assert_eq!(skip(kind, shorter), Err(ThriftError::Truncated), "{kind:?} cut short");
        }
    }

    #[test]
    fn impossible_lengths_and_types_are_refused() {
        assert_eq!(skip(Type::String, &[0xff, 0xff, 0xff, 0xff]), Err(ThriftError::Negative));
        assert_eq!(skip(Type::String, &[0x7f, 0xff, 0xff, 0xff, 0]), Err(ThriftError::Truncated));
        assert_eq!(skip(Type::List, &[2, 0x7f, 0xff, 0xff, 0xff, 0]), Err(ThriftError::Truncated));
        assert_eq!(skip(Type::List, &[1, 0, 0, 0, 1, 0]), Err(ThriftError::Type));
        assert_eq!(skip(Type::Struct, &[5, 0, 1, 0]), Err(ThriftError::Type));
        assert_eq!(skip(Type::Bool, &[1, 1]), Err(ThriftError::Trailing));
        assert_eq!(Reader::new(&[2, 0, 0, 0, 1, 0]).list(Type::Struct), Err(ThriftError::Type));
        assert_eq!(Reader::new(&[0, 0, 0, 0, 0]).list(Type::Struct), Ok(0));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [&[12, 0, 1].repeat(depth - 1)[..], &vec![0; depth]].concat();
        assert_eq!(skip(Type::Struct, &nested(MAX_DEPTH)), Ok(()));
        assert_eq!(skip(Type::Struct, &nested(MAX_DEPTH + 1)), Err(ThriftError::Depth));
        let lists = [15, 0, 0, 0, 1].repeat(100_000);
        assert_eq!(skip(Type::List, &lists), Err(ThriftError::Depth));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = skip(Type::Struct, &bytes);
            _ = skip(Type::Map, &bytes);
        }
    }
}
