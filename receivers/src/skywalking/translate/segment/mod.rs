//! Segments to spans.

mod check;
mod event;
mod peer;
mod reference;
mod span;
mod tag;

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::resource,
    id::{Rules, SegmentSpans},
};

pub(super) use self::check::{Checked, check};
use super::{
    Kind, Malformed,
    output::Output,
    pair::{bytes, fields, number},
    record::write_some,
};

const SEGMENT: &str = "SegmentObject";

/// Takes each `SegmentObject` of a message, which is one, or a `SegmentCollection`; of other kinds there are none.
pub(super) fn each<'m>(
    kind: Kind,
    message: &'m [u8],
    mut take: impl FnMut(&'m [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    const COLLECTION: &str = "SegmentCollection";
    match kind {
        Kind::Segment => take(message),
        Kind::SegmentCollection => fields(COLLECTION, message, |number, value| match number {
            1 => take(bytes(COLLECTION, number, value)?),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

/// Writes a `SegmentObject`.
pub(super) fn segment(message: &[u8], rules: Rules, output: &mut Output) -> Result<(), Malformed> {
    let header = Header::read(message)?;
    let service = output.repairs.text(header.service);
    let instance = output.repairs.text(header.instance);
    let trace_id = output.repairs.text(header.trace_id);
    let segment_id = output.repairs.text(header.segment_id);
    let segment = Segment {
        rules,
        spans: rules.segment(&segment_id),
        otlp_trace_id: rules.trace_id(&trace_id),
        trace_id,
        segment_id,
        size_limited: header.size_limited,
    };
    let resource = |writer: &mut Writer<'_>| {
        write_some(writer, 1, resource::SERVICE_NAME, &service);
        write_some(writer, 1, resource::SERVICE_INSTANCE, &instance);
    };
    output.add(resource, |items| {
        fields(SEGMENT, message, |number, value| {
            if number != 3 {
                return Ok(());
            }
            let span = bytes(SEGMENT, number, value)?;
            items.item(1, |writer, repairs| segment.write_span(writer, span, repairs))
        })
    })
}

/// What a segment says for all its spans, which mostly stand before it.
#[derive(Default)]
struct Header<'m> {
    trace_id: &'m [u8],
    segment_id: &'m [u8],
    service: &'m [u8],
    instance: &'m [u8],
    size_limited: bool,
}

impl<'m> Header<'m> {
    fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut header = Self::default();
        fields(SEGMENT, message, |field, value| {
            match field {
                1 => header.trace_id = bytes(SEGMENT, field, value)?,
                2 => header.segment_id = bytes(SEGMENT, field, value)?,
                4 => header.service = bytes(SEGMENT, field, value)?,
                5 => header.instance = bytes(SEGMENT, field, value)?,
                6 => header.size_limited = number(SEGMENT, field, value)? != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(header)
    }
}

/// What each of its spans says of a segment.
struct Segment<'m> {
    rules: Rules,
    spans: SegmentSpans,
    otlp_trace_id: [u8; 16],
    trace_id: Cow<'m, str>,
    segment_id: Cow<'m, str>,
    size_limited: bool,
}

/// Writes the name of a value of an enum, or its number if it has none.
fn write_name(writer: &mut Writer<'_>, number: u32, key: &str, value: i32, names: &[&str]) {
    match usize::try_from(value).ok().and_then(|place| names.get(place)) {
        Some(name) => write_text(writer, number, key, name),
        None => write_int(writer, number, key, value.into()),
    }
}
