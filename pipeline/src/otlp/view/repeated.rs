//! Iterators over repeated fields.

use std::{fmt, marker::PhantomData};

use super::View;
use crate::otlp::wire::{Fields, Value, read_varint};

/// The occurrences of a repeated field of messages, text or bytes, in order.
///
/// Knows where the first is and how many there are, so that the fields around them are not walked again.
pub struct Repeated<'a, T> {
    fields: Fields<'a>,
    number: u32,
    left: usize,
    view: PhantomData<fn() -> T>,
}

impl<'a, T> Repeated<'a, T> {
    /// All occurrences of the field with this number in a message.
    #[inline]
    #[must_use]
    pub fn all(message: &'a [u8], number: u32) -> Self {
        Self { fields: Fields::of(message), number, left: usize::MAX, view: PhantomData }
    }

    /// Whether there is none, known without walking only for lists that a view found.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Counts an occurrence; `from` begins with it.
    #[inline]
    pub(super) fn note(&mut self, number: u32, from: &'a [u8]) {
        if self.left == 0 {
            self.fields = Fields::of(from);
            self.number = number;
        }
        self.left += 1;
    }
}

impl<'a, T: View<'a>> Iterator for Repeated<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.left == 0 {
            return None;
        }
        while let Some(Ok(field)) = self.fields.next() {
            if field.number == self.number
                && let Value::Bytes(message) = field.value
            {
                self.left -= 1;
                return Some(T::of(message));
            }
        }
        self.left = 0;
        None
    }
}

/// How the numbers of a repeated scalar field are encoded.
pub trait Packed {
    /// What the numbers are.
    type Number;

    /// Reads the next number of a packed field; `None` if there is none.
    fn read(packed: &mut &[u8]) -> Option<Self::Number>;

    /// The number of an unpacked field.
    fn single(value: Value<'_>) -> Option<Self::Number>;
}

/// Numbers of a repeated scalar field, packed or not.
pub struct Numbers<'a, P> {
    fields: Fields<'a>,
    packed: &'a [u8],
    number: u32,
    left: usize,
    encoding: PhantomData<fn() -> P>,
}

impl<'a, P> Numbers<'a, P> {
    /// Counts an occurrence; `from` begins with it.
    #[inline]
    pub(super) fn note(&mut self, number: u32, from: &'a [u8]) {
        if self.left == 0 {
            self.fields = Fields::of(from);
            self.number = number;
        }
        self.left += 1;
    }
}

impl<P: Packed> Iterator for Numbers<'_, P> {
    type Item = P::Number;

    #[inline]
    fn next(&mut self) -> Option<P::Number> {
        loop {
            if let Some(number) = P::read(&mut self.packed) {
                return Some(number);
            }
            if self.left == 0 {
                return None;
            }
            let Some(Ok(field)) = self.fields.next() else {
                self.left = 0;
                return None;
            };
            if field.number != self.number {
                continue;
            }
            self.left -= 1;
            if let Value::Bytes(packed) = field.value {
                self.packed = packed;
            } else if let Some(number) = P::single(field.value) {
                return Some(number);
            }
        }
    }
}

macro_rules! fixed {
    ($($(#[$docs:meta])* $name:ident -> $number:ty, $convert:expr;)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Packed for $name {
            type Number = $number;

            #[inline]
            fn read(packed: &mut &[u8]) -> Option<$number> {
                let (bytes, rest) = packed.split_first_chunk()?;
                *packed = rest;
                Some($convert(u64::from_le_bytes(*bytes)))
            }

            #[inline]
            fn single(value: Value<'_>) -> Option<$number> {
                let Value::Fixed64(bits) = value else { return None };
                Some($convert(bits))
            }
        }
    )*};
}

macro_rules! varints {
    ($($(#[$docs:meta])* $name:ident -> $number:ty;)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Packed for $name {
            type Number = $number;

            #[inline]
            fn read(packed: &mut &[u8]) -> Option<$number> {
                Some(read_varint(packed).ok()? as $number)
            }

            #[inline]
            fn single(value: Value<'_>) -> Option<$number> {
                let Value::Varint(number) = value else { return None };
                Some(number as $number)
            }
        }
    )*};
}

fixed! {
    /// Eight bytes, unsigned.
    Fixed64 -> u64, |bits| bits;
    /// Eight bytes, IEEE 754.
    Double -> f64, f64::from_bits;
}

varints! {
    /// Varints, unsigned 64 bits.
    Uint64 -> u64;
    /// Varints, signed 64 bits.
    Int64 -> i64;
    /// Varints, signed 32 bits.
    Int32 -> i32;
}

// By hand, since derives would bind the marker types.
impl<T> Clone for Repeated<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Repeated<'_, T> {}

impl<T> Default for Repeated<'_, T> {
    fn default() -> Self {
        Self { fields: Fields::of(&[]), number: 0, left: 0, view: PhantomData }
    }
}

// Not the entries: values nest, and printing must not recurse as deep as any bytes say.
impl<T> fmt::Debug for Repeated<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Repeated").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<P> Clone for Numbers<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Numbers<'_, P> {}

impl<P> Default for Numbers<'_, P> {
    fn default() -> Self {
        Self { fields: Fields::of(&[]), packed: &[], number: 0, left: 0, encoding: PhantomData }
    }
}

impl<P: Packed<Number: fmt::Debug>> fmt::Debug for Numbers<'_, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(*self).finish()
    }
}
