//! The configuration as a whole: which components are defined, and how the pipelines wire them.

use std::{collections::HashMap, fmt, hash::Hash, str::FromStr};

use super::{Location, Node, Problems, Value, node::Entry, suggest};
use crate::component::{ComponentId, Kind, PipelineId};

/// Something with the place that names it.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// What is named.
    pub value: T,
    /// Where.
    pub location: Location,
}

/// A component as defined in its section.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its kind, from the section.
    pub kind: Kind,
    /// Its id, with the place of the key.
    pub id: Located<ComponentId>,
    /// Its configuration; an empty map where the body is null.
    pub body: Node,
}

/// A pipeline as defined under `service.pipelines`.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its id, with the place of the key.
    pub id: Located<PipelineId>,
    /// Receivers or connectors.
    pub receivers: Vec<Located<ComponentId>>,
    /// Processors in order.
    pub processors: Vec<Located<ComponentId>>,
    /// Exporters or connectors.
    pub exporters: Vec<Located<ComponentId>>,
}

/// The configuration as a whole. Ids are checked for their grammar here, references by [`crate::graph`].
#[derive(Clone, Debug)]
pub struct Document {
    /// Every component of every section, in order.
    pub definitions: Vec<Definition>,
    /// `service.extensions`.
    pub extensions: Vec<Located<ComponentId>>,
    /// `service.pipelines`.
    pub pipelines: Vec<Pipeline>,
    /// `service.telemetry`; an empty map where absent.
    pub telemetry: Node,
}

/// The sections of components, in the order in which people write them.
const SECTIONS: [Kind; 5] =
    [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension];
const SERVICE_KEYS: [&str; 3] = ["extensions", "pipelines", "telemetry"];
const PIPELINE_KEYS: [&str; 3] = ["receivers", "processors", "exporters"];

impl Document {
    /// Reads the structure of a configuration. Reports everything that is wrong with it; `None` if that is an error.
    #[must_use]
    pub fn from_node(root: &Node, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let document = Self::as_far_as_readable(root, &mut found);
        let sound = !found.has_errors();
        problems.extend(found);
        sound.then_some(document)
    }

    /// Like [`Document::from_node`], but gives what could be read in spite of errors, so that more of them can be found
    /// in the same run.
    #[must_use]
    pub fn as_far_as_readable(root: &Node, problems: &mut Problems) -> Self {
        Reader { problems }.document(root)
    }
}

struct Reader<'p> {
    problems: &'p mut Problems,
}

impl Reader<'_> {
    fn document(&mut self, root: &Node) -> Document {
        let mut document = Document {
            definitions: Vec::new(),
            extensions: Vec::new(),
            pipelines: Vec::new(),
            telemetry: Node::empty_map(root.location.clone()),
        };
        if root.is_null() || root.as_mapping().is_some_and(super::Mapping::is_empty) {
            let note = "`sluice init` writes a file to start from";
            self.problems.error_with(&root.location, "empty configuration file", [note]);
            return document;
        }
        let sections = SECTIONS.map(Kind::section);
        let known: Vec<&str> = sections.into_iter().chain(["service"]).collect();
        let Some(entries) = self.map(root, "the configuration") else { return document };
        self.unknown_keys(entries, &known, "at the top level");
        for kind in SECTIONS {
            if let Some(section) = root.get(kind.section()) {
                self.definitions(kind, section, &mut document.definitions);
            }
        }
        for kind in [Kind::Receiver, Kind::Exporter] {
            self.require_section(root, kind);
        }
        match root.get("service") {
            Some(service) => self.service(service, &mut document),
            None => {
                self.problems.error(&root.location, "there is no service section; it names the pipelines")
            }
        }
        document
    }

    /// A section that must define something; connectors do not count, as in the Collector.
    fn require_section(&mut self, root: &Node, kind: Kind) {
        let section = root.get(kind.section());
        let defines = section.is_some_and(|section| match &section.value {
            Value::Null => false,
            Value::Mapping(entries) => !entries.is_empty(),
            _ => true,
        });
        if !defines {
            let place = section.unwrap_or(root);
            self.problems.error(&place.location, format!("no {kind} configuration specified in config"));
        }
    }

    fn definitions(&mut self, kind: Kind, section: &Node, definitions: &mut Vec<Definition>) {
        let mut known = HashMap::new();
        for entry in self.entries(section, kind.section()) {
            let Some(id) = self.unique_id::<ComponentId>(entry, &mut known) else { continue };
            let body = match &entry.value.value {
                Value::Mapping(_) => entry.value.clone(),
                Value::Null => Node::empty_map(entry.location.clone()),
                _ => {
                    let found = entry.value.describe();
                    let message = format!("{kind} \"{}\" takes a map of keys, found {found}", id.value);
                    self.problems.error(&entry.value.location, message);
                    continue;
                }
            };
            definitions.push(Definition { kind, id, body });
        }
    }

    fn service(&mut self, service: &Node, document: &mut Document) {
        let entries = self.entries(service, "service");
        self.unknown_keys(entries.iter().copied(), &SERVICE_KEYS, "of service");
        if let Some(extensions) = service.get("extensions") {
            document.extensions = self.ids(extensions, "service.extensions");
        }
        if let Some(telemetry) = service.get("telemetry").filter(|telemetry| !telemetry.is_null())
            && self.map(telemetry, "service.telemetry").is_some()
        {
            document.telemetry = telemetry.clone();
        }
        let pipelines = service.get("pipelines");
        let mut known = HashMap::new();
        for entry in
            pipelines.map(|pipelines| self.entries(pipelines, "service.pipelines")).unwrap_or_default()
        {
            if let Some(id) = self.unique_id::<PipelineId>(entry, &mut known) {
                let pipeline = self.pipeline(id, &entry.value);
                document.pipelines.push(pipeline);
            }
        }
        if pipelines.is_none_or(|pipelines| {
            pipelines.is_null() || pipelines.as_mapping().is_some_and(super::Mapping::is_empty)
        }) {
            let place = pipelines.unwrap_or(service);
            self.problems.error(&place.location, "service must have at least one pipeline");
        }
    }

    fn pipeline(&mut self, id: Located<PipelineId>, body: &Node) -> Pipeline {
        let path = format!("service.pipelines.{}", id.value);
        let before = self.problems.iter().count();
        let entries = self.entries(body, &path);
        self.unknown_keys(entries.iter().copied(), &PIPELINE_KEYS, "of a pipeline");
        let mut list =
            |key: &str| body.get(key).map(|ids| self.ids(ids, &format!("{path}.{key}"))).unwrap_or_default();
        let (receivers, processors, exporters) = (list("receivers"), list("processors"), list("exporters"));
        // A list with a wrong entry was reported; it is not empty because of that.
        if self.problems.iter().count() == before {
            for (ids, kind) in [(&receivers, Kind::Receiver), (&exporters, Kind::Exporter)] {
                if ids.is_empty() {
                    self.problems.error(&id.location, format!("{path}: must have at least one {kind}"));
                }
            }
        }
        Pipeline { id, receivers, processors, exporters }
    }

    /// A list of ids; one string with commas is taken for a list, as everywhere.
    fn ids(&mut self, node: &Node, path: &str) -> Vec<Located<ComponentId>> {
        match &node.value {
            Value::Null => Vec::new(),
            Value::Sequence(items) => items
                .iter()
                .filter_map(|item| match item.as_text() {
                    Some(text) => self.id(text, &item.location),
                    None => {
                        let message = format!("{path} lists ids of components, found {}", item.describe());
                        self.problems.error(&item.location, message);
                        None
                    }
                })
                .collect(),
            Value::String(text) => text
                .split(',')
                .filter(|text| !text.trim().is_empty())
                .filter_map(|text| self.id(text, &node.location))
                .collect(),
            _ => {
                let message =
                    format!("{path} is a list of ids such as [otlp, otlp/2], found {}", node.describe());
                self.problems.error(&node.location, message);
                Vec::new()
            }
        }
    }

    fn id<T: FromStr<Err: fmt::Display>>(&mut self, text: &str, location: &Location) -> Option<Located<T>> {
        match text.parse() {
            Ok(value) => Some(Located { value, location: location.clone() }),
            Err(error) => {
                self.problems.error(location, error.to_string());
                None
            }
        }
    }

    /// The id that is a key, which is only written once even if spaces differ.
    fn unique_id<T>(&mut self, entry: &Entry, known: &mut HashMap<T, Location>) -> Option<Located<T>>
    where
        T: FromStr<Err: fmt::Display> + Hash + Eq + Clone + fmt::Display,
    {
        let id = self.id::<T>(&entry.key, &entry.location)?;
        if let Some(first) = known.get(&id.value) {
            let message = format!("duplicate name \"{}\"; the first is at {first}", id.value);
            self.problems.error(&entry.location, message);
            return None;
        }
        known.insert(id.value.clone(), id.location.clone());
        Some(id)
    }

    /// The entries of a map; none, and an error, if it is anything but a map or null.
    fn entries<'n>(&mut self, node: &'n Node, path: &str) -> Vec<&'n Entry> {
        if node.is_null() {
            return Vec::new();
        }
        self.map(node, path).map(|entries| entries.iter().collect()).unwrap_or_default()
    }

    fn map<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n super::Mapping> {
        let mapping = node.as_mapping();
        if mapping.is_none() {
            self.problems.error(&node.location, format!("{path} is a map, found {}", node.describe()));
        }
        mapping
    }

    fn unknown_keys<'n>(
        &mut self,
        entries: impl IntoIterator<Item = &'n Entry>,
        known: &[&str],
        place: &str,
    ) {
        for entry in entries.into_iter().filter(|entry| !known.contains(&&*entry.key)) {
            let note = match suggest::nearest(&entry.key, known.iter().copied()) {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            self.problems.error_with(
                &entry.location,
                format!("unknown key \"{}\" {place}", entry.key),
                [note],
            );
        }
    }
}

#[cfg(test)]
mod tests;
