//! Counts the items of encoded OTLP without decoding them.

use sluice_pipeline::Signal;
use sluice_pipeline::otlp::wire::{Fields, Value, WireError};

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
