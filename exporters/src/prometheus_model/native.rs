//! The buckets of native histograms in protobuf, the same in exposition and remote write but for the fields' numbers.

use sluice_protocols::protobuf::{write_message, write_raw_varint, write_varint};

use super::Side;

/// The zero threshold of native histograms that have none: what tells them from classic ones, and below every number
/// that is measured (OpenTelemetry compatibility, "Exponential Histograms").
pub(crate) const ZERO_THRESHOLD: f64 = 1e-128;
/// Empty buckets between two others that are cheaper to write than a new span.
const GAP: usize = 2;

/// Spans of buckets with the gaps before them, then each count as its difference from the one before: packed, as proto3
/// has numbers, or each a field of its own, as proto2.
pub(crate) fn write_side(
    side: &Side,
    (span_field, delta_field): (u32, u32),
    packed: bool,
    out: &mut Vec<u8>,
) {
    // Prometheus counts buckets by their upper bound.
    let mut next = 0;
    for (start, length) in spans(&side.counts) {
        let index = i64::from(side.offset) + 1 + start as i64;
        write_message(out, span_field, |span| {
            write_signed(span, 1, index - next);
            write_varint(span, 2, length as u64);
        });
        next = index + length as i64;
    }
    let deltas = deltas(&side.counts);
    if !packed {
        deltas.for_each(|delta| write_signed(out, delta_field, delta));
    } else if !side.counts.is_empty() {
        write_message(out, delta_field, |out| deltas.for_each(|delta| write_raw_varint(out, zigzag(delta))));
    }
}

/// The count of each bucket of the spans, as its difference from the one before.
fn deltas(counts: &[u64]) -> impl Iterator<Item = i64> {
    let mut previous: i64 = 0;
    spans(counts).into_iter().flat_map(|(start, length)| counts.iter().skip(start).take(length)).map(
        move |count| {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let delta = count - previous;
            previous = count;
            delta
        },
    )
}

/// Start and length of each run of buckets, with gaps up to [`GAP`] in it.
fn spans(counts: &[u64]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (index, _) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        match spans.last_mut() {
            Some((start, length)) if index <= *start + *length + GAP => *length = index - *start + 1,
            _ => spans.push((index, 1)),
        }
    }
    spans
}

/// A field of type `sint32` or `sint64`.
pub(crate) fn write_signed(out: &mut Vec<u8>, field: u32, value: i64) {
    write_varint(out, field, zigzag(value));
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
