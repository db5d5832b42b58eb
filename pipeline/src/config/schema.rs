//! The JSON Schema of a whole configuration file, for editors.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::telemetry::Telemetry;
use crate::component::{Entry, Kind, Registry};

/// What an id may have after its type.
const NAME_PATTERN: &str = "(/.+)?$";
/// A reference such as `${env:PORT}`, which may stand for a value of any type.
const REFERENCE_PATTERN: &str = r"\$\{.*\}";

/// The schema of a file whose components are those of the registry.
#[must_use]
pub fn of(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    let mut properties = Map::new();
    for kind in [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension] {
        properties.insert(kind.section().to_owned(), section(kind, registry, &mut definitions));
    }
    let telemetry = add("telemetry", schema_for!(Telemetry).to_value(), &mut definitions);
    properties.insert("service".to_owned(), service(&telemetry));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sluice configuration",
        "type": "object",
        "properties": properties,
        "required": ["receivers", "exporters", "service"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The schema of one component's configuration, with its definitions inside.
pub(super) fn of_entry(entry: &Entry) -> Value {
    entry.schema().to_value()
}

fn section(kind: Kind, registry: &Registry, definitions: &mut Map<String, Value>) -> Value {
    let mut patterns = Map::new();
    for entry in registry.of_kind(kind) {
        let declaration = &entry.declaration;
        let reference = add(&format!("{kind}.{}", declaration.name), of_entry(entry), definitions);
        let names: Vec<&str> =
            std::iter::once(declaration.name).chain(declaration.aliases.iter().copied()).collect();
        let pattern = format!("^({}){NAME_PATTERN}", names.join("|"));
        let body = json!({ "description": declaration.summary, "anyOf": [reference, { "type": "null" }] });
        patterns.insert(pattern, body);
    }
    json!({
        "description": format!("The {}, by id: type or type/name.", kind.section()),
        "type": ["object", "null"],
        "patternProperties": patterns,
        "additionalProperties": false,
    })
}

fn service(telemetry: &Value) -> Value {
    let ids = |description: &str| json!({ "description": description, "type": ["array", "string", "null"], "items": { "type": "string" } });
    let pipeline = json!({
        "type": "object",
        "properties": {
            "receivers": ids("Where its data comes from: receivers or connectors."),
            "processors": ids("What changes its data, in this order."),
            "exporters": ids("Where its data goes: exporters or connectors."),
        },
        "required": ["receivers", "exporters"],
        "additionalProperties": false,
    });
    json!({
        "description": "Which components run, and how pipelines wire them.",
        "type": "object",
        "properties": {
            "extensions": ids("The extensions that run, in this order."),
            "pipelines": {
                "description": "The pipelines, by signal or signal/name.",
                "type": "object",
                "patternProperties": { (format!("^(traces|metrics|logs|profiles){NAME_PATTERN}")): pipeline },
                "additionalProperties": false,
            },
            "telemetry": { "description": "What Sluice says of itself.", "anyOf": [telemetry, { "type": "null" }] },
        },
        "required": ["pipelines"],
        "additionalProperties": false,
    })
}

/// Moves a schema and its own definitions among those of the file; the reference to it.
fn add(name: &str, mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    adapt(&mut schema, name);
    if let Some(root) = schema.as_object_mut() {
        root.remove("$schema");
        root.remove("title");
        if let Some(Value::Object(own)) = root.remove("$defs") {
            for (key, definition) in own {
                definitions.insert(format!("{name}.{key}"), definition);
            }
        }
    }
    definitions.insert(name.to_owned(), schema);
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Makes a schema say what configuration allows beyond its types: references, null for the default, no unknown keys.
fn adapt(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(local) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("#/$defs/{name}.{local}");
            }
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.values_mut().for_each(allow_reference);
            }
            for (key, below) in object.iter_mut() {
                // Defaults and examples are values, not schemas.
                if !matches!(key.as_str(), "default" | "examples" | "enum" | "const") {
                    adapt(below, name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| adapt(item, name)),
        _ => {}
    }
}

fn allow_reference(property: &mut Value) {
    let Some(property) = property.as_object_mut() else { return };
    let types: Vec<Value> = match property.get("type") {
        Some(Value::String(one)) => vec![json!(one)],
        Some(Value::Array(several)) => several.clone(),
        _ => return,
    };
    let mut allowed = types.clone();
    let has = |name: &str| types.iter().any(|present| present == name);
    if !has("null") {
        allowed.push(json!("null"));
    }
    if !has("string") {
        allowed.push(json!("string"));
        // A list may be written as one string with commas.
        if !has("array") {
            property.insert("pattern".to_owned(), json!(REFERENCE_PATTERN));
        }
    }
    if let Some(Value::Array(values)) = property.get_mut("enum") {
        values.push(Value::Null);
    }
    property.insert("type".to_owned(), Value::Array(allowed));
}

#[cfg(test)]
mod tests;
