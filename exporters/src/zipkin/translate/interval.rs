//! Span events that have an end: in Zipkin two annotations and a tag.
//!
//! An event `HTTP Request Sampling` becomes the annotations `Start HTTP Request Sampling-1` and `Finished HTTP Request
//! Sampling-1` and the tag `http.request.sampling-1.tags`, which holds its attributes as JSON. The numbers count the
//! events of that name on the span; what a span that came from Zipkin has already is left alone.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use sluice_pipeline::{
    exchange::event,
    otlp::{
        view::{AnyValue, Attributes, Repeated, Span, SpanEvent, Text},
        write::Writer,
    },
};
use sluice_protocols::zipkin::Annotation;

use super::tags::Tag;

/// Numbers the intervals of one span.
pub(super) struct Intervals<'r> {
    /// How many the span got before this part of it was sent.
    before: u64,
    /// The last number of each name.
    numbers: HashMap<&'r str, u64>,
    /// Annotations and tags that the span has without them.
    taken: Option<HashSet<&'r str>>,
}

impl<'r> Intervals<'r> {
    pub(super) fn new(before: u64) -> Self {
        Self { before, numbers: HashMap::new(), taken: None }
    }

    /// Pushes an event that ends at `end`, in nanoseconds.
    pub(super) fn push(
        &mut self,
        span: &Span<'r>,
        event: &SpanEvent<'r>,
        end: u64,
        annotations: &mut Vec<Annotation<'r>>,
        tags: &mut Vec<Tag<'r>>,
    ) {
        let name = event.name.as_str();
        let lower_case = name.to_lowercase().replace(' ', ".");
        let taken = self.taken.get_or_insert_with(|| taken_by(span));
        let number = self.numbers.entry(name).or_insert(self.before);
        let (start, tag) = loop {
            *number += 1;
            let (start, tag) = (format!("Start {name}-{number}"), format!("{lower_case}-{number}.tags"));
            if !taken.contains(start.as_str()) && !taken.contains(tag.as_str()) {
                break (start, tag);
            }
        };
        let finished = format!("Finished {name}-{number}");
        for (nanoseconds, value) in [(event.time_unix_nano, start), (end, finished)] {
            annotations.push(Annotation { timestamp: nanoseconds / 1_000, value: value.into() });
        }
        tags.push((tag.into(), attributes(event.attributes()).into()));
    }
}

/// When the event ends, in nanoseconds; `None` if it has no end.
pub(super) fn end(event: &SpanEvent<'_>) -> Option<u64> {
    event.attributes().find_map(|pair| match pair.value {
        AnyValue::Int(end) if is_end(pair.key) => u64::try_from(end).ok(),
        _ => None,
    })
}

fn is_end(key: &[u8]) -> bool {
    key == event::END.as_bytes()
}

fn taken_by<'r>(span: &Span<'r>) -> HashSet<&'r str> {
    let annotations =
        span.events().map(|event| event.name.as_str()).filter(|name| name.starts_with("Start "));
    let tags = span.attributes().map(|pair| pair.key.as_str()).filter(|key| key.ends_with(".tags"));
    annotations.chain(tags).collect()
}

/// The attributes but for the end, as JSON that is YAML too.
fn attributes(attributes: Attributes<'_>) -> String {
    let mut others = Vec::new();
    let mut writer = Writer::new(&mut others);
    attributes.filter(|pair| !is_end(pair.key)).for_each(|pair| writer.bytes(1, pair.message));
    let json = AnyValue::KeyValues(Repeated::all(&others, 1)).text().into_owned();
    printable(&json).into_owned()
}

/// JSON takes more characters as they are than YAML does.
fn printable(json: &str) -> Cow<'_, str> {
    let is_special = |character: char| matches!(character, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' | '\u{feff}');
    if !json.contains(is_special) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if is_special(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped.into()
}
