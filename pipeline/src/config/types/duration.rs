//! Durations as the Collector writes them.

use std::{borrow::Cow, fmt, ops::Deref, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use crate::config::decode::DURATION;

/// A duration such as `1m30s` or `200ms`; a bare whole number counts nanoseconds, as in the Collector. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// Nothing that could be a number where one is due.
    #[error("{0:?} is not a duration; write a number with its unit, such as 30s, 1m30s or 200ms")]
    Malformed(String),
    /// A number with nothing after it.
    #[error("the duration {0:?} has no unit; write h, m, s, ms, us or ns after the number, such as {0}s")]
    NoUnit(String),
    /// Letters after a number that name no unit.
    #[error("the duration {text:?} has the unknown unit {unit:?}; known are h, m, s, ms, us and ns")]
    Unit {
        /// The whole text.
        text: String,
        /// What stands where a unit is due.
        unit: String,
    },
    /// Less than nothing.
    #[error("the duration {0} is negative")]
    Negative(String),
    /// More than about 292 years, the Collector's limit.
    #[error("the duration {0:?} is too long")]
    TooLong(String),
}

/// The units, longest names first where one begins another, with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Duration {
    /// No time at all, which for most keys means "off" or "at once".
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// A duration of whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// As the standard library's duration; `None` if it is zero, where zero means "no limit".
    #[must_use]
    pub const fn limit(self) -> Option<std::time::Duration> {
        if self.0.is_zero() { None } else { Some(self.0) }
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &std::time::Duration {
        &self.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    /// Reads a sequence of decimal numbers, each with its unit: `1h`, `1.5s`, `1m30s`. Only zero needs no unit.
    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        if let Some(magnitude) = text.strip_prefix('-') {
            let zero = Self::from_str(magnitude)?.is_zero();
            return if zero { Ok(Self::ZERO) } else { Err(InvalidDuration::Negative(text.to_owned())) };
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(InvalidDuration::Malformed(text.to_owned()));
        }
        let mut nanoseconds: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = part(rest, text)?;
            nanoseconds = nanoseconds
                .checked_add(part)
                .filter(|sum| i64::try_from(*sum).is_ok())
                .ok_or_else(|| InvalidDuration::TooLong(text.to_owned()))?;
            rest = after;
        }
        Ok(Self(std::time::Duration::from_nanos(nanoseconds)))
    }
}

/// The nanoseconds of the number and unit at the start of `rest`, and what follows them.
fn part<'a>(rest: &'a str, whole: &str) -> Result<(u64, &'a str), InvalidDuration> {
    let is_number = |character: char| character.is_ascii_digit() || character == '.';
    let number_end = rest.find(|character| !is_number(character)).unwrap_or(rest.len());
    let (number, after) = rest.split_at_checked(number_end).unwrap_or((rest, ""));
    let (units, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (units.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(InvalidDuration::Malformed(whole.to_owned()));
    }
    let unit_end = after.find(is_number).unwrap_or(after.len());
    let (unit, after) = after.split_at_checked(unit_end).unwrap_or((after, ""));
    if unit.is_empty() {
        return Err(InvalidDuration::NoUnit(whole.to_owned()));
    }
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(InvalidDuration::Unit { text: whole.to_owned(), unit: unit.to_owned() });
    };
    let too_long = || InvalidDuration::TooLong(whole.to_owned());
    let units: u64 = if units.is_empty() { 0 } else { units.parse().map_err(|_| too_long())? };
    let whole_units = units.checked_mul(*size).ok_or_else(too_long)?;
    let mut scale = *size;
    let mut fractional = 0;
    for digit in fraction.bytes() {
        scale /= 10;
        fractional += u64::from(digit - b'0') * scale;
    }
    Ok((whole_units.checked_add(fractional).ok_or_else(too_long)?, after))
}

impl fmt::Display for Duration {
    /// As Go prints it: `1m30s`, `1.5s`, `200ms`, `0s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        let fraction = |of: u128, digits: usize| {
            let text = format!(".{of:0digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match nanoseconds {
            0 => formatter.write_str("0s"),
            1..1_000 => write!(formatter, "{nanoseconds}ns"),
            1_000..1_000_000 => {
                write!(formatter, "{}{}\u{b5}s", nanoseconds / 1_000, fraction(nanoseconds % 1_000, 3))
            }
            1_000_000..1_000_000_000 => {
                write!(formatter, "{}{}ms", nanoseconds / 1_000_000, fraction(nanoseconds % 1_000_000, 6))
            }
            _ => {
                let seconds = self.0.as_secs();
                let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                if hours > 0 {
                    write!(formatter, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(formatter, "{minutes}m")?;
                }
                write!(formatter, "{seconds}{}s", fraction(u128::from(self.0.subsec_nanos()), 9))
            }
        }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DURATION, DurationVisitor)
    }
}

struct DurationVisitor;

impl<'de> Visitor<'de> for DurationVisitor {
    type Value = Duration;

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration such as 30s, 1m30s or 200ms")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, nanoseconds: u64) -> Result<Duration, E> {
        Ok(Duration(std::time::Duration::from_nanos(nanoseconds)))
    }

    fn visit_i64<E: Error>(self, nanoseconds: i64) -> Result<Duration, E> {
        let nanoseconds = u64::try_from(nanoseconds)
            .map_err(|_| E::custom(InvalidDuration::Negative(format!("{nanoseconds}ns"))))?;
        self.visit_u64(nanoseconds)
    }

    fn visit_unit<E: Error>(self) -> Result<Duration, E> {
        Ok(Duration::ZERO)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": r"^\+?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$" },
                { "type": "integer", "minimum": 0, "description": "nanoseconds" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0s", 0),
            ("5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("200ms", 200_000_000),
            ("+1us1ns", 1_001),
            ("3µs", 3_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
        ] {
            let read = text.parse::<Duration>().map(|duration| duration.as_nanos());
            assert_eq!(read, Ok(nanoseconds), "{text}");
        }
    }

    #[test]
    fn says_why_it_is_no_duration() {
        assert_eq!("30".parse::<Duration>(), Err(InvalidDuration::NoUnit("30".into())));
        assert_eq!("-5s".parse::<Duration>(), Err(InvalidDuration::Negative("-5s".into())));
        assert!(matches!("1d".parse::<Duration>(), Err(InvalidDuration::Unit { unit, .. }) if unit == "d"));
        assert!(matches!("1e3s".parse::<Duration>(), Err(InvalidDuration::Unit { .. })));
        assert!(matches!("300000h3000000h".parse::<Duration>(), Err(InvalidDuration::TooLong(_))));
        for text in ["", "s", "abc", "1.2.3s", "1s 2s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["0s", "5s", "1m30s", "1h0m0s", "1.5s", "200ms", "1.001ms", "7ns"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
    }
}
