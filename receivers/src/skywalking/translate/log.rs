//! Logs to log records.

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    wire::Value,
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{id, log, resource},
    id::Rules,
};

use super::{
    Malformed, nanoseconds,
    output::{Output, Repairs},
    pair::{bytes, fields, number, pair, small_number, write_pair},
    record::{AGENT_SCOPE, ATTRIBUTES, write_body, write_some},
};

const LOG: &str = "LogData";
const BODY: &str = "LogDataBody";
const CONTENT: &str = "LogDataBody.content";
const CONTEXT: &str = "TraceContext";
const TAGS: &str = "LogTags";

/// A log whose parts are still encoded.
#[derive(Default)]
struct Log<'m> {
    timestamp: i64,
    service: &'m [u8],
    instance: &'m [u8],
    endpoint: &'m [u8],
    layer: &'m [u8],
    body: &'m [u8],
    context: &'m [u8],
    tags: &'m [u8],
}

/// Writes a `LogData`. One that names no service belongs to that of the log before it.
pub(super) fn log(
    message: &[u8],
    rules: Rules,
    last_service: &mut Vec<u8>,
    output: &mut Output,
) -> Result<(), Malformed> {
    let mut log = Log::read(message)?;
    if log.service.is_empty() {
        log.service = last_service.as_slice();
    }
    let observed = output.observed();
    let texts = [log.service, log.instance, log.layer].map(|raw| output.repairs.text(raw).into_owned());
    let resource = |writer: &mut Writer<'_>| {
        let [service, instance, layer] = &texts;
        write_some(writer, 1, resource::SERVICE_NAME, service);
        write_some(writer, 1, resource::SERVICE_INSTANCE, instance);
        write_some(writer, 1, resource::SERVICE_LAYER, layer);
    };
    output.add_scoped(resource, AGENT_SCOPE, |items| {
        items.item(1, |writer, repairs| {
            if log.timestamp != 0 {
                writer.fixed64(1, nanoseconds(log.timestamp));
            }
            writer.fixed64(11, observed);
            write_tags(writer, log.tags, repairs)?;
            write_content(writer, log.body, repairs)?;
            write_context(writer, log.context, rules, repairs)?;
            write_some(writer, ATTRIBUTES, log::ENDPOINT, &repairs.text(log.endpoint));
            Ok(())
        })
    })?;
    if log.service != last_service.as_slice() {
        *last_service = log.service.to_vec();
    }
    Ok(())
}

impl<'m> Log<'m> {
    fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut log = Self::default();
        fields(LOG, message, |field, value| {
            let place = match field {
                1 => {
                    log.timestamp = number(LOG, field, value)?;
                    return Ok(());
                }
                2 => &mut log.service,
                3 => &mut log.instance,
                4 => &mut log.endpoint,
                5 => &mut log.body,
                6 => &mut log.context,
                7 => &mut log.tags,
                8 => &mut log.layer,
                _ => return Ok(()),
            };
            *place = bytes(LOG, field, value)?;
            Ok(())
        })?;
        Ok(log)
    }
}

fn write_tags(writer: &mut Writer<'_>, message: &[u8], repairs: &mut Repairs) -> Result<(), Malformed> {
    let mut level = None;
    fields(TAGS, message, |field, value| {
        if field == 1 {
            let tag = bytes(TAGS, field, value)?;
            write_pair(writer, ATTRIBUTES, tag, repairs)?;
            let (key, value) = pair(tag)?;
            if key == log::LEVEL.as_bytes() && level.is_none() {
                level = Some(repairs.text(value));
            }
        }
        Ok(())
    })?;
    if let Some(level) = level.filter(|level| !level.is_empty()) {
        if let Some(number) = severity(&level) {
            writer.varint(2, number);
        }
        writer.bytes(3, level.as_bytes());
    }
    Ok(())
}

/// `SeverityNumber` of the levels of common logging libraries.
fn severity(level: &str) -> Option<u64> {
    const LEVELS: [(&str, u64); 14] = [
        ("trace", 1),
        ("verbose", 1),
        ("debug", 5),
        ("info", 9),
        ("information", 9),
        ("notice", 10),
        ("warn", 13),
        ("warning", 13),
        ("error", 17),
        ("severe", 17),
        ("critical", 21),
        ("fatal", 21),
        ("alert", 22),
        ("emergency", 23),
    ];
    LEVELS.iter().find(|(name, _)| level.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

fn write_content(writer: &mut Writer<'_>, message: &[u8], repairs: &mut Repairs) -> Result<(), Malformed> {
    let mut kind: &[u8] = &[];
    let mut content = None;
    fields(BODY, message, |field, value| {
        match field {
            1 => kind = bytes(BODY, field, value)?,
            2..=4 => content = Some((field, text_of(bytes(BODY, field, value)?)?)),
            _ => {}
        }
        Ok(())
    })?;
    write_some(writer, ATTRIBUTES, log::BODY_TYPE, &repairs.text(kind));
    if let Some((format, text)) = content {
        write_body(writer, &repairs.text(text));
        match format {
            3 => write_text(writer, ATTRIBUTES, log::BODY_FORMAT, "json"),
            4 => write_text(writer, ATTRIBUTES, log::BODY_FORMAT, "yaml"),
            _ => {}
        }
    }
    Ok(())
}

/// The only field of `TextLog`, `JSONLog` and `YAMLLog`.
fn text_of(message: &[u8]) -> Result<&[u8], Malformed> {
    let mut text: &[u8] = &[];
    fields(CONTENT, message, |field, value: Value<'_>| {
        if field == 1 {
            text = bytes(CONTENT, field, value)?;
        }
        Ok(())
    })?;
    Ok(text)
}

fn write_context(
    writer: &mut Writer<'_>,
    message: &[u8],
    rules: Rules,
    repairs: &mut Repairs,
) -> Result<(), Malformed> {
    let (mut trace, mut segment, mut span): (&[u8], &[u8], i32) = (&[], &[], 0);
    fields(CONTEXT, message, |field, value| {
        match field {
            1 => trace = bytes(CONTEXT, field, value)?,
            2 => segment = bytes(CONTEXT, field, value)?,
            3 => span = small_number(CONTEXT, field, value)?,
            _ => {}
        }
        Ok(())
    })?;
    let (trace, segment) = (repairs.text(trace), repairs.text(segment));
    if !trace.is_empty() {
        writer.bytes(9, &rules.trace_id(&trace));
    }
    if !segment.is_empty() {
        writer.bytes(10, &rules.span_id(&segment, span));
    }
    write_some(writer, ATTRIBUTES, id::TRACE_ID, &trace);
    write_some(writer, ATTRIBUTES, id::SEGMENT_ID, &segment);
    if span != 0 {
        write_int(writer, ATTRIBUTES, id::SPAN_ID, span.into());
    }
    Ok(())
}
