//! Logs of spans to events.

use std::borrow::Cow;

use sluice_pipeline::otlp::{attribute::write_text, write::Writer};
use sluice_protocols::skywalking::attributes::{ESCAPE, span_event};

use super::super::{
    Malformed, nanoseconds,
    output::Repairs,
    pair::{bytes, escaped, fields, number, pair},
};

pub(super) const LOG: &str = "Log";
/// `Span.Event.attributes`.
const EVENT_ATTRIBUTES: u32 = 3;

/// Writes a log of a span.
pub(super) fn write_event(
    writer: &mut Writer<'_>,
    message: &[u8],
    repairs: &mut Repairs,
) -> Result<(), Malformed> {
    let mut time = 0;
    let mut exception = false;
    fields(LOG, message, |field, value| {
        match field {
            1 => time = number(LOG, field, value)?,
            2 => {
                let (key, _) = pair(bytes(LOG, field, value)?)?;
                exception |= key == span_event::ERROR_KIND.as_bytes() || key == span_event::STACK.as_bytes();
            }
            _ => {}
        }
        Ok(())
    })?;
    writer.message(11, |writer| {
        writer.fixed64(1, nanoseconds(time));
        let name = if exception { span_event::EXCEPTION } else { span_event::LOGS };
        writer.bytes(2, name.as_bytes());
        fields(LOG, message, |field, value| {
            if field == 2 {
                let (key, value) = pair(bytes(LOG, field, value)?)?;
                let key = repairs.text(key);
                let key = if exception { exception_key(&key) } else { escaped(&key) };
                write_text(writer, EVENT_ATTRIBUTES, &key, &repairs.text(value));
            }
            Ok(())
        })
    })
}

fn exception_key(key: &str) -> Cow<'_, str> {
    if let Some((_, name)) = span_event::DATA.iter().find(|(data, _)| *data == key) {
        return Cow::Borrowed(name);
    }
    let taken = span_event::DATA.iter().any(|(_, name)| *name == key);
    if taken { Cow::Owned(format!("{ESCAPE}{key}")) } else { escaped(key) }
}
