//! Spans to spans.

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text, write_true},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{id, span};

use super::{
    super::{
        Malformed, nanoseconds,
        output::Repairs,
        pair::{bytes, fields, number, small_number},
        record::write_some,
    },
    Segment,
    event::write_event,
    peer::write_peer,
    tag::write_tag,
    write_name,
};

pub(super) const SPAN: &str = "SpanObject";
/// `Span.attributes`.
pub(super) const ATTRIBUTES: u32 = 9;
/// `parentSpanId` of the first span of a segment.
pub(super) const NO_PARENT: i32 = -1;
/// `SpanLayer.MQ`.
const MQ: i32 = 4;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// `SPAN_KIND_SERVER`.
pub(super) const SERVER: u64 = 2;
const LAYERS: [&str; 7] = ["Unknown", "Database", "RPCFramework", "Http", "MQ", "Cache", "FAAS"];

/// The fields of a span that occur once.
#[derive(Default)]
pub(super) struct Span<'m> {
    pub(super) id: i32,
    pub(super) parent_id: i32,
    start: i64,
    end: i64,
    name: &'m [u8],
    peer: &'m [u8],
    span_type: i32,
    layer: i32,
    component: i32,
    failed: bool,
    skip_analysis: bool,
    pub(super) references: usize,
}

impl<'m> Span<'m> {
    fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut span = Self::default();
        fields(SPAN, message, |field, value| {
            match field {
                1 => span.id = small_number(SPAN, field, value)?,
                2 => span.parent_id = small_number(SPAN, field, value)?,
                3 => span.start = number(SPAN, field, value)?,
                4 => span.end = number(SPAN, field, value)?,
                5 => span.references += 1,
                6 => span.name = bytes(SPAN, field, value)?,
                7 => span.peer = bytes(SPAN, field, value)?,
                8 => span.span_type = small_number(SPAN, field, value)?,
                9 => span.layer = small_number(SPAN, field, value)?,
                10 => span.component = small_number(SPAN, field, value)?,
                11 => span.failed = number(SPAN, field, value)? != 0,
                14 => span.skip_analysis = number(SPAN, field, value)? != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(span)
    }

    /// `SpanKind`.
    const fn kind(&self) -> u64 {
        match (self.span_type, self.layer) {
            (0, MQ) => 5,
            (1, MQ) => 4,
            (0, _) => SERVER,
            (1, _) => 3,
            (2, _) => 1,
            _ => 0,
        }
    }
}

impl Segment<'_> {
    pub(super) fn write_span(
        &self,
        writer: &mut Writer<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<(), Malformed> {
        let span = Span::read(message)?;
        writer.bytes(1, &self.otlp_trace_id);
        writer.bytes(2, &self.spans.span_id(span.id));
        if let Some(parent) = self.parent(&span, message, repairs)? {
            writer.bytes(4, &parent);
        }
        if !span.name.is_empty() {
            writer.bytes(5, repairs.text(span.name).as_bytes());
        }
        let kind = span.kind();
        if kind != 0 {
            writer.varint(6, kind);
        }
        writer.fixed64(7, nanoseconds(span.start));
        writer.fixed64(8, nanoseconds(span.end));
        fields(SPAN, message, |field, value| match field {
            5 => self.write_link(writer, bytes(SPAN, field, value)?, repairs),
            12 => write_tag(writer, bytes(SPAN, field, value)?, repairs),
            13 => write_event(writer, bytes(SPAN, field, value)?, repairs),
            _ => Ok(()),
        })?;
        self.write_own(writer, &span, kind, repairs);
        if span.failed {
            writer.message(15, |writer| writer.varint(3, ERROR));
        }
        Ok(())
    }

    /// What OTLP has no field for.
    fn write_own(&self, writer: &mut Writer<'_>, span: &Span<'_>, kind: u64, repairs: &mut Repairs) {
        write_some(writer, ATTRIBUTES, id::TRACE_ID, &self.trace_id);
        write_text(writer, ATTRIBUTES, id::SEGMENT_ID, &self.segment_id);
        write_int(writer, ATTRIBUTES, id::SPAN_ID, span.id.into());
        if span.parent_id != NO_PARENT {
            write_int(writer, ATTRIBUTES, id::PARENT_SPAN_ID, span.parent_id.into());
        }
        if kind == 0 {
            write_int(writer, ATTRIBUTES, span::TYPE, span.span_type.into());
        }
        if span.layer != 0 {
            write_name(writer, ATTRIBUTES, span::LAYER, span.layer, &LAYERS);
        }
        if span.component != 0 {
            write_int(writer, ATTRIBUTES, span::COMPONENT_ID, span.component.into());
        }
        if !span.peer.is_empty() {
            write_peer(writer, kind, &repairs.text(span.peer));
        }
        for (flag, key) in
            [(span.skip_analysis, span::SKIP_ANALYSIS), (self.size_limited, span::SIZE_LIMITED)]
        {
            if flag {
                write_true(writer, ATTRIBUTES, key);
            }
        }
    }
}
