//! The merged and expanded configuration as text, as `print-config` shows it.

use serde_json::Value as Json;

use super::{
    Mapping, Node, Value,
    schema::of_entry,
    sensitive::{self, REDACTED},
    write,
};
use crate::component::{Kind, Registry};

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As `[REDACTED]`.
    Masked,
    /// As they are.
    Shown,
}

/// The format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML that can be loaded again: `$` is doubled where it would refer to something.
    Yaml,
    /// JSON, indented.
    Json,
}

/// Prints a loaded configuration. What is secret is known by its type, or by its name where the type is not known.
#[must_use]
pub fn print(root: &Node, registry: &Registry, secrets: Secrets, format: Format) -> String {
    let mut root = root.clone();
    prepare(&mut root, registry, secrets);
    match format {
        Format::Yaml => write::yaml(&root),
        Format::Json => write::json(&root),
    }
}

fn prepare(root: &mut Node, registry: &Registry, secrets: Secrets) {
    let Value::Mapping(sections) = &mut root.value else { return };
    for section in sections.iter_mut() {
        let kinds = [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension];
        let kind = kinds.into_iter().find(|kind| kind.section() == &*section.key);
        let Value::Mapping(entries) = &mut section.value.value else { continue };
        for entry in entries.iter_mut() {
            let name = entry.key.split('/').next().unwrap_or_default().trim();
            let schema = kind.and_then(|kind| registry.find(kind, name)).map(of_entry);
            let printer = Printer { root: schema.as_ref(), secrets };
            printer.visit(&mut entry.value, &schema.iter().collect::<Vec<_>>(), false);
        }
    }
}

struct Printer<'s> {
    root: Option<&'s Json>,
    secrets: Secrets,
}

impl<'s> Printer<'s> {
    /// Masks a value and gives it the type of its target. `schemas` are those that may apply to it.
    fn visit(&self, node: &mut Node, schemas: &[&'s Json], secret: bool) {
        let schemas = self.resolve(schemas);
        let says = |key: &str, value: &str| {
            schemas.iter().any(|schema| schema.get(key).is_some_and(|it| it == value))
        };
        let secret = secret || says("format", "secret");
        match &mut node.value {
            Value::Mapping(entries) => self.visit_entries(entries, &schemas, secret),
            Value::Sequence(items) => {
                let below: Vec<&Json> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
                for item in items {
                    self.visit(item, &below, secret);
                }
            }
            Value::Null => {}
            _ => {
                let types_known = schemas.iter().any(|schema| schema.get("type").is_some());
                let is_text = types_known && !schemas.iter().any(|schema| takes_other_scalars(schema));
                if let Some(text) = node.as_text().filter(|_| is_text) {
                    node.value = Value::String(text.into());
                }
                if self.secrets == Secrets::Masked {
                    mask(node, secret);
                }
            }
        }
    }

    fn visit_entries(&self, entries: &mut Mapping, schemas: &[&'s Json], secret: bool) {
        for entry in entries.iter_mut() {
            let below: Vec<&Json> = schemas
                .iter()
                .filter_map(|schema| {
                    let named = schema.get("properties").and_then(|properties| properties.get(&*entry.key));
                    named.or_else(|| schema.get("additionalProperties"))
                })
                .collect();
            let named_secret =
                sensitive::is_secret_key(&entry.key) || sensitive::is_secret_section(&entry.key);
            // In the list form of headers only the values are secret.
            let secret = if &*entry.key == "name" { false } else { secret || named_secret };
            self.visit(&mut entry.value, &below, secret);
        }
    }

    /// Follows references and alternatives.
    fn resolve(&self, schemas: &[&'s Json]) -> Vec<&'s Json> {
        /// Schemas that refer to themselves end here.
        const LIMIT: usize = 64;
        let mut resolved: Vec<&Json> = schemas.to_vec();
        let mut next = 0;
        while let Some(schema) = resolved.get(next).copied().filter(|_| next < LIMIT) {
            next += 1;
            let target = schema
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.root?.pointer(pointer));
            resolved.extend(target);
            for key in ["anyOf", "oneOf", "allOf"] {
                resolved.extend(schema.get(key).and_then(Json::as_array).into_iter().flatten());
            }
        }
        resolved
    }
}

/// Whether numbers or booleans fit, too.
fn takes_other_scalars(schema: &Json) -> bool {
    let other =
        |name: &Json| name.as_str().is_some_and(|name| matches!(name, "integer" | "number" | "boolean"));
    match schema.get("type") {
        Some(Json::Array(names)) => names.iter().any(other),
        Some(name) => other(name),
        None => false,
    }
}

fn mask(node: &mut Node, secret: bool) {
    match &node.value {
        Value::String(text) if text.is_empty() => {}
        _ if secret => {
            node.value = Value::String(REDACTED.into());
            node.original = None;
        }
        Value::String(text) => {
            if let Some(concealed) = sensitive::conceal_credentials(text) {
                node.value = Value::String(concealed.into());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
