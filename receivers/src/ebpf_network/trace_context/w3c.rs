//! The header `traceparent` of W3C Trace Context.

use super::hex;

/// What a valid header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parent<'h> {
    pub(super) trace_id: &'h str,
    pub(super) span_id: &'h str,
    pub(super) sampled: bool,
}

/// Version, trace id, parent id and flags with their hyphens.
const LENGTH: usize = 55;

/// Reads `00-<trace id>-<parent id>-<flags>`; later versions may add fields behind a hyphen (section 4.3 of the
/// specification).
pub(super) fn parse(value: &[u8]) -> Option<Parent<'_>> {
    let (fields, more) = value.split_at_checked(LENGTH)?;
    let version = fields.get(..2)?;
    let extended = version != b"00" && more.first() == Some(&b'-');
    if !version.iter().all(hex::is_lower) || version == b"ff" || !(more.is_empty() || extended) {
        return None;
    }
    let hyphens = [2, 35, 52].iter().all(|place| fields.get(*place) == Some(&b'-'));
    let flags = fields.get(53..)?;
    if !hyphens || !flags.iter().all(hex::is_lower) {
        return None;
    }
    Some(Parent {
        trace_id: hex::lower_id(fields.get(3..35)?, 32)?,
        span_id: hex::lower_id(fields.get(36..52)?, 16)?,
        sampled: hex::digit(*flags.last()?)? & 1 == 1,
    })
}
