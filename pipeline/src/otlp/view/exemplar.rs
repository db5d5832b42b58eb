//! Exemplars (`opentelemetry/proto/metrics/v1`).

use super::{Attributes, Number, View, walk};

/// A measurement kept beside its aggregate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exemplar<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When it was measured, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// What was measured; `None` if absent.
    pub value: Option<Number>,
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    filtered_attributes: Attributes<'a>,
}

impl<'a> View<'a> for Exemplar<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut exemplar = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                2 => exemplar.time_unix_nano = value.number(),
                3 => exemplar.value = Some(Number::Double(value.double())),
                4 => exemplar.span_id = value.bytes(),
                5 => exemplar.trace_id = value.bytes(),
                6 => exemplar.value = Some(Number::Int(value.signed())),
                7 => exemplar.filtered_attributes.note(7, from),
                _ => {}
            }
        });
        exemplar
    }
}

impl<'a> Exemplar<'a> {
    /// Attributes that the aggregate left out.
    #[must_use]
    pub fn filtered_attributes(&self) -> Attributes<'a> {
        self.filtered_attributes
    }
}
