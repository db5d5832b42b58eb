//! What a plain scalar means: the Collector's YAML rules.
//!
//! They are YAML 1.2's core schema with remnants of 1.1 in numbers: a leading zero is octal, underscores separate
//! digits. `yes`, `no`, `on` and `off` are strings. What looks like a time is a string, too.

use saphyr_parser::Tag;

use super::node::Value;

/// The value of an unquoted scalar.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or_else(|| Value::String(text.into())),
    }
}

/// The value of a scalar with a tag such as `!!str`; `None` if they do not go together.
pub(super) fn tagged(tag: &Tag, text: &str) -> Option<Value> {
    if !tag.is_yaml_core_schema() {
        return (tag.handle.is_empty() && tag.suffix == "!").then(|| Value::String(text.into()));
    }
    let resolved = resolve(text);
    match (tag.suffix.as_str(), resolved) {
        ("str", _) => Some(Value::String(text.into())),
        ("float", Value::Integer(number)) => Some(Value::Float(number as f64)),
        ("int", value @ (Value::Integer(_) | Value::Unsigned(_)))
        | ("float", value @ Value::Float(_))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => Some(value),
        _ => None,
    }
}

/// The number that an unquoted scalar is.
fn number(text: &str) -> Option<Value> {
    /// No number is written with more characters than the longest exact float.
    const LONGEST: usize = 1100;
    if text.len() > LONGEST
        || !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
    {
        return None;
    }
    let digits: String = text.chars().filter(|character| *character != '_').collect();
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<Value> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.as_str(), 8)
    } else {
        (lower.as_str(), 10)
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Value::Integer);
    }
    Some(i64::try_from(magnitude).map_or(Value::Unsigned(magnitude), Value::Integer))
}

fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_well_formed = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    if !well_formed || !exponent_well_formed {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        format!("{:?}", resolve(text))
    }

    #[test]
    fn numbers_are_read_as_the_collector_reads_them() {
        for (text, expected) in [
            ("12", "Integer(12)"),
            ("-12", "Integer(-12)"),
            ("+12", "Integer(12)"),
            ("0123", "Integer(83)"),
            ("0o17", "Integer(15)"),
            ("0x1F", "Integer(31)"),
            ("-0x1f", "Integer(-31)"),
            ("0b101", "Integer(5)"),
            ("1_000", "Integer(1000)"),
            ("9223372036854775808", "Unsigned(9223372036854775808)"),
            ("-9223372036854775808", "Integer(-9223372036854775808)"),
            ("089", "Float(89.0)"),
            ("1e3", "Float(1000.0)"),
            ("1.", "Float(1.0)"),
            (".5", "Float(0.5)"),
            ("-.inf", "Float(-inf)"),
            ("99999999999999999999", "Float(1e20)"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_or_a_boolean_is_a_string() {
        for text in [
            "1m30s",
            "0x",
            "0b2",
            "1e",
            "1e400",
            ".",
            "-",
            "+",
            "1.2.3",
            "inf",
            "nan",
            "0x-1",
            "yes",
            "on",
            "y",
            "tRUE",
            "2026-11-20",
            "1:30",
            "_1",
            "--1",
        ] {
            assert_eq!(shown(text), format!("String({text:?})"), "{text}");
        }
    }
}
