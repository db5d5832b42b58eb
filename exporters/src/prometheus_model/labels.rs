//! Labels of a series as the text that stands between its braces: `a="1",b="2"`, in the order of their names.

use std::{borrow::Cow, fmt::Write};

use sluice_pipeline::otlp::view::{Attributes, Exemplar, KeyValue, Resource, ScopeGroup, Text};
use sluice_protocols::prometheus::{escape, label_name, unescape};

use super::config::PrometheusKeys;

/// What Prometheus gives a label whose name a series has already from elsewhere.
const EXPORTED: &str = "exported_";
/// How many characters the labels of an exemplar may have, names and values together (OpenMetrics 1.0).
const EXEMPLAR_LENGTH: usize = 128;
const SERVICE: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// A label with the attribute that it comes from.
#[derive(Clone, Debug)]
struct Label<'a> {
    name: Cow<'a, str>,
    key: &'a str,
    value: Cow<'a, str>,
}

/// Labels that all points of a scope or a resource share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared<'a> {
    /// Nothing else may have their names.
    fixed: Vec<Label<'a>>,
    /// Attributes that join with those of the points.
    attributes: Vec<Label<'a>>,
}

/// Writes the labels of points; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct LabelWriter<'a> {
    labels: Vec<Label<'a>>,
    text: String,
}

impl<'a> Label<'a> {
    fn of(attribute: &KeyValue<'a>) -> Self {
        let key = attribute.key.as_str();
        Self { name: label_name(key), key, value: attribute.value.text() }
    }

    fn fixed(name: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        Self { name: Cow::Borrowed(name), key: name, value: value.into() }
    }
}

impl<'a> Shared<'a> {
    /// What `const_labels` and the identity of a resource say.
    fn of_target(resource: &Resource<'a>, keys: &'a PrometheusKeys) -> Self {
        let mut shared = Self::default();
        for (name, value) in &keys.const_labels {
            shared.fix(name, value.as_str());
        }
        let (job, instance) = identity(resource);
        shared.fix("job", job);
        shared.fix("instance", instance);
        shared
    }

    /// What `const_labels` and a resource say.
    pub(super) fn of_resource(resource: &Resource<'a>, keys: &'a PrometheusKeys) -> Self {
        let mut shared = Self::of_target(resource, keys);
        let conversion = keys.resource_to_telemetry_conversion;
        for attribute in resource.attributes() {
            let key = attribute.key.as_str();
            let converted =
                conversion.enabled && !(conversion.exclude_service_attributes && SERVICE.contains(&key));
            if converted || keys.resource_constant_labels.selects(key) {
                shared.attributes.push(Label::of(&attribute));
            }
        }
        shared
    }

    /// The same with what a scope says.
    pub(super) fn with_scope(&self, group: &ScopeGroup<'a>, keys: &PrometheusKeys) -> Self {
        let mut shared = self.clone();
        if keys.without_scope_info {
            return shared;
        }
        let scope = group.scope();
        shared.fix("otel_scope_name", scope.name.as_str());
        shared.fix("otel_scope_version", scope.version.as_str());
        shared.fix("otel_scope_schema_url", group.schema_url().as_str());
        for attribute in scope.attributes() {
            let key = attribute.key.as_str();
            let name = format!("otel_scope_{}", plain(key));
            shared.attributes.push(Label { name: Cow::Owned(name), key, value: attribute.value.text() });
        }
        shared
    }

    fn fix(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.is_empty() && !self.has(name) {
            self.fixed.push(Label::fixed(name, value));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.fixed.iter().any(|label| label.name == name)
    }
}

impl<'a> LabelWriter<'a> {
    /// The labels of a point. `reserved` is the label that tells its samples apart: `le`, `quantile` or none.
    ///
    /// Values of attributes whose keys become the same name are joined with `;`, in the order of the keys.
    pub(super) fn write(
        &mut self,
        shared: &Shared<'a>,
        attributes: Attributes<'a>,
        reserved: &'static str,
    ) -> &str {
        self.labels.clear();
        self.labels.extend(shared.fixed.iter().cloned());
        let own = attributes.map(|attribute| Label::of(&attribute));
        for mut label in shared.attributes.iter().cloned().chain(own) {
            if label.value.is_empty() {
                // To Prometheus no label at all.
                continue;
            }
            if label.name == reserved || shared.has(&label.name) {
                label.name = Cow::Owned(format!("{EXPORTED}{}", label.name));
            }
            self.labels.push(label);
        }
        // Stable: of one key the resource's value comes first, which wins.
        self.labels.sort_by(|one, other| (&one.name, one.key).cmp(&(&other.name, other.key)));
        self.text.clear();
        let mut last: Option<&Label<'_>> = None;
        for label in &self.labels {
            match last {
                Some(last) if last.name == label.name => {
                    if last.key == label.key {
                        continue;
                    }
                    self.text.pop();
                    self.text.push(';');
                }
                _ => {
                    if last.is_some() {
                        self.text.push(',');
                    }
                    self.text.push_str(&label.name);
                    self.text.push_str("=\"");
                }
            }
            escape(&label.value, &mut self.text);
            self.text.push('"');
            last = Some(label);
        }
        &self.text
    }
}

/// What `target_info` says of a resource: which target it is, and all its labels. `None` if the resource names no target
/// or says nothing beside.
pub(super) fn target<'a>(resource: &Resource<'a>, keys: &'a PrometheusKeys) -> Option<(String, String)> {
    let (job, instance) = identity(resource);
    let others: Vec<Label<'_>> = resource
        .attributes()
        .filter(|attribute| !SERVICE.contains(&attribute.key.as_str()))
        .map(|attribute| Label::of(&attribute))
        .collect();
    if (job.is_empty() && instance.is_empty()) || others.iter().all(|label| label.value.is_empty()) {
        return None;
    }
    let shared = Shared { attributes: others, ..Shared::of_target(resource, keys) };
    let labels = LabelWriter::default().write(&shared, Attributes::default(), "").to_owned();
    Some((format!("{job}\0{instance}"), labels))
}

/// The labels of an exemplar: the ids of trace and span, then as many attributes as there is room for.
pub(super) fn exemplar(exemplar: &Exemplar<'_>) -> String {
    let mut text = String::new();
    let mut room = EXEMPLAR_LENGTH;
    let mut add = |name: &str, value: &str| {
        let length = name.chars().count() + value.chars().count();
        if value.is_empty() || length > room || has_name(&text, name) {
            return;
        }
        room -= length;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(value, &mut text);
        text.push('"');
    };
    add("trace_id", &hexadecimal(exemplar.trace_id));
    add("span_id", &hexadecimal(exemplar.span_id));
    for attribute in exemplar.filtered_attributes() {
        let value = attribute.value.text();
        add(&label_name(attribute.key.as_str()), &value);
    }
    text
}

/// Names and values of written labels.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once("=\"")?;
        let mut escaped = false;
        let end = after.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let (value, after) = after.split_at_checked(end)?;
        rest = after.get(1..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, unescape(value)))
    })
}

fn has_name(text: &str, name: &str) -> bool {
    pairs(text).any(|(known, _)| known == name)
}

/// The key of a scope attribute with what may not stand replaced, as the rest of a label's name.
fn plain(key: &str) -> String {
    key.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

fn hexadecimal(id: &[u8]) -> String {
    let mut text = String::with_capacity(id.len() * 2);
    for byte in id {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `job` and `instance` of a resource; empty if it does not say.
fn identity<'a>(resource: &Resource<'a>) -> (Cow<'a, str>, Cow<'a, str>) {
    let (mut name, mut namespace, mut instance) = (Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed(""));
    for attribute in resource.attributes() {
        let value = || attribute.value.text();
        match attribute.key {
            b"service.name" => name = value(),
            b"service.namespace" => namespace = value(),
            b"service.instance.id" => instance = value(),
            _ => {}
        }
    }
    let whole = !namespace.is_empty() && !name.is_empty();
    let job = if whole { Cow::Owned(format!("{namespace}/{name}")) } else { name };
    (job, instance)
}
