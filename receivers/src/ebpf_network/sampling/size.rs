//! Sizes as the Collector's log receivers write them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A number of bytes such as `4KiB`, `16kb` or `4096`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size; write a number of bytes or a number with its unit, such as 4096, 4KiB or 1MB")]
pub struct InvalidSize(pub String);

const UNITS: [(&str, usize); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("k", 1_000),
    ("b", 1),
];

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, size)| Some((lower.strip_suffix(name)?, *size)))
            .unwrap_or((&lower, 1));
        let number: usize = number.trim_end().parse().map_err(|_| invalid())?;
        number.checked_mul(unit).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1 << 10 && self.0.is_multiple_of(1 << 10) {
            write!(formatter, "{}KiB", self.0 >> 10)
        } else {
            write!(formatter, "{}B", self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of bytes such as 4096 or 4KiB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        usize::try_from(bytes).map(Size).map_err(|_| E::custom(InvalidSize(bytes.to_string())))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        usize::try_from(bytes).map(Size).map_err(|_| E::custom(InvalidSize(bytes.to_string())))
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": r"^[0-9]+ ?([kKmM]([iI]?[bB]?)|[bB])?$" },
                { "type": "integer", "minimum": 0, "description": "bytes" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4KiB", 4096),
            ("4 kib", 4096),
            ("1MB", 1_000_000),
            ("7b", 7),
            ("2k", 2000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5KiB", "4 GiB!", "99999999999999999999", "18446744073709551615KiB"] {
            assert_eq!(text.parse::<Size>(), Err(InvalidSize(text.to_owned())), "{text}");
        }
        assert_eq!((Size(4096).to_string(), Size(100).to_string()), ("4KiB".into(), "100B".into()));
    }
}
