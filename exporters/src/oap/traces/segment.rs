//! Segments of spans that did not come from SkyWalking.

use std::collections::HashMap;

use sluice_pipeline::otlp::{
    view::{Span, SpanLink, Text},
    write::Writer,
};

use super::{
    Foreign, Source,
    attached::{self, Attached, Context},
    endpoint,
    index::{Id, Index, Place, present, segment_id},
    reference::{Caller, Reference},
    semantics::{Meaning, is_entry, is_exit, layer},
    tags,
};
use crate::oap::{
    config::OapConfig,
    streams::{Method, Streams},
    wire::{flag, hexadecimal, int, milliseconds, text},
};

const STATUS_ERROR: i32 = 2;
const CONSUMER: i32 = 5;
/// `SpanType`.
const ENTRY: i64 = 0;
const EXIT: i64 = 1;
const LOCAL: i64 = 2;

/// What all segments of a batch are written with.
struct Segments<'b, 'a> {
    sources: &'b [Source],
    index: &'b Index<'a>,
    config: &'b OapConfig,
}

/// Whether a span begins a segment with a request to elsewhere, and something caused it.
fn needs_stand_in(place: &Place<'_>, span: &Span<'_>) -> bool {
    place.number == 0 && is_exit(span.kind) && place.parent.is_some()
}

fn write_times(object: &mut Writer<'_>, span: &Span<'_>) {
    int(object, 3, milliseconds(span.start_time_unix_nano));
    // OAP takes a span that ends before it begins for one of a negative time.
    int(object, 4, milliseconds(span.end_time_unix_nano.max(span.start_time_unix_nano)));
}

/// Adds the segments of these spans.
pub(super) fn push_all<'a>(
    spans: &[Foreign<'a>],
    sources: &[Source],
    index: &Index<'a>,
    config: &OapConfig,
    streams: &mut Streams,
) {
    let segments = Segments { sources, index, config };
    let mut grouped: HashMap<(usize, Id), Vec<(&Place<'a>, &Foreign<'a>)>> = HashMap::new();
    let mut order = Vec::new();
    for foreign in spans {
        let id = present(foreign.span.trace_id).zip(present(foreign.span.span_id));
        let Some(place) = id.and_then(|id| index.get(id)) else { continue };
        let key = (foreign.source, (place.id.0, place.root));
        let group = grouped.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        group.push((place, foreign));
    }
    for key in order {
        let Some(group) = grouped.remove(&key) else { continue };
        let Some(source) = sources.get(key.0) else { continue };
        let (trace, root) = key.1;
        segments.push(source, (&hexadecimal(&trace), &segment_id(&trace, &root)), &group, streams);
    }
}

impl<'a> Segments<'_, 'a> {
    fn push(
        &self,
        source: &Source,
        (trace, segment): (&str, &str),
        spans: &[(&Place<'a>, &Foreign<'a>)],
        streams: &mut Streams,
    ) {
        streams.push(Method::Segments, "", spans.len(), |out| {
            let mut object = Writer::new(out);
            text(&mut object, 1, trace);
            text(&mut object, 2, segment);
            for (place, foreign) in spans {
                object.message(3, |object| self.write(object, place, foreign, source, spans.len()));
            }
            for (place, foreign) in
                spans.iter().filter(|(place, foreign)| needs_stand_in(place, &foreign.span))
            {
                object.message(3, |object| self.write_stand_in(object, place, foreign, source, spans.len()));
            }
            text(&mut object, 4, &source.entity.service);
            text(&mut object, 5, &source.entity.instance);
        });
        for (place, foreign) in spans {
            let number = place.number.to_string();
            let context = Context::skywalking(trace, segment, &number);
            for event in foreign.span.events().filter(|event| attached::end(event).is_some()) {
                Attached { event: &event, context: &context, entity: &source.entity }.push(streams, 0);
            }
        }
    }

    fn write(
        &self,
        object: &mut Writer<'_>,
        place: &Place<'a>,
        foreign: &Foreign<'a>,
        source: &Source,
        stand_in: usize,
    ) {
        let span = &foreign.span;
        let meaning = Meaning::of(span.attributes(), span.kind);
        let parent = self.index.parent(place);
        let in_segment = parent.filter(|parent| place.number > 0 && parent.root == place.root);
        let has_stand_in = in_segment.is_none() && needs_stand_in(place, span);
        let parent = match in_segment {
            Some(parent) => i64::from(parent.number),
            None if has_stand_in => i64::try_from(stand_in).unwrap_or(-1),
            None => -1,
        };
        int(object, 1, i64::from(place.number));
        int(object, 2, parent);
        write_times(object, span);
        if in_segment.is_none() && !has_stand_in {
            self.write_references(object, place, span, &meaning, source);
        }
        text(object, 6, span.name.as_str());
        text(object, 7, &meaning.peer);
        int(
            object,
            8,
            if is_entry(span.kind) {
                ENTRY
            } else if is_exit(span.kind) {
                EXIT
            } else {
                LOCAL
            },
        );
        int(object, 9, meaning.layer);
        int(object, 10, meaning.component);
        flag(object, 11, span.status().code == STATUS_ERROR);
        tags::write(object, span, &foreign.scope, meaning.layer);
        tags::write_logs(object, span);
        // OAP makes an endpoint of a local span that refers to another segment.
        flag(object, 14, !is_entry(span.kind) && !is_exit(span.kind));
    }

    /// A span that refers to the parent of an Exit at the beginning of a segment. OAP makes an endpoint of an Exit that
    /// refers to another segment by itself, and draws no edge from one that it is not to analyse.
    fn write_stand_in(
        &self,
        object: &mut Writer<'_>,
        place: &Place<'a>,
        foreign: &Foreign<'a>,
        source: &Source,
        number: usize,
    ) {
        let span = &foreign.span;
        int(object, 1, i64::try_from(number).unwrap_or_default());
        int(object, 2, -1);
        write_times(object, span);
        self.write_references(object, place, span, &Meaning::default(), source);
        text(object, 6, span.name.as_str());
        int(object, 8, LOCAL);
        flag(object, 14, true);
    }

    /// The parent in another segment, and what a consumer of many messages is linked to.
    fn write_references(
        &self,
        object: &mut Writer<'_>,
        place: &Place<'a>,
        span: &Span<'a>,
        meaning: &Meaning,
        source: &Source,
    ) {
        if let Some(parent) = place.parent {
            self.write_reference(object, (place.id.0, parent), span.kind, meaning, source);
        }
        if span.kind == CONSUMER {
            for link in span.links() {
                let linked = |link: &SpanLink<'_>| present(link.trace_id).zip(present(link.span_id));
                let Some(id) = linked(&link).filter(|id| Some(id.1) != place.parent) else { continue };
                self.write_reference(object, id, span.kind, meaning, source);
            }
        }
    }

    fn write_reference(
        &self,
        object: &mut Writer<'_>,
        id: Id,
        kind: i32,
        meaning: &Meaning,
        source: &Source,
    ) {
        let known = self.index.get(id);
        let of = known.and_then(|place| self.sources.get(place.source));
        let is_own = of.map_or(!is_entry(kind), |of| std::ptr::eq(of, source));
        let name = known.map_or("", |place| endpoint(self.index, place));
        let caller = match of {
            Some(of) => of.caller(name),
            None if is_own => source.caller(""),
            // The broker is what OAP takes for the caller then.
            None if meaning.layer == layer::MQ => Caller::default(),
            None => Caller { service: &self.config.unknown_caller, ..Caller::default() },
        };
        let root = known.map_or(id.1, |place| place.root);
        let reference = Reference {
            kind: i64::from(is_own),
            trace: &hexadecimal(&id.0),
            segment: &segment_id(&id.0, &root),
            span: known.map_or(0, |place| i64::from(place.number)),
            caller,
            address: &meaning.called_as,
        };
        reference.write(object, 5);
    }
}
