//! Log records (`opentelemetry/proto/logs/v1`).

use super::{AnyValue, Attributes, View, walk};

/// A log record.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecord<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When it happened, in nanoseconds since 1970; 0 if unknown.
    pub time_unix_nano: u64,
    /// When it was observed, in nanoseconds since 1970; 0 if unknown.
    pub observed_time_unix_nano: u64,
    /// 1 (trace) to 24 (fatal); 0 if unspecified.
    pub severity_number: i32,
    /// The severity in the words of the source, as text.
    pub severity_text: &'a [u8],
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
    /// The class of event that it is, as text.
    pub event_name: &'a [u8],
    body: Option<&'a [u8]>,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for LogRecord<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut record = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                1 => record.time_unix_nano = value.number(),
                2 => record.severity_number = value.signed() as i32,
                3 => record.severity_text = value.bytes(),
                5 => record.body = Some(value.bytes()),
                6 => record.attributes.note(6, from),
                7 => record.dropped_attributes_count = value.number() as u32,
                8 => record.flags = value.number() as u32,
                9 => record.trace_id = value.bytes(),
                10 => record.span_id = value.bytes(),
                11 => record.observed_time_unix_nano = value.number(),
                12 => record.event_name = value.bytes(),
                _ => {}
            }
        });
        record
    }
}

impl<'a> LogRecord<'a> {
    /// What was logged; `None` if absent.
    #[must_use]
    pub fn body(&self) -> Option<AnyValue<'a>> {
        self.body.map(AnyValue::of)
    }

    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}
