//! What a schema says, in the words of a page: tables of keys, lists of values, names of types.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A table of keys, a list of values, or a line for everything else. `link` names a definition.
pub(super) fn describe(schema: &Value, link: &dyn Fn(&str) -> String) -> String {
    if let Some(properties) = schema["properties"].as_object() {
        return keys(properties, &schema["required"], link);
    }
    if let Some(values) = schema["oneOf"].as_array() {
        return values.iter().map(value).collect();
    }
    if schema["type"] == "object" && schema["additionalProperties"].is_null() {
        return "It has none.\n".to_owned();
    }
    format!("It is {}.\n", kind(schema, link))
}

/// A text with its full stop, in one line.
pub(super) fn sentence(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    let line = paragraphs.join(" ").replace('|', "\\|");
    if line.ends_with(['.', '!', '?', ':']) { line } else { line + "." }
}

fn keys(properties: &Map<String, Value>, required: &Value, link: &dyn Fn(&str) -> String) -> String {
    let is_absent = |property: &Value| property["deprecated"] == true;
    let is_required = |key: &str| required.as_array().is_some_and(|keys| keys.iter().any(|name| name == key));
    let mut text = String::new();
    if properties.values().any(|property| !is_absent(property)) {
        text.push_str("| key | type | default | |\n|---|---|---|---|\n");
    }
    for (key, property) in properties.iter().filter(|(_, property)| !is_absent(property)) {
        let default = match &property["default"] {
            _ if is_required(key) => "required".to_owned(),
            Value::Null => String::new(),
            default => format!("`{}`", default_text(default)),
        };
        let told = property["description"].as_str().map(sentence).unwrap_or_default();
        let _ = writeln!(text, "| `{key}` | {} | {default} | {told} |", kind(property, link));
    }
    let absent: Vec<String> = properties
        .iter()
        .filter(|(_, property)| is_absent(property))
        .map(|(key, _)| format!("`{key}`"))
        .collect();
    if !absent.is_empty() {
        let _ = writeln!(text, "\nKeys of the Collector that are not in this build: {}.", absent.join(", "));
    }
    text
}

fn default_text(default: &Value) -> String {
    match default {
        Value::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    }
}

fn value(variant: &Value) -> String {
    let told =
        variant["description"].as_str().map(|text| format!(": {}", sentence(text))).unwrap_or_default();
    format!("- `{}`{told}\n", variant["const"].as_str().unwrap_or_default())
}

/// The type of a value, without the null that stands for the default.
fn kind(schema: &Value, link: &dyn Fn(&str) -> String) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return link(reference.rsplit('/').next().unwrap_or_default());
    }
    for alternatives in ["anyOf", "oneOf"] {
        if let Some(several) = schema[alternatives].as_array() {
            return any_of(several, link);
        }
    }
    match &schema["type"] {
        Value::String(name) => named(name, schema, link),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(|name| named(name, schema, link)).collect::<Vec<_>>().join(" or ")
        }
        _ => "any value".to_owned(),
    }
}

fn any_of(several: &[Value], link: &dyn Fn(&str) -> String) -> String {
    // A duration is a text with units, or nanoseconds as a number.
    if several.iter().any(|one| one["description"] == "nanoseconds") {
        return "duration".to_owned();
    }
    let mut kinds: Vec<String> = Vec::new();
    for one in several.iter().filter(|one| one["type"] != "null") {
        let kind = match one["const"].as_str() {
            Some(value) => format!("`{value}`"),
            None => kind(one, link),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" or ")
}

fn named(name: &str, schema: &Value, link: &dyn Fn(&str) -> String) -> String {
    match name {
        "string" if schema["format"] == "secret" => "secret".to_owned(),
        "array" => match &schema["items"] {
            items @ Value::Object(_) => format!("list of {}", kind(items, link)),
            _ => "list".to_owned(),
        },
        "object" => match &schema["additionalProperties"] {
            values @ Value::Object(_) => format!("map to {}", kind(values, link)),
            _ => "map".to_owned(),
        },
        other => other.to_owned(),
    }
}
