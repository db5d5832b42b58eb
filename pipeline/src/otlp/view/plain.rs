//! Values as plain text, the way the Collector writes them (`pcommon.Value.AsString`).

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{AnyValue, Text};

/// How deep arrays and maps are followed; the check at the door lets in less.
const DEPTH: usize = 128;

impl<'a> AnyValue<'a> {
    /// The value as text: strings as they are, bytes in base64, arrays and maps as JSON with sorted keys, nothing
    /// for no value. Text that a profile's dictionary holds is to be looked up first
    /// ([`super::Dictionary::value`]).
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Self::Empty | Self::StringIndex(_) => Cow::Borrowed(""),
            Self::String(text) => Cow::Borrowed(text.as_str()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(double(*number)),
            Self::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
            Self::Array(_) | Self::KeyValues(_) => {
                let mut out = String::new();
                json(self, DEPTH, &mut out);
                Cow::Owned(out)
            }
        }
    }

    /// The name that the Collector has for the type: `Str`, `Int`, `Map`, …
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::String(_) | Self::StringIndex(_) => "Str",
            Self::Bool(_) => "Bool",
            Self::Int(_) => "Int",
            Self::Double(_) => "Double",
            Self::Array(_) => "Slice",
            Self::KeyValues(_) => "Map",
            Self::Bytes(_) => "Bytes",
        }
    }
}

/// The shortest digits that read back as the same number; an exponent only where they would be long, as JSON has it
/// in Go.
fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

fn json(value: &AnyValue<'_>, depth: usize, out: &mut String) {
    let Some(depth) = depth.checked_sub(1) else {
        out.push_str("null");
        return;
    };
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::Array(values) => {
            out.push('[');
            for (index, value) in values.enumerate() {
                comma(index, out);
                json(&value, depth, out);
            }
            out.push(']');
        }
        AnyValue::KeyValues(pairs) => {
            out.push('{');
            let sorted: BTreeMap<&[u8], AnyValue<'_>> = pairs.map(|pair| (pair.key, pair.value)).collect();
            for (index, (key, value)) in sorted.iter().enumerate() {
                comma(index, out);
                quoted(key.as_str(), out);
                out.push(':');
                json(value, depth, out);
            }
            out.push('}');
        }
        AnyValue::Double(number) if !number.is_finite() => quoted(&double(*number), out),
        AnyValue::Bool(_) | AnyValue::Int(_) | AnyValue::Double(_) => out.push_str(&value.text()),
        AnyValue::String(_) | AnyValue::Bytes(_) | AnyValue::StringIndex(_) => quoted(&value.text(), out),
    }
}

fn comma(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

fn quoted(text: &str, out: &mut String) {
    // Writing into a string does not fail.
    let _ = write!(out, "{}", serde_json::Value::from(text));
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue as Message, ArrayValue, KeyValue, KeyValueList, any_value::Value,
    };
    use prost::Message as _;

    use super::*;
    use crate::otlp::view::View;

    fn text(value: Value) -> String {
        let bytes = Message { value: Some(value) }.encode_to_vec();
        AnyValue::of(&bytes).text().into_owned()
    }

    #[test]
    fn doubles_read_as_in_the_collector() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (34.22, "34.22"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(Value::DoubleValue(number)), expected);
        }
    }

    #[test]
    fn maps_are_json_with_sorted_keys() {
        let pair = |key: &str, value| KeyValue {
            key: key.to_owned(),
            value: Some(Message { value: Some(value) }),
            ..KeyValue::default()
        };
        let inner = Value::ArrayValue(ArrayValue {
            values: vec![
                Message { value: Some(Value::BytesValue(vec![1, 2])) },
                Message { value: None },
                Message { value: Some(Value::BoolValue(true)) },
            ],
        });
        let map = Value::KvlistValue(KeyValueList {
            values: vec![pair("b", inner), pair("a", Value::StringValue("quote \" and <".to_owned()))],
        });
        assert_eq!(text(map), r#"{"a":"quote \" and <","b":["AQI=",null,true]}"#);
    }

    #[test]
    fn bytes_are_base64_and_no_value_is_no_text() {
        assert_eq!(text(Value::BytesValue(b"\xff\x00".to_vec())), "/wA=");
        assert_eq!(AnyValue::Empty.text(), "");
    }
}
