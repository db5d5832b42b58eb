//! A pull reader: the caller asks for the value that it expects next.

use std::borrow::Cow;

use super::scan::plain_length;

/// How deep values may nest where they are only skipped.
pub const MAX_DEPTH: usize = 64;

/// Reads values one after the other, front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    position: usize,
}

/// Text that is not what was expected, with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {position}")]
pub struct JsonError {
    /// What is wrong.
    pub fault: JsonFault,
    /// Where, in bytes from the start of the text.
    pub position: usize,
}

/// What is wrong with JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Something else stands where this should.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The text ends early.
    #[error("the text ends inside a value")]
    Truncated,
    /// A control character that must be escaped.
    #[error("a string holds a control character")]
    Control,
    /// A backslash with something that JSON does not know.
    #[error("a string holds an unknown escape")]
    Escape,
    /// A number that breaks JSON's grammar.
    #[error("a number is malformed")]
    Number,
    /// A number outside the range of its field.
    #[error("a number is out of range")]
    Range,
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("values nest too deep")]
    Depth,
}

impl<'a> Reader<'a> {
    /// Reads this text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// The next byte that is no white space.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.position)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.position += 1;
        }
    }

    /// Reads an array, calling `element` at the start of each element.
    ///
    /// # Errors
    /// Malformed text, or what `element` returns.
    pub fn array<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "an array")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the array")?;
        }
    }

    /// Reads an object, calling `member` with each key at the start of its value.
    ///
    /// # Errors
    /// Malformed text, or what `member` returns.
    #[inline]
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{', "an object")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "a colon")?;
            member(self, key)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the object")?;
        }
    }

    /// Reads a string. An unpaired surrogate escape becomes U+FFFD.
    ///
    /// # Errors
    /// Anything else.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"', "a string")?;
        let start = self.position;
        self.position += plain_length(self.rest());
        let plain = self.since(start);
        if self.byte() == Some(b'"') {
            self.position += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.escaped(plain).map(Cow::Owned)
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// Anything else.
    pub fn boolean(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.fault(JsonFault::Expected("true or false"))),
        }
    }

    /// Reads `null` if it comes next.
    ///
    /// # Errors
    /// A word that only starts like it.
    #[inline]
    pub fn null(&mut self) -> Result<bool, JsonError> {
        if self.peek() == Some(b'n') { self.word("null").map(|()| true) } else { Ok(false) }
    }

    /// Reads a number and returns its text.
    ///
    /// # Errors
    /// Anything else.
    pub fn number(&mut self) -> Result<&'a str, JsonError> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.fault(JsonFault::Expected("a number")));
        }
        let start = self.position;
        self.skip_byte(b"-");
        if !self.skip_byte(b"0") {
            self.digits()?;
        }
        if self.skip_byte(b".") {
            self.digits()?;
        }
        if self.skip_byte(b"eE") {
            self.skip_byte(b"+-");
            self.digits()?;
        }
        Ok(self.since(start))
    }

    /// Reads a number that is not negative, rounding a fraction to the nearest integer.
    ///
    /// # Errors
    /// Anything else, or a number beyond `maximum`.
    pub fn unsigned(&mut self, maximum: u64) -> Result<u64, JsonError> {
        if let Some((value, digits)) = self.peek().and_then(|_| plain_integer(self.rest())) {
            self.position += digits;
            return if value <= maximum { Ok(value) } else { Err(self.fault(JsonFault::Range)) };
        }
        let text = self.number()?;
        let value = match text.parse() {
            Ok(value) => Some(value),
            // Some clients compute microseconds in floating point. The cast saturates.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be in range"
            )]
            Err(_) => text
                .parse::<f64>()
                .ok()
                .map(f64::round)
                .filter(|value| (0.0..1.8e19).contains(value))
                .map(|value| value as u64),
        };
        value.filter(|value| *value <= maximum).ok_or_else(|| self.fault(JsonFault::Range))
    }

    /// Skips a value of any kind.
    ///
    /// # Errors
    /// Malformed text, or nesting beyond [`MAX_DEPTH`].
    pub fn skip(&mut self) -> Result<(), JsonError> {
        self.skip_within(MAX_DEPTH)
    }

    /// Succeeds if nothing but white space is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(JsonFault::Expected("the end of the text"))),
        }
    }

    /// An error at the present place.
    #[must_use]
    pub fn fault(&self, fault: JsonFault) -> JsonError {
        let truncated = self.position >= self.text.len() && matches!(fault, JsonFault::Expected(_));
        let fault = if truncated { JsonFault::Truncated } else { fault };
        JsonError { fault, position: self.position }
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), JsonError> {
        let inner = depth.checked_sub(1).ok_or_else(|| self.fault(JsonFault::Depth))?;
        match self.peek() {
            Some(b'{') => self.object(|reader, _| reader.skip_within(inner)),
            Some(b'[') => self.array(|reader| reader.skip_within(inner)),
            Some(b'"') => self.string().map(drop),
            Some(b't' | b'f') => self.boolean().map(drop),
            Some(b'n') => self.null().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => Err(self.fault(JsonFault::Expected("a value"))),
        }
    }

    #[cold]
    fn escaped(&mut self, plain: &str) -> Result<String, JsonError> {
        let mut string = plain.to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.position += 1;
                    string.push(self.escape()?);
                }
                Some(_) => return Err(self.fault(JsonFault::Control)),
                None => return Err(self.fault(JsonFault::Truncated)),
            }
            let start = self.position;
            self.position += plain_length(self.rest());
            string.push_str(self.since(start));
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.byte().ok_or_else(|| self.fault(JsonFault::Truncated))?;
        let character = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.position += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.fault(JsonFault::Escape)),
        };
        self.position += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let unit = self.hexadecimal()?;
        if (0xd800..0xdc00).contains(&unit) && self.rest().starts_with(b"\\u") {
            let before = self.position;
            self.position += 2;
            let low = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = before;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<u32, JsonError> {
        let digits = self.rest().first_chunk::<4>().ok_or_else(|| self.fault(JsonFault::Truncated))?;
        let mut value = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16).ok_or_else(|| self.fault(JsonFault::Escape))?;
            value = value << 4 | digit;
        }
        self.position += 4;
        Ok(value)
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.fault(JsonFault::Expected(word)));
        }
        self.position += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.fault(JsonFault::Number));
        }
        self.position += count;
        Ok(())
    }

    fn skip_byte(&mut self, any_of: &[u8]) -> bool {
        let found = self.byte().is_some_and(|byte| any_of.contains(&byte));
        self.position += usize::from(found);
        found
    }

    #[inline]
    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.position += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, wanted: u8, name: &'static str) -> Result<(), JsonError> {
        if self.eat(wanted) { Ok(()) } else { Err(self.fault(JsonFault::Expected(name))) }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    #[inline]
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }
}

/// The number that the bytes begin with and how many digits it has, if it is as JSON writes an integer that cannot
/// overflow and nothing of a longer number follows.
fn plain_integer(bytes: &[u8]) -> Option<(u64, usize)> {
    const SAFE_DIGITS: usize = 19;
    let mut value = 0;
    let mut digits = 0;
    for byte in bytes.iter().take(SAFE_DIGITS).take_while(|byte| byte.is_ascii_digit()) {
        value = value * 10 + u64::from(byte - b'0');
        digits += 1;
    }
    let more = matches!(bytes.get(digits), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
    let leading_zero = digits > 1 && bytes.first() == Some(&b'0');
    (digits > 0 && !more && !leading_zero).then_some((value, digits))
}
