//! Compares OTLP/JSON item by item, field by field, however it was batched.

use std::path::Path;

use serde_json::{Map, Value};

/// The JSON values of a text with one to a line.
pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that a file of the `file` exporter holds what a client says it sent, and nothing else.
pub(crate) fn assert_same_telemetry(sent: &str, file: &Path) {
    let written = std::fs::read_to_string(file).unwrap();
    let (sent, written) = (items(&lines(sent)), items(&lines(&written)));
    assert!(!sent.is_empty(), "nothing was sent");
    assert_eq!(sent.len(), written.len(), "the numbers of items differ");
    for (sent, written) in sent.iter().zip(&written) {
        assert_eq!(sent, written);
    }
}

/// Every span, metric and log record with its resource and scope, normalised, in an order of their own.
fn items(exports: &[Value]) -> Vec<String> {
    let mut items = Vec::new();
    for export in exports {
        for group in all(export, &["resourceSpans", "resourceMetrics", "resourceLogs"]) {
            for scope_group in all(group, &["scopeSpans", "scopeMetrics", "scopeLogs"]) {
                for item in all(scope_group, &["spans", "metrics", "logRecords"]) {
                    let whole = serde_json::json!({
                        "item": item,
                        "resource": group.get("resource"),
                        "resourceSchema": group.get("schemaUrl"),
                        "scope": scope_group.get("scope"),
                        "scopeSchema": scope_group.get("schemaUrl"),
                    });
                    items.push(serde_json::to_string_pretty(&normal(&whole)).unwrap());
                }
            }
        }
    }
    items.sort();
    items
}

fn all<'a>(parent: &'a Value, names: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    names.iter().filter_map(|name| parent.get(name)?.as_array()).flatten()
}

/// Leaves out fields at their default and writes numbers as strings, as protobuf's JSON lets every encoder choose.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept: Vec<(String, Value)> = fields
                .iter()
                .map(|(name, value)| (name.clone(), normal(value)))
                .filter(|(name, value)| explicit(name) || !default(value))
                .collect();
            kept.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(Map::from_iter(kept))
        }
        Value::Array(values) => Value::Array(values.iter().map(normal).collect()),
        Value::Number(number) => Value::String(number_text(number)),
        other => other.clone(),
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => integer.to_string(),
        (_, Some(integer), _) => integer.to_string(),
        (_, _, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// Members of a `oneof` and optional fields, whose presence counts at the default too.
fn explicit(name: &str) -> bool {
    name.ends_with("Value") || matches!(name, "asInt" | "asDouble" | "sum" | "min" | "max")
}

fn default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}
