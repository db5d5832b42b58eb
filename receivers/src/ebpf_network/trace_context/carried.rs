//! The contexts of one request in a buffer of their own, which outlives the head and is used again.

use std::ops::Range;

use super::{Context, Contexts, Format, Headers, b3, sw8, w3c};

/// Trace contexts that were read from headers.
#[derive(Debug, Default)]
pub struct Carried {
    text: String,
    entries: [Option<Entry>; 4],
    sampled: Option<bool>,
}

#[derive(Debug)]
struct Entry {
    format: Format,
    trace_id: Range<usize>,
    span_id: Range<usize>,
    segment_id: Range<usize>,
    sampled: Option<bool>,
}

impl Carried {
    /// Reads the headers, in place of what was there. What is not valid by its specification is left out.
    pub fn read(&mut self, headers: &Headers<'_>) {
        self.clear();
        let [first, second, third, fourth] = &mut self.entries;
        let text = &mut self.text;
        if let Some(parent) = headers.traceparent.get().and_then(w3c::parse) {
            self.sampled = Some(parent.sampled);
            *first = Some(entry(text, Format::W3c, (parent.trace_id, parent.span_id), Some(parent.sampled)));
        }
        if let Some(parent) = headers.b3.get().and_then(b3::single) {
            self.sampled = self.sampled.or(parent.sampled);
            *second = parent.ids.map(|ids| entry(text, Format::B3, ids, parent.sampled));
        }
        let parent = b3::multi(
            headers.trace_id.get(),
            headers.span_id.get(),
            headers.sampled.get(),
            headers.flags.get(),
        );
        self.sampled = self.sampled.or(parent.sampled);
        *third = parent.ids.map(|ids| entry(text, Format::B3Multi, ids, parent.sampled));
        let begin = text.len();
        if let Some((parent, trace, segment)) = headers.sw8.get().and_then(|value| sw8::parse(value, text)) {
            self.sampled = self.sampled.or(Some(parent.sampled));
            let trace_id = begin..begin + trace;
            let segment_id = trace_id.end..trace_id.end + segment;
            let span_id = push(text, parent.span_id);
            let sampled = Some(parent.sampled);
            *fourth = Some(Entry { format: Format::Sw8, trace_id, span_id, segment_id, sampled });
        }
    }

    /// What was read.
    #[must_use]
    pub fn contexts(&self) -> Contexts<'_> {
        let mut contexts = Contexts { list: [None; 4], sampled: self.sampled };
        if self.text.is_empty() {
            return contexts;
        }
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        for (place, entry) in contexts.list.iter_mut().zip(&self.entries) {
            if let Some(entry) = entry {
                *place = Some(Context {
                    format: entry.format,
                    trace_id: text(&entry.trace_id),
                    span_id: text(&entry.span_id),
                    segment_id: text(&entry.segment_id),
                    sampled: entry.sampled,
                });
            }
        }
        contexts
    }

    /// Forgets what was read, keeps the buffer.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries = [const { None }; 4];
        self.sampled = None;
    }

    /// Bytes that the buffer takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.capacity()
    }
}

fn entry(text: &mut String, format: Format, ids: (&str, &str), sampled: Option<bool>) -> Entry {
    let trace_id = push(text, ids.0);
    let span_id = push(text, ids.1);
    Entry { format, trace_id, span_id, segment_id: 0..0, sampled }
}

fn push(text: &mut String, part: &str) -> Range<usize> {
    let begin = text.len();
    text.push_str(part);
    begin..text.len()
}
