//! A duration as the Collector writes it: `1.5s`, `2m30s`, or a bare number of nanoseconds.

use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A duration in configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Duration(time::Duration);

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Nanoseconds(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Nanoseconds(count) => Ok(Self(time::Duration::from_nanos(count))),
            Written::Text(text) => parse(&text).map(Self).ok_or_else(|| {
                de::Error::custom(format!("\"{text}\" is not a duration such as 500ms or 1m30s"))
            }),
        }
    }
}

fn parse(text: &str) -> Option<time::Duration> {
    const UNITS: [(&str, f64); 6] =
        [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
        let (name, tail) = tail.split_at(unit);
        total += number.parse::<f64>().ok()? * UNITS.iter().find(|(unit, _)| *unit == name)?.1;
        rest = tail;
    }
    time::Duration::try_from_secs_f64(total).ok().filter(|_| !text.is_empty())
}
