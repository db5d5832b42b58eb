//! The span events that an exchange becomes.

use sluice_pipeline::{
    exchange::{REQUEST_EVENT, RESPONSE_EVENT, SYSCALL_EVENT_PREFIX, event, record, syscall},
    otlp::{
        view::{AnyValue, Attributes, LogRecord, Text},
        write::Writer,
    },
};

use super::{AttachedEvent, identity::integer};

/// The field number of `Span.events`.
const EVENTS: u32 = 11;
/// The most syscalls that become events; the receiver folds further ones long before.
const MAX_SYSCALLS: usize = 256;
/// The longest name of a syscall that is believed, in bytes.
const MAX_SYSCALL_NAME: usize = 32;

/// What of the exchange an event shows beside its own times and sizes.
const REQUEST_ATTRIBUTES: [&str; 9] = [
    record::METHOD,
    record::PATH,
    record::QUERY,
    record::HOST,
    record::PEER_ADDRESS,
    record::PEER_PORT,
    record::SAMPLING_REASON,
    record::SAMPLING_RULE,
    record::TRUNCATED,
];
const RESPONSE_ATTRIBUTES: [&str; 2] = [record::STATUS, record::TRUNCATED];

/// An event before it has its number.
struct Event<'a> {
    name: &'a str,
    prefix: &'static str,
    start: u64,
    end: i64,
    direction: &'a str,
    integers: Vec<(&'static str, i64)>,
    others: Vec<&'a [u8]>,
    content: Option<&'a [u8]>,
}

/// The events of an exchange in order of time, as fields of a `Span`.
pub(super) fn events(log: &LogRecord<'_>, wanted: &[AttachedEvent]) -> Vec<u8> {
    let exchange = Known::of(log);
    let mut events = Vec::new();
    if wanted.contains(&AttachedEvent::Request) {
        events.push(exchange.request(log));
    }
    if wanted.contains(&AttachedEvent::Response) {
        events.extend(exchange.response());
    }
    if wanted.contains(&AttachedEvent::Syscalls) {
        events.extend(exchange.syscalls());
    }
    events.sort_by_key(|event| event.start);
    let mut encoded = Vec::new();
    let mut writer = Writer::new(&mut encoded);
    for (sequence, event) in (0i64..).zip(&events) {
        writer.message(EVENTS, |writer| event.write(writer, exchange.role, sequence));
    }
    encoded
}

/// The attributes of the record that shape its events.
struct Known<'a> {
    attributes: Attributes<'a>,
    role: &'a str,
}

impl<'a> Known<'a> {
    fn of(log: &LogRecord<'a>) -> Self {
        let mut known = Self { attributes: log.attributes(), role: "" };
        if let Some(AnyValue::String(role)) = known.value(record::ROLE) {
            known.role = role.as_str();
        }
        known
    }

    fn request(&self, log: &LogRecord<'_>) -> Event<'a> {
        let is_answered = self.value(record::RESPONSE_START).is_some();
        let mut others = self.raw(&REQUEST_ATTRIBUTES);
        if !is_answered {
            others.extend(self.raw(&[record::ERROR]));
        }
        Event {
            name: REQUEST_EVENT,
            prefix: "",
            start: log.time_unix_nano,
            end: self.integer(record::REQUEST_END).unwrap_or_else(|| log.time_unix_nano.cast_signed()),
            direction: if self.role == event::CLIENT { event::OUTBOUND } else { event::INBOUND },
            integers: self.sizes(record::REQUEST_SIZE),
            others,
            content: self.text(record::REQUEST_CONTENT),
        }
    }

    fn response(&self) -> Option<Event<'a>> {
        let start = self.integer(record::RESPONSE_START)?;
        let mut others = self.raw(&RESPONSE_ATTRIBUTES);
        others.extend(self.raw(&[record::ERROR]));
        Some(Event {
            name: RESPONSE_EVENT,
            prefix: "",
            start: start.cast_unsigned(),
            end: self.integer(record::RESPONSE_END).unwrap_or(start),
            direction: if self.role == event::CLIENT { event::INBOUND } else { event::OUTBOUND },
            integers: self.sizes(record::RESPONSE_SIZE),
            others,
            content: self.text(record::RESPONSE_CONTENT),
        })
    }

    fn syscalls(&self) -> impl Iterator<Item = Event<'a>> {
        let calls = match self.value(record::SYSCALLS) {
            Some(AnyValue::Array(calls)) => Some(calls),
            _ => None,
        };
        calls.into_iter().flatten().take(MAX_SYSCALLS).filter_map(|call| match call {
            AnyValue::KeyValues(keys) => syscall_event(keys),
            _ => None,
        })
    }

    fn sizes(&self, key: &str) -> Vec<(&'static str, i64)> {
        self.integer(key).map(|size| (event::SIZE, size)).into_iter().collect()
    }

    fn raw(&self, keys: &[&str]) -> Vec<&'a [u8]> {
        let wanted = self.attributes.filter(|pair| keys.iter().any(|key| key.as_bytes() == pair.key));
        wanted.map(|pair| pair.message).collect()
    }

    fn value(&self, key: &str) -> Option<AnyValue<'a>> {
        let mut attributes = self.attributes;
        attributes.find(|pair| pair.key == key.as_bytes()).map(|pair| pair.value)
    }

    fn integer(&self, key: &str) -> Option<i64> {
        self.value(key).map(|value| integer(&value))
    }

    fn text(&self, key: &str) -> Option<&'a [u8]> {
        match self.value(key) {
            Some(AnyValue::String(text)) => Some(text),
            _ => None,
        }
    }
}

fn syscall_event(keys: Attributes<'_>) -> Option<Event<'_>> {
    let mut call = Event {
        name: "",
        prefix: SYSCALL_EVENT_PREFIX,
        start: 0,
        end: 0,
        direction: "",
        integers: Vec::new(),
        others: Vec::new(),
        content: None,
    };
    let mut count = 1;
    for pair in keys {
        match (pair.key.as_str(), pair.value) {
            (syscall::NAME, AnyValue::String(name)) if name.len() <= MAX_SYSCALL_NAME => {
                call.name = name.as_str()
            }
            (syscall::DIRECTION, AnyValue::String(direction)) => call.direction = direction.as_str(),
            (syscall::START, AnyValue::Int(start)) => call.start = start.cast_unsigned(),
            (syscall::END, AnyValue::Int(end)) => call.end = end,
            (syscall::SIZE, AnyValue::Int(size)) => call.integers.push((event::SIZE, size)),
            (syscall::COUNT, AnyValue::Int(calls)) => count = calls,
            (syscall::DURATION, AnyValue::Int(duration)) => call.integers.push((event::DURATION, duration)),
            (syscall::RTT, AnyValue::Int(time)) => call.integers.push((event::RTT, time)),
            (syscall::RETRANSMITS, AnyValue::Int(segments)) => {
                call.integers.push((event::RETRANSMITS, segments))
            }
            _ => {}
        }
    }
    call.integers.push((event::COUNT, count));
    if call.start == 0 {
        call.start = call.end.cast_unsigned();
    }
    (!call.name.is_empty()).then_some(call)
}

impl Event<'_> {
    /// Writes the fields of a `Span.Event`.
    fn write(&self, writer: &mut Writer<'_>, role: &str, sequence: i64) {
        writer.fixed64(1, self.start);
        writer.bytes(2, [self.prefix, self.name].concat().as_bytes());
        write_integer(writer, event::END, self.end);
        write_text(writer, event::DIRECTION, self.direction.as_bytes());
        write_text(writer, event::ROLE, role.as_bytes());
        write_integer(writer, event::SEQUENCE, sequence);
        for (key, value) in &self.integers {
            write_integer(writer, key, *value);
        }
        for attribute in &self.others {
            writer.bytes(3, attribute);
        }
        if let Some(content) = self.content {
            write_text(writer, event::CONTENT, content);
        }
    }
}

fn write_integer(writer: &mut Writer<'_>, key: &str, value: i64) {
    writer.message(3, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.int(3, value));
    });
}

fn write_text(writer: &mut Writer<'_>, key: &str, value: &[u8]) {
    writer.message(3, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, |writer| writer.bytes(1, value));
    });
}
