//! Events of services.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_attribute, write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{event, event_name, log},
    v3::{Event, Type},
};

use super::{
    Malformed,
    output::Output,
    record::{ATTRIBUTES, ERROR, INFO, Source, record, write_body, write_severity, write_some},
};

/// Writes an `Event`.
pub(super) fn event(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let event = Event::decode(message)?;
    let from = event.source.clone().unwrap_or_default();
    let source =
        Source { service: &from.service, instance: &from.service_instance, layer: &event.layer, version: "" };
    let time = if event.start_time == 0 { event.end_time } else { event.start_time };
    record(output, source, event_name::EVENT, time, |writer| {
        match Type::try_from(event.r#type) {
            Ok(Type::Normal) => write_severity(writer, INFO, "Normal"),
            Ok(Type::Error) => write_severity(writer, ERROR, "Error"),
            Err(_) => write_int(writer, ATTRIBUTES, event::TYPE, event.r#type.into()),
        }
        if !event.message.is_empty() {
            write_body(writer, &event.message);
        }
        write_some(writer, ATTRIBUTES, event::UUID, &event.uuid);
        write_some(writer, ATTRIBUTES, event::NAME, &event.name);
        write_some(writer, ATTRIBUTES, log::ENDPOINT, &from.endpoint);
        for (key, time) in [(event::START_TIME, event.start_time), (event::END_TIME, event.end_time)] {
            if time != 0 {
                write_int(writer, ATTRIBUTES, key, time);
            }
        }
        write_parameters(writer, &event);
    })
}

fn write_parameters(writer: &mut Writer<'_>, event: &Event) {
    if event.parameters.is_empty() {
        return;
    }
    // In an order of their own, so that the same event is always the same record.
    let mut parameters: Vec<_> = event.parameters.iter().collect();
    parameters.sort_unstable();
    write_attribute(writer, ATTRIBUTES, event::PARAMETERS, |writer| {
        writer.message(6, |writer| {
            for (key, value) in parameters {
                write_text(writer, 1, key, value);
            }
        });
    });
}
