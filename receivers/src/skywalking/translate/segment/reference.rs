//! References to spans of other segments: parents and links.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    wire::Fields,
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{id, link},
    id::Rules,
};

use super::{
    super::{
        Malformed,
        output::Repairs,
        pair::{bytes, fields, small_number},
        record::write_some,
    },
    Segment,
    span::{NO_PARENT, SPAN, Span},
    write_name,
};

pub(super) const REFERENCE: &str = "SegmentReference";
/// `Span.Link.attributes`.
const LINK_ATTRIBUTES: u32 = 4;
const REF_TYPES: [&str; 2] = ["CrossProcess", "CrossThread"];

impl Segment<'_> {
    /// The span's parent in its segment, else the first that a reference names. A span is never its own parent.
    pub(super) fn parent(
        &self,
        span: &Span<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<Option<[u8; 8]>, Malformed> {
        if span.parent_id != NO_PARENT {
            return Ok((span.parent_id != span.id).then(|| self.spans.span_id(span.parent_id)));
        }
        if span.references == 0 || (self.rules == Rules::Contrib && span.references > 1) {
            return Ok(None);
        }
        for field in Fields::of(message).flatten().filter(|field| field.number == 5) {
            let reference = Reference::read(bytes(SPAN, 5, field.value)?, repairs)?;
            let in_trace = self.rules == Rules::Contrib || reference.trace_id == self.trace_id;
            let itself = reference.segment_id == self.segment_id && reference.span_id == span.id;
            if in_trace && !itself && !reference.segment_id.is_empty() {
                return Ok(Some(self.rules.span_id(&reference.segment_id, reference.span_id)));
            }
        }
        Ok(None)
    }

    /// Writes a reference as a link.
    pub(super) fn write_link(
        &self,
        writer: &mut Writer<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<(), Malformed> {
        let reference = Reference::read(message, repairs)?;
        writer.message(13, |writer| {
            let trace_id = if reference.trace_id == self.trace_id {
                self.otlp_trace_id
            } else {
                self.rules.trace_id(&reference.trace_id)
            };
            writer.bytes(1, &trace_id);
            writer.bytes(2, &self.rules.span_id(&reference.segment_id, reference.span_id));
            write_name(writer, LINK_ATTRIBUTES, link::REF_TYPE, reference.ref_type, &REF_TYPES);
            write_some(writer, LINK_ATTRIBUTES, id::TRACE_ID, &reference.trace_id);
            write_text(writer, LINK_ATTRIBUTES, id::PARENT_SEGMENT_ID, &reference.segment_id);
            write_int(writer, LINK_ATTRIBUTES, id::PARENT_SPAN_ID, reference.span_id.into());
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_SERVICE, &reference.service);
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_INSTANCE, &reference.instance);
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_ENDPOINT, &reference.endpoint);
            write_some(writer, LINK_ATTRIBUTES, link::ADDRESS_USED_AT_PEER, &reference.address);
        });
        Ok(())
    }
}

/// A span in another segment.
#[derive(Default)]
struct Reference<'m> {
    ref_type: i32,
    trace_id: Cow<'m, str>,
    segment_id: Cow<'m, str>,
    span_id: i32,
    service: Cow<'m, str>,
    instance: Cow<'m, str>,
    endpoint: Cow<'m, str>,
    address: Cow<'m, str>,
}

impl<'m> Reference<'m> {
    fn read(message: &'m [u8], repairs: &mut Repairs) -> Result<Self, Malformed> {
        let mut reference = Self::default();
        fields(REFERENCE, message, |field, value| {
            let place = match field {
                1 => {
                    reference.ref_type = small_number(REFERENCE, field, value)?;
                    return Ok(());
                }
                4 => {
                    reference.span_id = small_number(REFERENCE, field, value)?;
                    return Ok(());
                }
                2 => &mut reference.trace_id,
                3 => &mut reference.segment_id,
                5 => &mut reference.service,
                6 => &mut reference.instance,
                7 => &mut reference.endpoint,
                8 => &mut reference.address,
                _ => return Ok(()),
            };
            *place = repairs.text(bytes(REFERENCE, field, value)?);
            Ok(())
        })?;
        Ok(reference)
    }
}
