//! What all printed forms share: values, ids, times, and text that is safe on a terminal.

use std::{borrow::Cow, fmt, fmt::Write};

use jiff::Timestamp;
use sluice_pipeline::otlp::view::{AnyValue, Attributes, Dictionary, Text};

/// A value with its type, as in `Str(GET)` or `Int(200)`.
pub(super) struct Typed<'a>(pub(super) AnyValue<'a>);

/// An id in hexadecimal.
pub(super) struct Id<'a>(pub(super) &'a [u8]);

/// Nanoseconds since 1970 as `2023-11-11 04:49:03.509369393 +0000 UTC`.
pub(super) struct Time(pub(super) u64);

/// Attributes with keys and values looked up where a profile's dictionary has them.
pub(super) fn resolved<'a>(
    attributes: Attributes<'a>,
    dictionary: &'a Dictionary<'a>,
) -> impl Iterator<Item = (Cow<'a, str>, AnyValue<'a>)> {
    attributes.map(|pair| {
        let key = match dictionary.key(&pair) {
            Some(key) => Cow::Borrowed(key.as_str()),
            None => missing(pair.key_strindex),
        };
        (key, dictionary.value(pair.value).unwrap_or_default())
    })
}

/// Stands for an entry that the dictionary does not have.
pub(super) fn missing(index: i32) -> Cow<'static, str> {
    Cow::Owned(format!("[Missing Dictionary Item #{index}]"))
}

/// Text without control characters other than line breaks and tabs: what a client sends must not steer a terminal.
pub(super) fn harmless(text: String) -> String {
    let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(steers) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if steers(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Appends a line.
pub(super) fn line(out: &mut String, content: fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = out.write_fmt(content);
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

impl fmt::Display for Typed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", self.0.type_name(), self.0.text())
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(formatter, "{} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S%.f")),
            Err(_) => write!(formatter, "{} ns after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_only_the_digits_that_they_need() {
        assert_eq!(Time(1_581_452_772_000_000_321).to_string(), "2020-02-11 20:26:12.000000321 +0000 UTC");
        assert_eq!(Time(1_581_452_772_500_000_000).to_string(), "2020-02-11 20:26:12.5 +0000 UTC");
        assert_eq!(Time(0).to_string(), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(Time(u64::MAX).to_string(), "2554-07-21 23:34:33.709551615 +0000 UTC");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let text = "fine\n\tstill \u{e9} \x1b[2Jgone \u{9b}".to_owned();
        assert_eq!(harmless(text), "fine\n\tstill \u{e9} \\u{1b}[2Jgone \\u{9b}");
    }
}
