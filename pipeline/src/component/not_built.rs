//! Keys of the Collector that this build does not have: each its own located error, never ignored.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Problem;

/// The value of a key that this build does not have.
///
/// Values that ask for nothing (`false`, `0`, `""`, `0s`, empty lists and maps) are what the Collector does by default,
/// and pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotBuilt {
    asks: bool,
}

impl NotBuilt {
    /// Adds a problem at `key` if the configuration asks for what is not there.
    pub fn report(self, key: impl Into<String>, instead: &str, problems: &mut Vec<Problem>) {
        if self.asks {
            let key = key.into();
            let name = key.rsplit('.').next().unwrap_or_default();
            let message = format!("{name} is not in this build; {instead}");
            problems.push(Problem::at(key, message));
        }
    }
}

impl<'de> Deserialize<'de> for NotBuilt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AskVisitor).map(|asks| Self { asks })
    }
}

impl JsonSchema for NotBuilt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NotInThisBuild".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "deprecated": true })
    }
}

struct AskVisitor;

impl<'de> Visitor<'de> for AskVisitor {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        Ok(value != 0)
    }

    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(value != 0)
    }

    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(value != 0.0)
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        Ok(!matches!(value, "" | "0" | "0s"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<bool, A::Error> {
        let mut asks = false;
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            asks = true;
        }
        Ok(asks)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut asks = false;
        while let Some((_, value)) = map.next_entry::<IgnoredAny, NotBuilt>()? {
            asks |= value.asks;
        }
        Ok(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_for_something_is_a_problem() {
        for harmless in ["null", "false", "0", "\"\"", "\"0s\"", "[]", "{}", "{\"enabled\": false}"] {
            assert!(!serde_json::from_str::<NotBuilt>(harmless).unwrap().asks, "{harmless}");
        }
        for asking in ["true", "7", "\"30s\"", "[\"X25519\"]", "{\"enabled\": true}"] {
            let mut problems = Vec::new();
            let value: NotBuilt = serde_json::from_str(asking).unwrap();
            value.report("tls.tpm", "use key_file", &mut problems);
            assert_eq!(
                problems,
                [Problem::at("tls.tpm", "tpm is not in this build; use key_file")],
                "{asking}"
            );
        }
    }
}
