//! The reference pages: what each component takes, from its declaration and the types of its configuration.
//!
//! A map of keys that several components have, such as that of TLS, has its place on a page of its own.

mod shape;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use self::shape::{describe, sentence};
use super::schema::of_entry;
use crate::component::{Declaration, Entry, Kind, Pair, Registry};

const KINDS: [Kind; 5] = [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension];
/// The page of what several components have.
const COMMON: &str = "common.md";

/// The pages in Markdown, by their path below one folder: an index, one for each component, and one for what they have in
/// common.
#[must_use]
pub fn pages(registry: &Registry) -> BTreeMap<String, String> {
    let definitions = Definitions::of(registry);
    let mut pages = BTreeMap::new();
    for (entry, schema) in &definitions.entries {
        pages.insert(path(entry), component(entry, schema, &definitions.common, &format!("../{COMMON}")));
    }
    pages.insert(COMMON.to_owned(), common(&definitions.common));
    pages.insert("README.md".to_owned(), index(registry));
    pages
}

/// What `sluice components TYPE` prints: the pages of all kinds of components with this name, and what they share with
/// others; `None` if there is none.
#[must_use]
pub fn of_type(registry: &Registry, name: &str) -> Option<String> {
    let entries = Definitions::of(registry).entries;
    let mut named = entries.iter().filter(|(entry, _)| entry.declaration.is_called(name)).peekable();
    named.peek()?;
    Some(
        named.map(|(entry, schema)| component(entry, schema, &Map::new(), "")).collect::<Vec<_>>().join("\n"),
    )
}

/// The schemas of all components, and the definitions that several of them have.
struct Definitions<'a> {
    entries: Vec<(&'a Entry, Value)>,
    common: Map<String, Value>,
}

impl<'a> Definitions<'a> {
    fn of(registry: &'a Registry) -> Self {
        let entries: Vec<(&Entry, Value)> = KINDS
            .iter()
            .flat_map(|kind| registry.of_kind(*kind))
            .map(|entry| (entry, of_entry(entry)))
            .collect();
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (name, definition) in entries.iter().flat_map(|(_, schema)| own(schema)) {
            found.entry(name).or_default().push(definition);
        }
        let common = found
            .into_iter()
            .filter(|(_, all)| all.len() > 1 && all.windows(2).all(|pair| pair[0] == pair[1]))
            .filter_map(|(name, all)| Some((name.to_owned(), (*all.first()?).clone())))
            .collect();
        Self { entries, common }
    }
}

fn own(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema["$defs"].as_object().into_iter().flatten().map(|(name, definition)| (name.as_str(), definition))
}

fn path(entry: &Entry) -> String {
    format!("{}/{}.md", entry.kind.section(), entry.declaration.name)
}

/// The page of one component. Definitions in `common` are linked to, those that are not follow its keys.
fn component(entry: &Entry, schema: &Value, common: &Map<String, Value>, common_page: &str) -> String {
    let Declaration { name, aliases, summary, absorbs, example, .. } = entry.declaration;
    let mut text = format!("# The `{name}` {}\n\n{}\n\n", entry.kind, sentence(summary));
    // Writing to a string cannot fail, here and below.
    if !aliases.is_empty() {
        let _ = writeln!(text, "Also called `{}`.\n", aliases.join("`, `"));
    }
    if !entry.declaration.signals.is_empty() {
        let _ = writeln!(text, "Signals: {}.\n", signals(entry));
    }
    if absorbs {
        text.push_str("Answers before its data is delivered: what it holds is lost with the process.\n\n");
    }
    let _ = write!(text, "## Example\n\n```yaml\n{}```\n\n## Keys\n\n", example);
    let link = |name: &str| {
        let page = if common.contains_key(name) { common_page } else { "" };
        format!("[`{name}`]({page}#{})", name.to_lowercase())
    };
    text.push_str(&describe(schema, &link));
    for (name, definition) in own(schema).filter(|(name, _)| !common.contains_key(*name)) {
        let _ = write!(text, "\n### {name}\n\n{}", describe_definition(definition, &link));
    }
    text
}

fn describe_definition(definition: &Value, link: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    if let Some(description) = definition["description"].as_str() {
        let _ = writeln!(text, "{}\n", sentence(description));
    }
    text + &describe(definition, link)
}

fn signals(entry: &Entry) -> String {
    let name = |(Pair(taken, given), stability): &(Pair, crate::component::Stability)| {
        let stability = stability.name().to_lowercase();
        if entry.kind == Kind::Connector {
            format!("{taken} to {given} ({stability})")
        } else {
            format!("{taken} ({stability})")
        }
    };
    entry.declaration.signals.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn common(definitions: &Map<String, Value>) -> String {
    let mut text =
        "# What components have in common\n\nMaps of keys that more than one component takes.\n".to_owned();
    let link = |name: &str| format!("[`{name}`](#{})", name.to_lowercase());
    for (name, definition) in definitions {
        let _ = write!(text, "\n## {name}\n\n{}", describe_definition(definition, &link));
    }
    text
}

fn index(registry: &Registry) -> String {
    let mut text =
        "# Components\n\nEach page is written by `sluice components --pages docs/components` from the types \
                    that read the configuration; its example is run by a test.\n"
            .to_owned();
    for kind in KINDS {
        let section = kind.section();
        let heading = format!("{}{}", section[..1].to_uppercase(), &section[1..]);
        let _ = write!(text, "\n## {heading}\n\n| component | |\n|---|---|\n");
        for entry in registry.of_kind(kind) {
            let Declaration { name, summary, .. } = entry.declaration;
            let _ = writeln!(text, "| [`{name}`]({}) | {} |", path(entry), sentence(summary));
        }
    }
    let _ = writeln!(text, "\nWhat several of them take, such as the keys of TLS: [{COMMON}]({COMMON}).");
    text
}

#[cfg(test)]
mod tests;
