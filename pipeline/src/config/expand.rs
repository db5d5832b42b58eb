//! References in values: `${env:NAME}`, `${NAME:-default}`, `${file:path}`, `${yaml:text}`, `$$`.
//!
//! A reference that is a whole value may become anything; its text is kept for targets that are strings. Within a longer
//! string the text is inserted. Innermost references go first, and what comes out is expanded again.

use std::sync::Arc;

use super::{
    Location, Node, Problems, SourceText,
    node::Value,
    source::{Environment, is_scheme, split_keys},
    yaml,
};

/// How often one value may be expanded (the Collector's guard).
const ROUNDS: usize = 1000;
/// How many references a configuration may have, those within expanded values included.
const REFERENCES: usize = 100_000;
/// How much text all references together may bring in, in bytes.
const TEXT: usize = yaml::LARGEST_TEXT;
/// How much text may be searched for references, over and over, in bytes.
const SEARCHED: usize = 512 << 20;
/// The deepest nesting of lists and maps, those within expanded values included.
const DEEPEST: usize = 100;

/// Expands the references of a tree.
pub(super) struct Expander<'a> {
    environment: &'a dyn Environment,
    problems: &'a mut Problems,
    references: usize,
    text: usize,
    searched: usize,
    /// Whether a bound was met: what follows is left as it is.
    exhausted: bool,
}

/// The text that a reference stands for, and where it came from.
struct Found {
    text: String,
    /// The reference as written, for messages and as the name of its source.
    name: String,
    /// Whether `::` separates levels in keys.
    splits_keys: bool,
}

/// What took the place of a reference.
enum Replaced {
    /// A text, in which there may be further references.
    Text(String),
    /// A list or a map, likewise.
    Collection,
    /// Anything else.
    Scalar,
}

impl<'a> Expander<'a> {
    pub(super) fn new(environment: &'a dyn Environment, problems: &'a mut Problems) -> Self {
        Self { environment, problems, references: 0, text: 0, searched: 0, exhausted: false }
    }

    /// Expands all references below a node; what cannot be expanded is among the problems.
    pub(super) fn expand(&mut self, root: &mut Node) {
        self.expand_node(root, ROUNDS, 0);
    }

    fn expand_node(&mut self, node: &mut Node, rounds: usize, depth: usize) -> Option<()> {
        if self.exhausted {
            return None;
        }
        if depth > DEEPEST {
            return self
                .give_up(&node.location, format!("references make this more than {DEEPEST} levels deep"));
        }
        match &mut node.value {
            Value::Mapping(entries) => {
                for entry in entries.iter_mut() {
                    self.expand_node(&mut entry.value, rounds, depth + 1);
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.expand_node(item, rounds, depth + 1);
                }
            }
            Value::String(text) if text.contains('$') => {
                let text = text.to_string();
                return self.expand_string(node, text, rounds, depth);
            }
            _ => {}
        }
        Some(())
    }

    /// A loop, so that a chain of references costs no stack: only levels of lists and maps recurse, which are bounded.
    fn expand_string(
        &mut self,
        node: &mut Node,
        mut text: String,
        mut rounds: usize,
        depth: usize,
    ) -> Option<()> {
        while let Some((start, end)) = next_reference(&text) {
            let inside = text.get(start + 2..end)?.to_owned();
            rounds = rounds.saturating_sub(1);
            self.references += 1;
            self.searched += text.len();
            if rounds == 0 || self.references > REFERENCES || self.searched > SEARCHED {
                return self
                    .give_up(&node.location, format!("too many recursive expansions of ${{{inside}}}"));
            }
            let found = self.look_up(&node.location, &inside)?;
            self.text += found.as_ref().map_or(0, |found| found.text.len());
            if self.text > TEXT {
                return self
                    .give_up(&node.location, format!("references bring in more than {} MiB", TEXT >> 20));
            }
            if start == 0 && end + 1 == text.len() {
                match Self::replace(node, found, &inside) {
                    Replaced::Text(further) => {
                        text = further;
                        continue;
                    }
                    Replaced::Collection => return self.expand_node(node, rounds, depth),
                    Replaced::Scalar => return Some(()),
                }
            }
            text.replace_range(start..=end, &found.map(|found| found.text).unwrap_or_default());
            node.original = None;
        }
        let text: Arc<str> = text.replace("$$", "$").into();
        if node.original.is_some() {
            node.original = Some(Arc::clone(&text));
        }
        node.value = Value::String(text);
        Some(())
    }

    /// Puts the value of a reference in the place of the reference.
    fn replace(node: &mut Node, found: Option<Found>, inside: &str) -> Replaced {
        let reference: Arc<str> = format!("${{{inside}}}").into();
        let Some(Found { text, name, splits_keys }) = found else {
            node.value = Value::Null;
            node.original = None;
            node.reference = Some(reference);
            return Replaced::Scalar;
        };
        // An IPv6 address that ends in colons is no map; what is no YAML is the text that it is: certificates, passwords.
        let address = text.ends_with("::") && !text.contains(char::is_whitespace);
        let parsed = Some(SourceText::new(name, text.as_str()))
            .filter(|_| !address)
            .and_then(|source| yaml::parse(&source, &mut Problems::default()))
            .unwrap_or_else(|| Node::new(node.location.clone(), Value::String(text.as_str().into())));
        let original = parsed.original.clone();
        match parsed.value {
            Value::Mapping(_) => {
                *node = if splits_keys { split_keys(parsed) } else { parsed };
                node.reference = Some(reference);
                Replaced::Collection
            }
            Value::Sequence(_) => {
                *node = Node { original: Some(text.into()), reference: Some(reference), ..parsed };
                Replaced::Collection
            }
            Value::String(_) => {
                let value: Arc<str> = text.as_str().into();
                node.value = Value::String(Arc::clone(&value));
                node.original = Some(value);
                node.reference = Some(reference);
                Replaced::Text(text)
            }
            value => {
                // A comment beside the value is no part of a text.
                let literal = original.filter(|original| **original == *text.trim());
                node.value = value;
                node.original = literal.map(|_| text.into());
                node.reference = Some(reference);
                Replaced::Scalar
            }
        }
    }

    /// What a reference stands for; `Some(None)` for a variable that is not set.
    fn look_up(&mut self, place: &Location, inside: &str) -> Option<Option<Found>> {
        let name = format!("${{{inside}}}");
        let (scheme, rest) = scheme_of(inside);
        match scheme {
            "env" => self.variable(place, rest, name),
            "yaml" => Some(Some(Found { text: rest.to_owned(), name, splits_keys: true })),
            "file" => self.file(place, rest),
            "http" | "https" => {
                let message =
                    format!("{name}: configuration over HTTP is not in this build; fetch it to a file first");
                self.refuse(place, message)
            }
            _ => {
                let message = format!("{name}: the scheme \"{scheme}\" is not known");
                let note = "known are env, file and yaml; write $$ for a $ that is meant as such";
                self.problems.error_with(place, message, [note]);
                None
            }
        }
    }

    fn variable(&mut self, place: &Location, rest: &str, reference: String) -> Option<Option<Found>> {
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        let mut bytes = name.bytes();
        let named = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named {
            let message = format!("environment variable {name:?} has invalid name");
            let note = "a name has letters, digits and underscores; write $$ for a $ that is meant as such";
            self.problems.error_with(place, message, [note]);
            return None;
        }
        let text = match (self.environment.variable(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                self.problems.warning(
                    place,
                    format!("environment variable {name} is not set; the value counts as null"),
                );
                return Some(None);
            }
        };
        Some(Some(Found { text, name: reference, splits_keys: false }))
    }

    fn file(&mut self, place: &Location, path: &str) -> Option<Option<Found>> {
        let content = match self.environment.read(path) {
            Ok(content) => content,
            Err(error) => return self.refuse(place, format!("cannot read ${{file:{path}}}: {error}")),
        };
        let Ok(mut text) = String::from_utf8(content) else {
            return self.refuse(place, format!("${{file:{path}}} is not UTF-8"));
        };
        // Editors end files with a line break; no password or token means it.
        let trimmed = text.strip_suffix('\n').unwrap_or(&text);
        text.truncate(trimmed.strip_suffix('\r').unwrap_or(trimmed).len());
        Some(Some(Found { text, name: path.to_owned(), splits_keys: false }))
    }

    fn give_up<T>(&mut self, place: &Location, message: String) -> Option<T> {
        self.exhausted = true;
        self.refuse(place, message)
    }

    fn refuse<T>(&mut self, place: &Location, message: String) -> Option<T> {
        self.problems.error(place, message);
        None
    }
}

/// The scheme of a reference and what follows it; without one it names a variable.
fn scheme_of(inside: &str) -> (&str, &str) {
    match inside.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) && !rest.starts_with('-') => (scheme, rest),
        _ => ("env", inside),
    }
}

/// The innermost reference that comes first: the places of its `$` and of its `}`.
fn next_reference(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(close) = text.get(from..)?.find('}').map(|at| from + at) {
        let before = text.get(from..close)?;
        if let Some(open) = before.rfind("${").map(|at| from + at) {
            let dollars = text.get(..open)?.bytes().rev().take_while(|byte| *byte == b'$').count();
            if dollars % 2 == 0 {
                return Some((open, close));
            }
        }
        from = close + 1;
    }
    None
}

#[cfg(test)]
mod tests;
