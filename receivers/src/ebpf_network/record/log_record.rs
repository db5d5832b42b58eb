//! Writes an exchange as an encoded `LogRecord`.

use sluice_pipeline::{
    exchange::{EVENT_NAME, event, format, record, syscall},
    otlp::write::Writer,
};

use super::{Clock, attribute, content::Scratch};
use crate::ebpf_network::{
    exchange::{Call, Ending, Exchange},
    redaction::{Redactor, Side},
    sampling::{Sampled, split},
    socket::{Direction, Ends, Role},
    trace_context::{Context, Format},
};

/// `SeverityNumber` of OTLP.
const INFO: (u64, &str) = (9, "INFO");
const WARN: (u64, &str) = (13, "WARN");
const ERROR: (u64, &str) = (17, "ERROR");

/// What a record is written with, beside its exchange.
pub(super) struct Circumstances<'a> {
    pub(super) ends: &'a Ends,
    pub(super) clock: Clock,
    pub(super) sampled: Sampled<'a>,
    pub(super) syscalls: bool,
}

/// Appends the fields of a `LogRecord`, in the order of their numbers.
pub(super) fn write(
    out: &mut Vec<u8>,
    exchange: &Exchange<'_>,
    circumstances: &Circumstances<'_>,
    redactor: &Redactor,
    scratch: &mut Scratch,
) {
    let Circumstances { clock, sampled, .. } = circumstances;
    let request = &exchange.request;
    let ids = request
        .contexts
        .iter()
        .find_map(|context| Some((context, context.trace_id_bytes()?, context.span_id_bytes()?)));
    let mut writer = Writer::new(out);
    writer.fixed64(1, clock.unix(request.message.start));
    let (number, name) = severity(exchange);
    writer.varint(2, number);
    writer.bytes(3, name.as_bytes());
    let target = split(request.target);
    // A target that was not captured to its end is one of a head without a single whole line.
    let cut = memchr::memchr(b'\n', request.message.head).is_none();
    scratch.text.clear();
    redactor.write_short(target.path.as_bytes(), cut, &mut scratch.text, &mut scratch.spare);
    writer.message(5, |body| summary(body, exchange, &scratch.text, sampled.duration));

    if !scratch.text.is_empty() {
        attribute::repaired(out, record::PATH, &scratch.text);
    }
    if !target.query.is_empty() {
        scratch.text.clear();
        redactor.write_short(target.query.as_bytes(), cut, &mut scratch.text, &mut scratch.spare);
        attribute::repaired(out, record::QUERY, &scratch.text);
    }
    if !request.user_agent.is_empty() {
        scratch.text.clear();
        redactor.write_short(request.user_agent.as_bytes(), false, &mut scratch.text, &mut scratch.spare);
        attribute::repaired(out, record::USER_AGENT, &scratch.text);
    }
    if !request.host.is_empty() {
        scratch.text.clear();
        scratch.text.extend_from_slice(Redactor::host(request.host).as_bytes());
        redactor.apply_patterns(&mut scratch.text, 0, false, &mut scratch.spare);
        attribute::repaired(out, record::HOST, &scratch.text);
    }
    write_http(out, exchange, circumstances);
    write_contexts(out, exchange, ids.map(|(context, ..)| context));
    attribute::text(out, record::SAMPLING_REASON, sampled.class.reason());
    attribute::text(out, record::SAMPLING_RULE, &sampled.rule.name);
    if let Some(limit) = sampled.rule.request {
        scratch.content(redactor, Side::Request, &request.message, limit);
        attribute::repaired(out, record::REQUEST_CONTENT, &scratch.text);
    }
    if let (Some(limit), Some(response)) = (sampled.rule.response, &exchange.response) {
        scratch.content(redactor, Side::Response, &response.message, limit);
        attribute::repaired(out, record::RESPONSE_CONTENT, &scratch.text);
    }
    if circumstances.syscalls && !exchange.calls.is_empty() {
        write_calls(out, exchange.calls, *clock);
    }

    let mut writer = Writer::new(out);
    if let Some((context, trace_id, span_id)) = ids {
        if context.sampled == Some(true) {
            writer.fixed32(8, 1);
        }
        writer.bytes(9, &trace_id);
        writer.bytes(10, &span_id);
    }
    writer.fixed64(
        11,
        clock.unix(exchange.response.map_or(request.message.end, |response| response.message.end)),
    );
    writer.bytes(12, EVENT_NAME.as_bytes());
}

const fn severity(exchange: &Exchange<'_>) -> (u64, &'static str) {
    match (&exchange.response, exchange.ending) {
        (Some(response), _) if response.status >= 500 => ERROR,
        (None, Ending::ConnectionClosed) => ERROR,
        (Some(response), _) if response.status >= 400 => WARN,
        (_, Ending::ConnectionClosed) => WARN,
        _ => INFO,
    }
}

/// `GET /orders 503 12.4ms`, for people.
fn summary(body: &mut Writer<'_>, exchange: &Exchange<'_>, path: &[u8], duration: u64) {
    body.message(1, |text| {
        text.raw(exchange.request.method.as_bytes());
        text.raw(b" ");
        match std::str::from_utf8(path) {
            Ok(path) => text.raw(path.as_bytes()),
            Err(_) => text.raw(String::from_utf8_lossy(path).as_bytes()),
        }
        text.raw(b" ");
        match exchange.response {
            Some(response) => decimal(text, u64::from(response.status)),
            None => text.raw(b"-"),
        }
        text.raw(b" ");
        decimal(text, duration / 1_000_000);
        text.raw(b".");
        decimal(text, duration / 100_000 % 10);
        text.raw(b"ms");
    });
}

fn decimal(text: &mut Writer<'_>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        let digit = (value % 10) as u8;
        digits[start] = b'0' + digit;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text.raw(&digits[start..]);
}

fn write_http(out: &mut Vec<u8>, exchange: &Exchange<'_>, circumstances: &Circumstances<'_>) {
    let Circumstances { ends, clock, .. } = circumstances;
    let request = &exchange.request;
    match exchange.role {
        Role::Client => attribute::text(out, record::ROLE, event::CLIENT),
        Role::Server => attribute::text(out, record::ROLE, event::SERVER),
        Role::Unknown => {}
    }
    attribute::text(out, record::METHOD, request.method);
    attribute::text(out, record::SCHEME, "http");
    attribute::text(out, record::VERSION, if request.minor_version == 0 { "1.0" } else { "1.1" });
    attribute::int(out, record::REQUEST_END, clock.unix(request.message.end));
    attribute::int(out, record::REQUEST_SIZE, request.message.wire_size);
    attribute::int(out, record::REQUEST_BODY_SIZE, request.message.body_size);
    if let Some(response) = &exchange.response {
        attribute::int(out, record::STATUS, u64::from(response.status));
        attribute::int(out, record::RESPONSE_START, clock.unix(response.message.start));
        attribute::int(out, record::RESPONSE_END, clock.unix(response.message.end));
        attribute::int(out, record::RESPONSE_SIZE, response.message.wire_size);
        attribute::int(out, record::RESPONSE_BODY_SIZE, response.message.body_size);
    }
    match exchange.ending {
        Ending::Complete | Ending::UntilClose | Ending::Upgraded => {}
        Ending::ConnectionClosed => attribute::text(out, record::ERROR, "connection_closed"),
        Ending::Lost => attribute::text(out, record::ERROR, "not_seen"),
    }
    if exchange.truncated {
        attribute::boolean(out, record::TRUNCATED, true);
    }
    attribute::address(out, record::LOCAL_ADDRESS, ends.local.ip());
    attribute::int(out, record::LOCAL_PORT, u64::from(ends.local.port()));
    attribute::address(out, record::PEER_ADDRESS, ends.peer.ip());
    attribute::int(out, record::PEER_PORT, u64::from(ends.peer.port()));
}

/// Writes the contexts of a request, of which `chosen` gave the record its ids.
fn write_contexts(out: &mut Vec<u8>, exchange: &Exchange<'_>, chosen: Option<&Context<'_>>) {
    let contexts = exchange.request.contexts;
    if let Some(context) = chosen.or_else(|| contexts.first()) {
        attribute::text(out, record::TRACE_FORMAT, name(context.format));
        if let Some(sampled) = context.sampled {
            attribute::boolean(out, record::TRACE_SAMPLED, sampled);
        }
    }
    if contexts.iter().nth(1).is_some() {
        attribute::nested(out, record::TRACE_CONTEXTS, |value| {
            value.message(5, |array| {
                for context in contexts.iter() {
                    array.message(1, |element| {
                        element.message(1, |text| {
                            for part in [name(context.format), ":", context.trace_id, ":", context.span_id] {
                                text.raw(part.as_bytes());
                            }
                        });
                    });
                }
            });
        });
    }
    if let Some(context) = contexts.iter().find(|context| context.format == Format::Sw8) {
        attribute::text(out, record::SW8_TRACE_ID, context.trace_id);
        attribute::text(out, record::SW8_SEGMENT_ID, context.segment_id);
        if let Ok(span) = context.span_id.parse::<u32>() {
            attribute::int(out, record::SW8_SPAN_ID, u64::from(span));
        }
    }
}

const fn name(format: Format) -> &'static str {
    match format {
        Format::W3c => format::W3C,
        Format::B3 => format::B3,
        Format::B3Multi => format::B3_MULTI,
        Format::Sw8 => format::SW8,
    }
}

fn write_calls(out: &mut Vec<u8>, calls: &[Call], clock: Clock) {
    attribute::nested(out, record::SYSCALLS, |value| {
        value.message(5, |array| {
            for call in calls {
                array.message(1, |element| element.message(6, |map| write_call(map, call, clock)));
            }
        });
    });
}

fn write_call(map: &mut Writer<'_>, call: &Call, clock: Clock) {
    let measured = call.start != 0;
    let start = if measured { call.start } else { call.end };
    text(map, syscall::NAME, call.operation.name());
    text(
        map,
        syscall::DIRECTION,
        match call.direction {
            Direction::Inbound => event::INBOUND,
            Direction::Outbound => event::OUTBOUND,
        },
    );
    int(map, syscall::START, clock.unix(start));
    int(map, syscall::END, clock.unix(call.end));
    int(map, syscall::SIZE, call.size);
    if call.count > 1 {
        int(map, syscall::COUNT, u64::from(call.count));
    }
    if measured {
        int(map, syscall::DURATION, call.end.saturating_sub(call.start));
    }
    if call.round_trip > 0 {
        int(map, syscall::RTT, u64::from(call.round_trip));
    }
    if call.retransmits > 0 {
        int(map, syscall::RETRANSMITS, u64::from(call.retransmits));
    }
}

fn text(map: &mut Writer<'_>, key: &str, value: &str) {
    map.message(1, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

fn int(map: &mut Writer<'_>, key: &str, value: u64) {
    map.message(1, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.varint(3, value));
    });
}
