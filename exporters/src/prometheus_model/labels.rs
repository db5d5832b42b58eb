//! The labels of a series: of the configuration, of its resource and scope, of the point itself.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use sluice_pipeline::otlp::view::{Attributes, Exemplar, KeyValue, Resource, ScopeGroup, Text};
use sluice_protocols::prometheus::label_name;

use super::{ResourceConversion, Selection};

/// What Prometheus gives a label whose name a series has already from elsewhere.
const EXPORTED: &str = "exported_";
/// How many characters the labels of an exemplar may have, names and values together (OpenMetrics 1.0).
const EXEMPLAR_LENGTH: usize = 128;
const SERVICE: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// What the configuration says of labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelRules {
    /// Labels that every series gets; what telemetry says under the same name is renamed.
    pub(crate) constant: BTreeMap<String, String>,
    /// Labels of series that have none of the name.
    pub(crate) fallback: BTreeMap<String, String>,
    /// Makes labels of resource attributes.
    pub(crate) conversion: ResourceConversion,
    /// Makes labels of these resource attributes.
    pub(crate) resource_labels: Selection,
    /// Leaves out what the scope says.
    pub(crate) without_scope_info: bool,
}

/// A label with the attribute that it comes from.
#[derive(Clone, Debug)]
struct Label<'a> {
    name: Cow<'a, str>,
    key: &'a str,
    value: Cow<'a, str>,
    /// Only if nothing else has the name.
    fallback: bool,
}

/// Labels that all points of a scope or a resource share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared<'a> {
    /// Nothing else may have their names.
    fixed: Vec<Label<'a>>,
    /// Attributes that join with those of the points.
    attributes: Vec<Label<'a>>,
    /// Labels where there are none of the name.
    fallback: Vec<Label<'a>>,
}

/// Resolves the labels of points; keeps its buffer.
#[derive(Debug, Default)]
pub(crate) struct LabelWriter<'a> {
    labels: Vec<Label<'a>>,
}

impl<'a> Label<'a> {
    fn of(attribute: &KeyValue<'a>) -> Self {
        let key = attribute.key.as_str();
        Self { name: label_name(key), key, value: attribute.value.text(), fallback: false }
    }

    fn fixed(name: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        Self { name: Cow::Borrowed(name), key: name, value: value.into(), fallback: false }
    }
}

impl<'a> Shared<'a> {
    /// What the configuration and the identity of a resource say.
    fn of_target(resource: &Resource<'a>, rules: &'a LabelRules) -> Self {
        let mut shared = Self::default();
        for (name, value) in &rules.constant {
            shared.fix(name, value.as_str());
        }
        let (job, instance) = identity(resource);
        shared.fix("job", job);
        shared.fix("instance", instance);
        let fallback =
            rules.fallback.iter().map(|(name, value)| Label { fallback: true, ..Label::fixed(name, value) });
        shared.fallback = fallback.collect();
        shared
    }

    /// What the configuration and a resource say.
    pub(crate) fn of_resource(resource: &Resource<'a>, rules: &'a LabelRules) -> Self {
        let mut shared = Self::of_target(resource, rules);
        let conversion = rules.conversion;
        for attribute in resource.attributes() {
            let key = attribute.key.as_str();
            let converted =
                conversion.enabled && !(conversion.exclude_service_attributes && SERVICE.contains(&key));
            if converted || rules.resource_labels.selects(key) {
                shared.attributes.push(Label::of(&attribute));
            }
        }
        shared
    }

    /// The same with what a scope says.
    pub(crate) fn with_scope(&self, group: &ScopeGroup<'a>, rules: &LabelRules) -> Self {
        let mut shared = self.clone();
        if rules.without_scope_info {
            return shared;
        }
        let scope = group.scope();
        shared.fix("otel_scope_name", scope.name.as_str());
        shared.fix("otel_scope_version", scope.version.as_str());
        shared.fix("otel_scope_schema_url", group.schema_url().as_str());
        for attribute in scope.attributes() {
            let key = attribute.key.as_str();
            let name = format!("otel_scope_{}", plain(key));
            let value = attribute.value.text();
            shared.attributes.push(Label { name: Cow::Owned(name), key, value, fallback: false });
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
    /// Takes the labels of a point. `reserved` is the label that tells its samples apart: `le`, `quantile` or none.
    ///
    /// Values of attributes whose keys become the same name are joined with `;`, in the order of the keys.
    pub(crate) fn resolve(
        &mut self,
        shared: &Shared<'a>,
        attributes: Attributes<'a>,
        reserved: &'static str,
    ) {
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
        self.labels.extend(shared.fallback.iter().cloned());
        // Stable: of one key the resource's value comes first, which wins.
        self.labels.sort_by(|one, other| {
            (&one.name, one.fallback, one.key).cmp(&(&other.name, other.fallback, other.key))
        });
        self.labels.dedup_by(|later, earlier| {
            if later.name != earlier.name {
                return false;
            }
            if later.key != earlier.key && !later.fallback {
                let value = earlier.value.to_mut();
                value.push(';');
                value.push_str(&later.value);
                earlier.key = later.key;
            }
            true
        });
    }

    /// Names and values, in the order of the names, each name once.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|label| (&*label.name, &*label.value))
    }
}

/// Takes the labels that `target_info` has of a resource. `None` if the resource names no target or says nothing beside;
/// else what identifies the target.
pub(crate) fn resolve_target<'a>(
    resource: &Resource<'a>,
    rules: &'a LabelRules,
    labels: &mut LabelWriter<'a>,
) -> Option<String> {
    let (job, instance) = identity(resource);
    let others: Vec<Label<'_>> = resource
        .attributes()
        .filter(|attribute| !SERVICE.contains(&attribute.key.as_str()))
        .map(|attribute| Label::of(&attribute))
        .collect();
    if (job.is_empty() && instance.is_empty()) || others.iter().all(|label| label.value.is_empty()) {
        return None;
    }
    let shared = Shared { attributes: others, ..Shared::of_target(resource, rules) };
    labels.resolve(&shared, Attributes::default(), "");
    Some(format!("{job}\0{instance}"))
}

/// The labels of an exemplar: the ids of trace and span, then as many attributes as there is room for.
pub(crate) fn exemplar_labels<'a>(exemplar: &Exemplar<'a>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut labels: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
    let mut room = EXEMPLAR_LENGTH;
    let mut add = |name: Cow<'a, str>, value: Cow<'a, str>| {
        let length = name.chars().count() + value.chars().count();
        if value.is_empty() || length > room || labels.iter().any(|(known, _)| *known == name) {
            return;
        }
        room -= length;
        labels.push((name, value));
    };
    add("trace_id".into(), hexadecimal(exemplar.trace_id).into());
    add("span_id".into(), hexadecimal(exemplar.span_id).into());
    for attribute in exemplar.filtered_attributes() {
        add(label_name(attribute.key.as_str()), attribute.value.text());
    }
    labels
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
