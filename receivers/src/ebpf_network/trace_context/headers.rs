//! The headers of one request that carry trace context, gathered while its head is read.

/// The values of the headers that matter, borrowed from the head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'h> {
    pub(super) traceparent: Value<'h>,
    pub(super) b3: Value<'h>,
    pub(super) trace_id: Value<'h>,
    pub(super) span_id: Value<'h>,
    pub(super) sampled: Value<'h>,
    pub(super) flags: Value<'h>,
    pub(super) sw8: Value<'h>,
}

/// A header that may be there once. W3C calls `traceparent` invalid if it is there twice; to choose one of two would be
/// to guess with the other formats as well.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Value<'h> {
    #[default]
    Absent,
    Once(&'h [u8]),
    Repeated,
}

impl<'h> Headers<'h> {
    /// Takes note of a header if it carries trace context; says whether it does. Names in any case.
    pub fn add(&mut self, name: &[u8], value: &'h [u8]) -> bool {
        let is = |expected: &[u8]| name.eq_ignore_ascii_case(expected);
        let field = match name.len() {
            2 if is(b"b3") => &mut self.b3,
            3 if is(b"sw8") => &mut self.sw8,
            10 if is(b"x-b3-flags") => &mut self.flags,
            11 if is(b"traceparent") => &mut self.traceparent,
            11 if is(b"x-b3-spanid") => &mut self.span_id,
            12 if is(b"x-b3-traceid") => &mut self.trace_id,
            12 if is(b"x-b3-sampled") => &mut self.sampled,
            _ => return false,
        };
        *field = match field {
            Value::Absent => Value::Once(value.trim_ascii()),
            _ => Value::Repeated,
        };
        true
    }
}

impl<'h> Value<'h> {
    pub(super) const fn get(self) -> Option<&'h [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}
