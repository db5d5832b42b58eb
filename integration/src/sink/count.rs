//! Counts the items of encoded OTLP, and of streams of SkyWalking's and Envoy's, without decoding them.

use sluice_pipeline::Signal;
use sluice_pipeline::otlp::wire::{Fields, Value, WireError};
use sluice_protocols::envoy;

/// The method that takes segments.
pub const SEGMENTS: &str = "/skywalking.v3.TraceSegmentReportService/collect";

/// How many spans or access log entries a framed stream holds; `Some(None)` if it is broken, `None` if the method takes
/// none.
#[must_use]
pub fn stream(path: &str, body: &[u8]) -> Option<Option<usize>> {
    let count = match path {
        SEGMENTS => spans,
        envoy::ACCESS_LOGS => entries,
        _ => return None,
    };
    Some(messages_of(body).map(|message| count(message?).ok()).sum())
}

/// The messages of a framed stream; the last may be `None`, which is a broken one.
fn messages_of(mut body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let framed = std::mem::take(&mut body);
        let message = framed.split_first_chunk::<5>().and_then(|(prefix, rest)| {
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            rest.split_at_checked(length).filter(|_| prefix[0] == 0)
        });
        Some(message.map(|(message, rest)| {
            body = rest;
            message
        }))
    })
}

fn spans(segment: &[u8]) -> Result<usize, WireError> {
    messages(segment, 3).map(|span| span.map(|_| 1)).sum()
}

fn entries(message: &[u8]) -> Result<usize, WireError> {
    let lists = messages(message, 2).chain(messages(message, 3));
    lists.map(|list| messages(list?, 1).map(|entry| entry.map(|_| 1)).sum::<Result<usize, _>>()).sum()
}

/// How many items this message holds: spans, data points or log records. `None` if it is not protobuf.
#[must_use]
pub fn items(signal: Signal, message: &[u8]) -> Option<usize> {
    walk(signal, message).ok()
}

fn walk(signal: Signal, message: &[u8]) -> Result<usize, WireError> {
    let mut count = 0;
    for group in messages(message, 1) {
        for scope_group in messages(group?, 2) {
            for item in messages(scope_group?, 2) {
                count += if signal == Signal::Metrics { points(item?)? } else { item.map(|_| 1)? };
            }
        }
    }
    Ok(count)
}

/// The data points of a metric, in whichever of its five kinds.
fn points(metric: &[u8]) -> Result<usize, WireError> {
    let mut count = 0;
    for field in Fields::of(metric) {
        let field = field?;
        if let (5 | 7 | 9 | 10 | 11, Value::Bytes(data)) = (field.number, field.value) {
            for point in messages(data, 1) {
                point?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn messages(parent: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields::of(parent).filter_map(move |field| match field {
        Ok(field) if field.number == number => match field.value {
            Value::Bytes(message) => Some(Ok(message)),
            _ => None,
        },
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}
