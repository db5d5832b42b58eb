//! A JSON reader that yields one token at a time and allocates only for strings with escapes.
//!
//! Source: RFC 8259. It takes what the RFC allows, with two leniencies, both repaired and counted by the
//! [check](crate::otlp::check) that follows: text need not be UTF-8, and `\u` escapes need not pair.

use std::borrow::Cow;

use super::{
    error::{JsonError, Problem},
    text::plain_length,
};

type Result<T> = std::result::Result<T, Box<JsonError>>;

/// Reads a JSON text from front to back.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

/// The start of a value: scalars whole, of objects and arrays the opening bracket.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    /// Without escapes.
    String(Cow<'a, [u8]>),
    Object,
    Array,
}

impl Token<'_> {
    pub(super) const fn description(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }
}

/// Stands for an escape that is no character: no UTF-8 has it, so the check repairs and counts it.
const NO_CHARACTER: u8 = 0xff;

impl<'a> Reader<'a> {
    pub(super) const fn new(json: &'a [u8]) -> Self {
        Self { rest: json, length: json.len() }
    }

    #[cold]
    pub(super) fn error(&self, problem: Problem) -> Box<JsonError> {
        JsonError::new(problem, self.length - self.rest.len())
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Result<u8> {
        loop {
            match *self.rest {
                [b' ' | b'\n' | b'\t' | b'\r', ref rest @ ..] => self.rest = rest,
                [next, ..] => return Ok(next),
                [] => return Err(self.error(Problem::Ended)),
            }
        }
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The start of the next value.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Token<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Token::String),
            b'{' => {
                self.advance(1);
                Ok(Token::Object)
            }
            b'[' => {
                self.advance(1);
                Ok(Token::Array)
            }
            b'-' | b'0'..=b'9' => self.number().map(Token::Number),
            b't' => self.literal(b"true", Token::Bool(true)),
            b'f' => self.literal(b"false", Token::Bool(false)),
            b'n' => self.literal(b"null", Token::Null),
            _ => Err(self.error(Problem::Syntax { expected: "a JSON value" })),
        }
    }

    fn literal(&mut self, literal: &'static [u8], token: Token<'a>) -> Result<Token<'a>> {
        if !self.rest.starts_with(literal) {
            return Err(self.error(Problem::Syntax { expected: "true, false or null" }));
        }
        self.advance(literal.len());
        Ok(token)
    }

    /// The next key of an object whose brace is read, and the colon after it; `None` at its end.
    #[inline]
    pub(super) fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'a, [u8]>>> {
        if !self.member(first, b'}')? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(self.error(Problem::Syntax { expected: "a key in quotes" }));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(self.error(Problem::Syntax { expected: "a colon" }));
        }
        self.advance(1);
        Ok(Some(key))
    }

    /// Whether an array whose bracket is read goes on; its next value follows.
    #[inline]
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool> {
        self.member(first, b']')
    }

    #[inline]
    fn member(&mut self, first: &mut bool, end: u8) -> Result<bool> {
        let was_first = std::mem::replace(first, false);
        match self.peek()? {
            byte if byte == end => {
                self.advance(1);
                Ok(false)
            }
            _ if was_first => Ok(true),
            b',' => {
                self.advance(1);
                if self.peek()? == end {
                    return Err(self.error(Problem::Syntax { expected: "no comma before the end" }));
                }
                Ok(true)
            }
            _ => Err(self.error(Problem::Syntax { expected: "a comma or the end of the object or array" })),
        }
    }

    /// Reads on to the end of the text.
    pub(super) fn end(&mut self) -> Result<()> {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(Problem::Syntax { expected: "nothing after the object" }))
    }

    /// Reads over a value whatever it is. Nesting is kept in the bits of a number, so it is bounded.
    pub(super) fn skip(&mut self) -> Result<()> {
        let mut objects = 0u128;
        let mut depth = 0u32;
        let mut first = true;
        loop {
            let goes_on = match depth {
                0 if !first => return Ok(()),
                0 => true,
                _ if objects & 1 == 1 => self.key(&mut first)?.is_some(),
                _ => self.element(&mut first)?,
            };
            first = false;
            if !goes_on {
                depth -= 1;
                objects >>= 1;
                continue;
            }
            if let token @ (Token::Object | Token::Array) = self.value()? {
                if depth == u128::BITS {
                    return Err(self.error(Problem::Depth));
                }
                depth += 1;
                objects = objects << 1 | u128::from(token == Token::Object);
                first = true;
            }
        }
    }

    fn number(&mut self) -> Result<&'a str> {
        let number = self.rest;
        if self.rest.first() == Some(&b'-') {
            self.advance(1);
        }
        match self.digits()? {
            [b'0', _, ..] => {
                return Err(self.error(Problem::Syntax { expected: "a number without leading zeros" }));
            }
            _ if self.rest.first() == Some(&b'.') => {
                self.advance(1);
                self.digits()?;
            }
            _ => {}
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.advance(1);
            if let Some(b'+' | b'-') = self.rest.first() {
                self.advance(1);
            }
            self.digits()?;
        }
        let text = number.get(..number.len() - self.rest.len()).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| self.error(Problem::Syntax { expected: "a number" }))
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<&'a [u8]> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.error(Problem::Syntax { expected: "a digit" }));
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(digits)
    }

    /// The string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, [u8]>> {
        self.advance(1);
        let (plain, rest) = self.rest.split_at(plain_length(self.rest));
        if let [b'"', rest @ ..] = rest {
            self.rest = rest;
            return Ok(Cow::Borrowed(plain));
        }
        self.string_with_escapes().map(Cow::Owned)
    }

    fn string_with_escapes(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let (plain, rest) = self.rest.split_at(plain_length(self.rest));
            text.extend_from_slice(plain);
            self.rest = rest;
            match *rest {
                [b'"', ..] => {
                    self.advance(1);
                    return Ok(text);
                }
                [b'\\', b'u', ..] => {
                    self.advance(2);
                    match self.unicode_escape()? {
                        Some(character) => {
                            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        None => text.push(NO_CHARACTER),
                    }
                }
                [b'\\', escape, ..] => {
                    text.push(match escape {
                        b'"' | b'\\' | b'/' => escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err(self.error(Problem::Syntax { expected: "an escape of JSON" })),
                    });
                    self.advance(2);
                }
                [] | [b'\\'] => return Err(self.error(Problem::Ended)),
                _ => {
                    return Err(self.error(Problem::Syntax { expected: "control characters to be escaped" }));
                }
            }
        }
    }

    /// The character of an escape after its `\u`: one, or a pair of which only the first is read so far.
    fn unicode_escape(&mut self) -> Result<Option<char>> {
        let first = self.hex_digits()?;
        if let (0xd800..0xdc00, [b'\\', b'u', ..]) = (first, self.rest) {
            let after_first = self.rest;
            self.advance(2);
            let second = self.hex_digits()?;
            if let 0xdc00..0xe000 = second {
                return Ok(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
            }
            self.rest = after_first;
        }
        Ok(char::from_u32(first))
    }

    fn hex_digits(&mut self) -> Result<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = *self.rest.first().ok_or_else(|| self.error(Problem::Ended))?;
            let digit = char::from(byte).to_digit(16);
            number = number << 4
                | digit.ok_or_else(|| self.error(Problem::Syntax { expected: "four hexadecimal digits" }))?;
            self.advance(1);
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
