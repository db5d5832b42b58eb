//! Spans (`opentelemetry/proto/trace/v1`).

use super::{Attributes, Repeated, View, walk};

/// A span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
    /// W3C `tracestate`, as text.
    pub trace_state: &'a [u8],
    /// 8 bytes, or empty for a root span.
    pub parent_span_id: &'a [u8],
    /// Its name, as text.
    pub name: &'a [u8],
    /// 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// When it began, in nanoseconds since 1970.
    pub start_time_unix_nano: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end_time_unix_nano: u64,
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// How many events the SDK dropped.
    pub dropped_events_count: u32,
    /// How many links the SDK dropped.
    pub dropped_links_count: u32,
    /// W3C trace flags in the low 8 bits; bits 8 and 9 say whether the parent is remote.
    pub flags: u32,
    status: &'a [u8],
    attributes: Attributes<'a>,
    events: Repeated<'a, SpanEvent<'a>>,
    links: Repeated<'a, SpanLink<'a>>,
}

impl<'a> View<'a> for Span<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut span = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                1 => span.trace_id = value.bytes(),
                2 => span.span_id = value.bytes(),
                3 => span.trace_state = value.bytes(),
                4 => span.parent_span_id = value.bytes(),
                5 => span.name = value.bytes(),
                6 => span.kind = value.signed() as i32,
                7 => span.start_time_unix_nano = value.number(),
                8 => span.end_time_unix_nano = value.number(),
                9 => span.attributes.note(9, from),
                10 => span.dropped_attributes_count = value.number() as u32,
                11 => span.events.note(11, from),
                12 => span.dropped_events_count = value.number() as u32,
                13 => span.links.note(13, from),
                14 => span.dropped_links_count = value.number() as u32,
                15 => span.status = value.bytes(),
                16 => span.flags = value.number() as u32,
                _ => {}
            }
        });
        span
    }
}

impl<'a> Span<'a> {
    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }

    /// What happened during it.
    #[must_use]
    pub fn events(&self) -> Repeated<'a, SpanEvent<'a>> {
        self.events
    }

    /// The spans that it refers to.
    #[must_use]
    pub fn links(&self) -> Repeated<'a, SpanLink<'a>> {
        self.links
    }

    /// How it ended; unset if absent.
    #[must_use]
    pub fn status(&self) -> Status<'a> {
        Status::of(self.status)
    }
}

/// Something that happened during a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanEvent<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// Its name, as text.
    pub name: &'a [u8],
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for SpanEvent<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut event = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => event.time_unix_nano = field.value.number(),
            2 => event.name = field.value.bytes(),
            3 => event.attributes.note(3, from),
            4 => event.dropped_attributes_count = field.value.number() as u32,
            _ => {}
        });
        event
    }
}

impl<'a> SpanEvent<'a> {
    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}

/// A reference to another span.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanLink<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
    /// W3C `tracestate`, as text.
    pub trace_state: &'a [u8],
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in the low 8 bits; bits 8 and 9 say whether the span is remote.
    pub flags: u32,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for SpanLink<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut link = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => link.trace_id = field.value.bytes(),
            2 => link.span_id = field.value.bytes(),
            3 => link.trace_state = field.value.bytes(),
            4 => link.attributes.note(4, from),
            5 => link.dropped_attributes_count = field.value.number() as u32,
            6 => link.flags = field.value.number() as u32,
            _ => {}
        });
        link
    }
}

impl<'a> SpanLink<'a> {
    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status<'a> {
    /// A description of the error, as text.
    pub message: &'a [u8],
    /// 0 unset, 1 ok, 2 error.
    pub code: i32,
}

impl<'a> View<'a> for Status<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut status = Self::default();
        walk(message, |field, _| match field.number {
            2 => status.message = field.value.bytes(),
            3 => status.code = field.value.signed() as i32,
            _ => {}
        });
        status
    }
}
