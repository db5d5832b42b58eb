//! Zipkin's B3: the single header `b3`, and the headers `X-B3-*`.

use super::hex;

/// What the headers say. Each half may be there without the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parent<'h> {
    /// Trace id and span id.
    pub(super) ids: Option<(&'h str, &'h str)>,
    pub(super) sampled: Option<bool>,
}

/// Reads `<trace id>-<span id>[-<sampling>][-<parent id>]`, or a sampling state alone. Trace ids have 16 or 32 digits.
pub(super) fn single(value: &[u8]) -> Option<Parent<'_>> {
    if let Some(sampled) = state(value) {
        return Some(Parent { ids: None, sampled: Some(sampled) });
    }
    let mut fields = value.split(|byte| *byte == b'-');
    let ids = (hex::id(fields.next()?, true)?, hex::id(fields.next()?, false)?);
    let sampled = match fields.next() {
        None => None,
        Some(field) => match state(field) {
            Some(sampled) => {
                if let Some(parent) = fields.next() {
                    hex::id(parent, false)?;
                }
                Some(sampled)
            }
            None => {
                hex::id(field, false)?;
                None
            }
        },
    };
    if fields.next().is_some() { None } else { Some(Parent { ids: Some(ids), sampled }) }
}

/// Reads `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` and `X-B3-Flags`. Ids count only together.
pub(super) fn multi<'h>(
    trace_id: Option<&'h [u8]>,
    span_id: Option<&'h [u8]>,
    sampled: Option<&[u8]>,
    flags: Option<&[u8]>,
) -> Parent<'h> {
    let ids = trace_id.and_then(|id| hex::id(id, true)).zip(span_id.and_then(|id| hex::id(id, false)));
    let sampled = match (flags, sampled) {
        (Some(b"1"), _) => Some(true),
        (_, Some(b"1" | b"true")) => Some(true),
        (_, Some(b"0" | b"false")) => Some(false),
        _ => None,
    };
    Parent { ids, sampled }
}

/// `d` is debug: sampled, and not to be dropped later.
const fn state(field: &[u8]) -> Option<bool> {
    match field {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}
