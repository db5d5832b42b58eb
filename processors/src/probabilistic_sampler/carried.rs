//! Sampling information that telemetry carries: in the `ot` member of a span's `tracestate`, in attributes of a log record.

use super::number::{Randomness, Threshold};

/// The member of `tracestate` that is OpenTelemetry's.
const MEMBER: &[u8] = b"ot";
/// The attribute of a log record with its threshold.
pub(super) const THRESHOLD_ATTRIBUTE: &[u8] = b"sampling.threshold";
/// The attribute of a log record with its randomness.
pub(super) const RANDOMNESS_ATTRIBUTE: &[u8] = b"sampling.randomness";

/// What telemetry says about how it was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// Randomness other than that of the trace id (`rv`).
    pub(super) randomness: Option<Randomness>,
    /// What it was sampled at so far (`th`).
    pub(super) threshold: Option<Threshold>,
}

/// Sampling information that does not follow the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Carried {
    /// Of two texts, if they are there.
    pub(super) fn of_texts(threshold: Option<&[u8]>, randomness: Option<&[u8]>) -> Result<Self, Malformed> {
        Ok(Self {
            threshold: threshold.map(|text| Threshold::parse(text).ok_or(Malformed)).transpose()?,
            randomness: randomness.map(|text| Randomness::parse(text).ok_or(Malformed)).transpose()?,
        })
    }

    /// Of a `tracestate`.
    pub(super) fn of_trace_state(trace_state: &[u8]) -> Result<Self, Malformed> {
        let mut texts = [None, None];
        for field in fields(trace_state) {
            let (key, value) = split(field, b':').ok_or(Malformed)?;
            match key {
                b"th" => texts[0] = Some(value),
                b"rv" => texts[1] = Some(value),
                _ => {}
            }
        }
        Self::of_texts(texts[0], texts[1])
    }

    /// This `tracestate` with this information in place of what it has. What changed stands first (W3C Trace Context).
    pub(super) fn trace_state(self, before: &[u8]) -> Vec<u8> {
        let mut member = Vec::new();
        let mut add = |key: &[u8], value: &[u8]| {
            member.extend_from_slice(if member.is_empty() { b"ot=" } else { b";" });
            member.extend_from_slice(key);
            member.push(b':');
            member.extend_from_slice(value);
        };
        if let Some(randomness) = self.randomness {
            add(b"rv", randomness.text().as_bytes());
        }
        if let Some(threshold) = self.threshold.and_then(Threshold::text) {
            add(b"th", threshold.as_bytes());
        }
        for (key, value) in fields(before).filter_map(|field| split(field, b':')) {
            if key != b"th" && key != b"rv" {
                add(key, value);
            }
        }
        let others = members(before).filter(|other| !is_ours(other));
        for other in others {
            if !member.is_empty() {
                member.push(b',');
            }
            member.extend_from_slice(other);
        }
        member
    }
}

/// The fields of OpenTelemetry's member.
fn fields(trace_state: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ours = members(trace_state).find(|member| is_ours(member));
    let value = ours.and_then(|member| split(member, b'=')).map_or(&b""[..], |(_, value)| value);
    value.split(|byte| *byte == b';').filter(|field| !field.is_empty())
}

fn members(trace_state: &[u8]) -> impl Iterator<Item = &[u8]> {
    trace_state.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

fn is_ours(member: &[u8]) -> bool {
    split(member, b'=').is_some_and(|(key, _)| key == MEMBER)
}

fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}
