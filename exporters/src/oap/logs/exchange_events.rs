//! The events of an exchange on the span that its header names: request, response and syscalls.

use sluice_pipeline::{
    exchange::{REQUEST_EVENT, RESPONSE_EVENT, SYSCALL_EVENT_PREFIX, event, record, syscall},
    otlp::{
        view::{AnyValue, Attributes, SpanEvent, Text, View},
        write::Writer,
    },
};

use super::exchange::Exchange;
use crate::oap::{
    entity::text as attribute,
    streams::Streams,
    traces::{Attached, Context},
    wire::integer,
};

/// Adds them.
pub(super) fn push(exchange: &Exchange<'_, '_>, context: &Context, streams: &mut Streams) {
    let (request, response) = match exchange.is_client() {
        true => (event::OUTBOUND, event::INBOUND),
        false => (event::INBOUND, event::OUTBOUND),
    };
    let start = exchange.of.record.time_unix_nano;
    let request_end = exchange.time(record::REQUEST_END).max(start);
    let mut add = |encoded: &[u8]| {
        let event = SpanEvent::of(encoded);
        Attached { event: &event, context, entity: exchange.process }.push(streams, 0);
    };
    add(&half(
        exchange,
        (REQUEST_EVENT, request),
        (start, request_end),
        (record::REQUEST_SIZE, record::REQUEST_CONTENT),
    ));
    let answered = exchange.time(record::RESPONSE_START);
    if answered > 0 {
        let end = exchange.time(record::RESPONSE_END).max(answered);
        let names = (record::RESPONSE_SIZE, record::RESPONSE_CONTENT);
        add(&half(exchange, (RESPONSE_EVENT, response), (answered, end), names));
    }
    let calls = exchange.of.record.attributes().find(|pair| pair.key.as_str() == record::SYSCALLS);
    if let Some(AnyValue::Array(calls)) = calls.map(|pair| pair.value) {
        for call in calls {
            if let AnyValue::KeyValues(call) = call {
                add(&of_syscall(call, &exchange.said(record::ROLE)));
            }
        }
    }
}

/// An encoded span event of a request or response.
fn half(
    exchange: &Exchange<'_, '_>,
    (name, direction): (&str, &str),
    (start, end): (u64, u64),
    (size, content): (&str, &str),
) -> Vec<u8> {
    let (size, content) = (exchange.number(size), exchange.said(content));
    let role = exchange.said(record::ROLE);
    let mut encoded = begin(name, start, end);
    let mut writer = Writer::new(&mut encoded);
    if size > 0 {
        int(&mut writer, event::SIZE, size);
    }
    text(&mut writer, event::CONTENT, &content);
    text(&mut writer, event::DIRECTION, direction);
    text(&mut writer, event::ROLE, &role);
    encoded
}

fn of_syscall(call: Attributes<'_>, role: &str) -> Vec<u8> {
    let said = |name: &str| attribute(call, name).unwrap_or_default();
    let number = |name: &str| {
        call.into_iter().find(|pair| pair.key.as_str() == name).and_then(|pair| integer(pair.value))
    };
    let time = |name: &str| number(name).and_then(|time| u64::try_from(time).ok()).unwrap_or_default();
    let name = format!("{SYSCALL_EVENT_PREFIX}{}", said(syscall::NAME));
    let mut encoded = begin(&name, time(syscall::START), time(syscall::END));
    let mut writer = Writer::new(&mut encoded);
    int(&mut writer, event::SIZE, number(syscall::SIZE).unwrap_or_default());
    int(&mut writer, event::COUNT, number(syscall::COUNT).unwrap_or(1));
    text(&mut writer, event::DIRECTION, &said(syscall::DIRECTION));
    text(&mut writer, event::ROLE, role);
    let measured = [
        (event::DURATION, syscall::DURATION),
        (event::RTT, syscall::RTT),
        (event::RETRANSMITS, syscall::RETRANSMITS),
    ];
    for (name, key) in measured {
        if let Some(value) = number(key) {
            int(&mut writer, name, value);
        }
    }
    encoded
}

fn begin(name: &str, start: u64, end: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut writer = Writer::new(&mut encoded);
    writer.fixed64(1, start);
    writer.bytes(2, name.as_bytes());
    int(&mut writer, event::END, i64::try_from(end).unwrap_or_default());
    encoded
}

fn int(event: &mut Writer<'_>, key: &str, value: i64) {
    event.message(3, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.int(3, value));
    });
}

fn text(event: &mut Writer<'_>, key: &str, value: &str) {
    if !value.is_empty() {
        event.message(3, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, |any| any.bytes(1, value.as_bytes()));
        });
    }
}
