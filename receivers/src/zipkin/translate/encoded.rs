//! Events and links that an exporter packed into text, unpacked again.

use sluice_pipeline::otlp::write::Writer;
use sluice_protocols::{
    json::Reader,
    zipkin::{SpanId, TraceId, parse_span_id, parse_trace_id},
};

use super::attribute::write_json_object;

/// An annotation of the form `name|{attributes}|dropped attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'s> {
    pub(super) name: &'s str,
    pub(super) attributes: Attributes<'s>,
}

/// A tag of the form `trace id|span id|trace state|{attributes}|dropped attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link<'s> {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) trace_state: &'s str,
    pub(super) attributes: Attributes<'s>,
}

/// `{attributes}|dropped attributes`, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes<'s> {
    json: &'s str,
    pub(super) dropped: u32,
}

impl<'s> Event<'s> {
    /// The event in an annotation; `None` if it is no such text.
    pub(super) fn decode(value: &'s str) -> Option<Self> {
        let (name, attributes) = split(value)?;
        Some(Self { name, attributes })
    }
}

impl<'s> Link<'s> {
    /// The link in a tag; `None` if it is no such text.
    pub(super) fn decode(value: &'s str) -> Option<Self> {
        let (trace_id, rest) = value.split_once('|')?;
        let (span_id, rest) = rest.split_once('|')?;
        let (trace_state, attributes) = split(rest)?;
        Some(Self {
            trace_id: parse_trace_id(trace_id).ok()?,
            span_id: parse_span_id(span_id).ok()?,
            trace_state,
            attributes,
        })
    }
}

/// Splits `text|{attributes}|dropped attributes`, where the text may hold bars itself.
fn split(value: &str) -> Option<(&str, Attributes<'_>)> {
    let (rest, dropped) = value.rsplit_once('|')?;
    let dropped = dropped.parse().ok().filter(|_| !dropped.starts_with('+'))?;
    let (text, _) = rest.split_once("|{")?;
    let json = rest.get(text.len() + 1..)?;
    let mut reader = Reader::new(json);
    // Checks the nesting too: attributes deeper than OTLP may have stay text.
    write_json_object(&mut Writer::new(&mut Vec::new()), 1, &mut reader).and_then(|()| reader.end()).ok()?;
    Some((text, Attributes { json, dropped }))
}

impl Attributes<'_> {
    /// Writes each as field `number`.
    pub(super) fn write(self, writer: &mut Writer<'_>, number: u32) {
        // Checked when it was split, so it cannot fail here.
        let _ = write_json_object(writer, number, &mut Reader::new(self.json));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_unpacked() {
        let event = Event::decode(r#"a|b|{"k":"v|w"}|3"#).unwrap();
        assert_eq!(
            (event.name, event.attributes.json, event.attributes.dropped),
            ("a|b", r#"{"k":"v|w"}"#, 3)
        );
        assert_eq!(Event::decode("|{}|0").unwrap().name, "");
    }

    #[test]
    fn what_only_resembles_one_stays_text() {
        let deep = format!("a|{{\"k\":{}{}}}|0", "[".repeat(20), "]".repeat(20));
        for value in [
            "", "a", "a|b", "a|b|c", "a|{}", "a|{}|x", "a|{}|-1", "a|{}|+1", "a|{} |", "a|{]|1", "a|{}x|1",
            &deep,
        ] {
            assert_eq!(Event::decode(value), None, "{value}");
        }
    }

    #[test]
    fn a_link_is_unpacked() {
        let text = "463ac35c9f6413ad48485a3953bb6124|a2fb4a1d1a96d312|k=v|{}|1";
        let link = Link::decode(text).unwrap();
        assert_eq!(link.span_id, 0xa2fb_4a1d_1a96_d312_u64.to_be_bytes());
        assert_eq!((link.trace_state, link.attributes.dropped), ("k=v", 1));
        assert_eq!(Link::decode("x|a2fb4a1d1a96d312||{}|0"), None);
        assert_eq!(Link::decode("463ac35c9f6413ad|a2fb4a1d1a96d312"), None);
    }
}
