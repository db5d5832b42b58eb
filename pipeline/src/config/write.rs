//! Nodes as YAML and JSON text.

use serde_json::{Map, Number, Value as Json};

use super::{Mapping, Node, Value, scalar};

/// A node as YAML that loads as an equal node.
pub(super) fn yaml(node: &Node) -> String {
    let mut text = String::new();
    match &node.value {
        Value::Mapping(entries) if !entries.is_empty() => write_mapping(entries, 0, false, &mut text),
        Value::Sequence(items) if !items.is_empty() => write_sequence(items, 0, &mut text),
        value => {
            text.push_str(&flat(value));
            text.push('\n');
        }
    }
    text
}

/// A node as indented JSON. JSON has no infinities: they become strings.
pub(super) fn json(node: &Node) -> String {
    // Maps have string keys and numbers are finite, so this cannot fail.
    let mut text = serde_json::to_string_pretty(&to_json(node)).unwrap_or_default();
    text.push('\n');
    text
}

fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Unsigned(number) => Json::from(*number),
        Value::Float(number) => {
            Number::from_f64(*number).map_or_else(|| Json::String(flat(&node.value)), Json::Number)
        }
        Value::String(text) => Json::String(text.to_string()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.to_string(), to_json(&entry.value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn write_mapping(entries: &Mapping, depth: usize, after_dash: bool, text: &mut String) {
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 || !after_dash {
            indent(depth, text);
        }
        text.push_str(&quote(&entry.key));
        text.push(':');
        write_below(&entry.value, depth, text);
    }
}

fn write_sequence(items: &[Node], depth: usize, text: &mut String) {
    for item in items {
        indent(depth, text);
        text.push('-');
        match &item.value {
            Value::Mapping(entries) if !entries.is_empty() => {
                text.push(' ');
                write_mapping(entries, depth + 1, true, text);
            }
            _ => write_below(item, depth, text),
        }
    }
}

fn write_below(node: &Node, depth: usize, text: &mut String) {
    match &node.value {
        Value::Mapping(entries) if !entries.is_empty() => {
            text.push('\n');
            write_mapping(entries, depth + 1, false, text);
        }
        Value::Sequence(items) if !items.is_empty() => {
            text.push('\n');
            write_sequence(items, depth + 1, text);
        }
        value => {
            text.push(' ');
            text.push_str(&flat(value));
            text.push('\n');
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// A scalar or an empty collection.
fn flat(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => ".nan".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        // With a fraction or an exponent, so that it stays a float.
        Value::Float(number) => format!("{number:?}"),
        Value::String(text) => quote(&escape_references(text)),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Mapping(_) => "{}".to_owned(),
    }
}

/// Doubles each `$` where some would be read as a reference or an escape.
fn escape_references(text: &str) -> String {
    if text.contains("${") || text.contains("$$") { text.replace('$', "$$") } else { text.to_owned() }
}

/// A string as YAML reads it back: plain where that is safe.
fn quote(text: &str) -> String {
    let plain_character =
        |character: char| character.is_ascii_alphanumeric() || "_-./:@+$ ".contains(character);
    let plain = text.starts_with(|first: char| first.is_ascii_alphanumeric() || "_/$".contains(first))
        && text.chars().all(plain_character)
        && !text.ends_with([':', ' '])
        && !text.contains(": ")
        && matches!(scalar::resolve(text), Value::String(_));
    if plain { text.to_owned() } else { Json::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Problems, parse};

    fn reread(text: &str) -> Node {
        let mut problems = Problems::default();
        parse("c.yaml", text, &mut problems).unwrap_or_else(|| panic!("{problems}\n{text}"))
    }

    #[test]
    fn what_is_written_reads_well() {
        let node = reread(
            "a: {b: [1, {c: d, e: []}, 'x: y'], f: ~}\ng: '0123'\nh: 1.0\ni: '${env:X}'\nj: |\n  two\n  lines\n",
        );
        let expected = "a:\n  b:\n    - 1\n    - c: d\n      e: []\n    - \"x: y\"\n  f: null\n\
                        g: \"0123\"\nh: 1.0\ni: \"$${env:X}\"\nj: \"two\\nlines\\n\"\n";
        assert_eq!(yaml(&node), expected);
    }

    fn any_value() -> impl Strategy<Value = Json> {
        let scalar = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            "[^$\u{7f}-\u{9f}\u{fffe}\u{feff}]{0,12}".prop_map(Json::from),
            "[0-9a-z:. -]{0,8}".prop_map(Json::from),
        ];
        scalar.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::vec(("[a-z0-9: ~-]{1,6}", inner), 0..5)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn written_yaml_loads_as_the_same_value(value in any_value()) {
            let node = reread(&value.to_string());
            prop_assert_eq!(to_json(&node), value);
            let written = yaml(&node);
            prop_assert_eq!(to_json(&reread(&written)), to_json(&node), "{}", written);
        }
    }
}
