//! From YAML text to a tree, within bounds.
//!
//! The parser's events are taken one by one: nothing recurses, and aliases are charged before they are copied, so
//! that a small file cannot become a large tree.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    Location, Problems, SourceText,
    node::{Entry, Mapping, Node, Value},
    scalar,
};

/// The largest text that is parsed, in bytes.
pub(super) const LARGEST_TEXT: usize = 16 << 20;
/// The largest tree, in values; long strings count once more for each [`TEXT_UNIT`] bytes.
const LARGEST_TREE: usize = 1_000_000;
/// How many bytes of a string weigh as much as a value.
const TEXT_UNIT: usize = 64;
/// The deepest nesting of lists and maps.
const DEEPEST: usize = 100;

/// Parses one YAML text under a name for its places, without merging or expanding anything; `None`, with the reason
/// among the problems, if it is not UTF-8, no YAML or too large.
pub fn parse_bytes(name: &str, bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    if bytes.len() > LARGEST_TEXT {
        let message = format!("the configuration has more than {} MiB", LARGEST_TEXT >> 20);
        problems.error(&Location::whole(name), message);
        return None;
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        problems.error(&Location::whole(name), "the text is UTF-16; save it as UTF-8");
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(&SourceText::new(name, text.trim_start_matches('\u{feff}')), problems),
        Err(error) => {
            let source = SourceText::new(name, String::from_utf8_lossy(bytes));
            let place = Location::of_offset(&source, error.valid_up_to());
            let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            problems.error(&place, format!("byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"));
            None
        }
    }
}

/// Parses a text; `None` if it is no YAML, which is then among the problems.
pub(super) fn parse(source: &Arc<SourceText>, problems: &mut Problems) -> Option<Node> {
    match Builder::new(source).build(problems) {
        Ok(node) => Some(node),
        Err(Refusal { location, message, note }) => {
            match note {
                Some(note) => problems.error_with(&location, message, [note]),
                None => problems.error(&location, message),
            }
            None
        }
    }
}

struct Refusal {
    location: Location,
    message: String,
    note: Option<String>,
}

impl Refusal {
    fn new(location: Location, message: impl Into<String>) -> Self {
        Self { location, message: message.into(), note: None }
    }
}

struct Builder<'a> {
    source: &'a Arc<SourceText>,
    open: Vec<Collection>,
    anchors: HashMap<usize, Anchored>,
    weight: usize,
}

/// A finished value that may be repeated.
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

/// A list or map whose end has not been seen.
struct Collection {
    location: Location,
    anchor: usize,
    weight_before: usize,
    /// The deepest nesting below it, itself included.
    depth: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Mapping,
        known: HashSet<Arc<str>>,
        key: Option<(Arc<str>, Location)>,
        merged: Vec<Node>,
    },
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<SourceText>) -> Self {
        Self { source, open: Vec::new(), anchors: HashMap::new(), weight: 0 }
    }

    fn build(mut self, problems: &mut Problems) -> Result<Node, Refusal> {
        let text = self.source.text();
        if text.len() > LARGEST_TEXT {
            let message = format!("the configuration has more than {} MiB", LARGEST_TEXT >> 20);
            return Err(Refusal::new(Location::whole(self.source.name()), message));
        }
        self.refuse_control_characters(text)?;
        let mut root = None;
        let mut documents = 0;
        let mut parser = Parser::<StrInput<'_>>::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let place = self.place(span.start);
                        problems.warning(&place, "a file holds one document: what follows is not used");
                        break;
                    }
                }
                Event::StreamEnd => break,
                event => {
                    if let Some(node) = self.take(event, span)? {
                        root = Some(node);
                    }
                }
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Location::new(self.source, 1, 1), Value::Null)))
    }

    /// Takes an event; the root once it is complete.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Node>, Refusal> {
        let location = self.place(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.charge(&location, 1 + text.len() / TEXT_UNIT)?;
                let node = scalar_node(location, &text, style, tag.as_deref())?;
                self.finish(node, anchor, 0, self.weight)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(location, anchor, tag.as_deref(), "seq", Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Mapping {
                    entries: Mapping::default(),
                    known: HashSet::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(location, anchor, tag.as_deref(), "map", content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(collection) = self.open.pop() else { return Ok(None) };
                let value = match collection.content {
                    Content::Sequence(items) => Value::Sequence(items),
                    Content::Mapping { mut entries, mut known, merged, .. } => {
                        merge_into(&mut entries, &mut known, merged)?;
                        Value::Mapping(entries)
                    }
                };
                let node = Node::new(collection.location, value);
                self.finish(node, collection.anchor, collection.depth, collection.weight_before)
            }
            Event::Alias(anchor) => self.repeat(location, anchor),
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        location: Location,
        anchor: usize,
        tag: Option<&Tag>,
        expected_tag: &str,
        content: Content,
    ) -> Result<Option<Node>, Refusal> {
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == expected_tag)) {
            return Err(Refusal::new(location, format!("the tag {tag} is not supported; remove it")));
        }
        if self.open.len() >= DEEPEST {
            return Err(Refusal::new(location, format!("nested more than {DEEPEST} levels deep")));
        }
        if let Some(Collection { content: Content::Mapping { key: None, .. }, .. }) = self.open.last() {
            return Err(Refusal::new(location, "a key must be a string, not a list or map"));
        }
        let weight_before = self.weight;
        self.charge(&location, 1)?;
        self.open.push(Collection { location, anchor, weight_before, depth: 1, content });
        Ok(None)
    }

    fn repeat(&mut self, location: Location, anchor: usize) -> Result<Option<Node>, Refusal> {
        let Some(Anchored { node, weight, depth }) = self.anchors.get(&anchor) else {
            return Err(Refusal::new(location, "the alias stands inside the value that it repeats"));
        };
        if self.open.len() + depth > DEEPEST {
            return Err(Refusal::new(location, format!("nested more than {DEEPEST} levels deep by aliases")));
        }
        let (weight, depth) = (*weight, *depth);
        if self.weight.saturating_add(weight) > LARGEST_TREE {
            return Err(Refusal::new(location, format!("aliases make this more than {LARGEST_TREE} values")));
        }
        let node = node.clone();
        let weight_before = self.weight;
        self.weight += weight;
        self.finish(node, 0, depth, weight_before)
    }

    /// Hands a complete value to what is open; the root, if nothing is.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        depth: usize,
        weight_before: usize,
    ) -> Result<Option<Node>, Refusal> {
        if anchor != 0 {
            let weight = (self.weight - weight_before).max(1);
            self.charge(&node.location, weight)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, depth });
        }
        let Some(parent) = self.open.last_mut() else { return Ok(Some(node)) };
        parent.depth = parent.depth.max(depth + 1);
        match &mut parent.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, known, key, merged } => match key.take() {
                None => *key = Some(key_of(node)?),
                Some((name, _)) if &*name == "<<" => merged.push(node),
                Some((name, location)) => {
                    if !known.insert(Arc::clone(&name)) {
                        let first = entries.entry(&name).map_or(0, |entry| entry.location.line);
                        let message = format!("the key \"{name}\" is already set on line {first}");
                        return Err(Refusal::new(location, message));
                    }
                    entries.push(Entry { key: name, location, value: node });
                }
            },
        }
        Ok(None)
    }

    fn charge(&mut self, location: &Location, weight: usize) -> Result<(), Refusal> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > LARGEST_TREE {
            let message = format!("the configuration has more than {LARGEST_TREE} values");
            return Err(Refusal::new(location.clone(), message));
        }
        Ok(())
    }

    fn place(&self, marker: Marker) -> Location {
        Location::new(self.source, marker.line(), marker.col() + 1)
    }

    /// The parser takes a zero byte for the end of the text.
    fn refuse_control_characters(&self, text: &str) -> Result<(), Refusal> {
        let refused = |character: char| {
            (character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}'))
                || character == '\u{fffe}'
        };
        let Some((offset, character)) = text.char_indices().find(|(_, character)| refused(*character)) else {
            return Ok(());
        };
        let place = Location::of_offset(self.source, offset);
        Err(Refusal::new(
            place,
            format!("the control character U+{:04X} is not allowed", u32::from(character)),
        ))
    }

    fn syntax(&self, error: &ScanError) -> Refusal {
        let location = self.place(*error.marker());
        if error.info().contains("recursion limit") {
            return Refusal::new(location, format!("nested more than {DEEPEST} levels deep"));
        }
        let near = [location.line, location.line.saturating_sub(1), location.line + 1];
        for line in near {
            let text = self.source.line(line);
            let indentation = text.len() - text.trim_start().len();
            let tab = text.get(..indentation).and_then(|white| white.chars().position(|white| white == '\t'));
            if let Some(tab) = tab.filter(|_| !text.trim().is_empty()) {
                let place = Location { line, column: u32::try_from(tab + 1).unwrap_or(1), ..location };
                return Refusal::new(place, "a tab indents this line; YAML is indented with spaces");
            }
        }
        Refusal {
            note: hint(error.info()),
            ..Refusal::new(location, format!("this is no YAML: {}", error.info()))
        }
    }
}

/// What usually causes the parser's complaint.
fn hint(complaint: &str) -> Option<String> {
    let hint = if complaint.contains("quoted scalar") {
        "a quote that is opened must be closed"
    } else if complaint.contains("mapping values are not allowed")
        || complaint.contains("did not find expected key")
    {
        "look for a wrong indentation, or for a text with \": \" in it that needs quotes"
    } else if complaint.contains("illegal placement") || complaint.contains("expected ',' or") {
        "a bracket or brace that is opened must be closed"
    } else if complaint.contains("anchor") {
        "an alias (*name) repeats a value marked before it (&name); a text that starts with * needs quotes"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn scalar_node(
    location: Location,
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Node, Refusal> {
    let quoted = style != ScalarStyle::Plain;
    let value = match tag {
        None if quoted => Value::String(text.into()),
        None => scalar::resolve(text),
        Some(tag) => {
            let Some(value) = scalar::tagged(tag, text) else {
                return Err(Refusal::new(location, format!("the tag {tag} does not fit; remove it")));
            };
            value
        }
    };
    let original = match &value {
        Value::String(_) | Value::Null => None,
        _ => Some(Arc::from(text)),
    };
    Ok(Node { quoted, original, ..Node::new(location, value) })
}

fn key_of(node: Node) -> Result<(Arc<str>, Location), Refusal> {
    match (node.value, node.original) {
        (Value::String(text), _) => Ok((text, node.location)),
        (_, Some(original)) => Ok((original, node.location)),
        (Value::Null, None) => Ok(("".into(), node.location)),
        _ => Err(Refusal::new(node.location, "a key must be a string, not a list or map")),
    }
}

/// Adds what `<<` names, where the map does not have it itself; earlier maps win over later ones.
fn merge_into(
    entries: &mut Mapping,
    known: &mut HashSet<Arc<str>>,
    merged: Vec<Node>,
) -> Result<(), Refusal> {
    for node in merged {
        let maps = match node.value {
            Value::Sequence(items) => items,
            _ => vec![node],
        };
        for map in maps {
            let Value::Mapping(map) = map.value else {
                return Err(Refusal::new(map.location, "\"<<\" takes a map or a list of maps"));
            };
            for entry in map.iter().filter(|entry| !known.contains(&entry.key)).cloned().collect::<Vec<_>>() {
                known.insert(Arc::clone(&entry.key));
                entries.push(entry);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
