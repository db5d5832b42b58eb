//! OTLP at the door, as protobuf and as JSON.

use std::hint::black_box;

use bytes::Bytes;
use sluice_pipeline::Signal;
use sluice_pipeline::otlp::write::Writer;
use sluice_pipeline::otlp::{check, count, json, view};

use super::{fail, tagged};
use crate::payload::{Compression, Kind, generate};

pub(super) const TOKENS: &[&[u8]] =
    &[b"\x0a\x00", b"\x12\x80\x01", b"\xff\xff\xff\xff\x0f", b"\x0b\x0c", b"\xed\xa0\x80"];

/// The place of a signal is the first byte of an input.
const SIGNALS: [Signal; 4] = Signal::ALL;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    messages().into_iter().map(|(place, message)| tagged(place, &message)).collect()
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    messages()
        .into_iter()
        .map(|(place, message)| {
            let mut text = Vec::new();
            if let Some(signal) = SIGNALS.get(place) {
                json::encode(*signal, &[&message], &mut text);
            }
            tagged(place, &text)
        })
        .collect()
}

pub(super) fn messages() -> Vec<(usize, Vec<u8>)> {
    let mut messages = Vec::new();
    for (place, signal) in SIGNALS.into_iter().enumerate() {
        match kind(signal) {
            Some(kind) => {
                messages.extend([1, 2, 7].map(|items| {
                    (place, generate(kind, items, Compression::None, 1).remove(0).body.to_vec())
                }))
            }
            None => messages.push((place, profiles())),
        }
    }
    messages
}

const fn kind(signal: Signal) -> Option<Kind> {
    match signal {
        Signal::Traces => Some(Kind::Traces),
        Signal::Metrics => Some(Kind::Metrics),
        Signal::Logs => Some(Kind::Logs),
        Signal::Profiles => None,
    }
}

/// A profile with its dictionary.
fn profiles() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, |profile| {
                profile.message(1, |kind| {
                    kind.varint(1, 1);
                    kind.varint(2, 2);
                });
                profile.message(2, |sample| {
                    sample.varint(1, 1);
                    sample.bytes(2, &[1]);
                    sample.bytes(4, &[5]);
                });
                profile.fixed64(3, 1_700_000_000_000_000_000);
                profile.bytes(7, &[7; 16]);
            });
        });
    });
    writer.message(2, |dictionary| {
        dictionary.message(1, |mapping| mapping.varint(1, 4096));
        dictionary.message(2, |location| location.varint(2, 4097));
        dictionary.message(3, |function| function.varint(1, 1));
        for text in ["", "cpu", "nanoseconds"] {
            dictionary.bytes(5, text.as_bytes());
        }
        dictionary.message(7, |stack| stack.bytes(1, &[0]));
    });
    bytes
}

/// What passes the door is canonical, is read by views to its end, and can be written as JSON.
pub(super) fn protobuf(input: &[u8]) -> String {
    let Some((signal, bytes)) = signal(input) else { return String::new() };
    match check::check(signal, Bytes::copy_from_slice(bytes)) {
        Ok(checked) => {
            assert_sound(signal, &checked.bytes, checked.items);
            if !checked.canonicalised && checked.repaired == 0 {
                assert_eq!(checked.bytes, bytes, "nothing was to change, and yet it did");
            }
            format!("ok {} {}", checked.canonicalised, checked.repaired > 0)
        }
        Err(error) => error.to_string(),
    }
}

pub(super) fn assert_sound(signal: Signal, bytes: &Bytes, items: usize) {
    let again = check::check(signal, bytes.clone());
    let again =
        again.unwrap_or_else(|error| fail(&format!("what passed the door does not pass again: {error}")));
    assert!(!again.canonicalised && again.repaired == 0, "what passed the door was not canonical");
    assert_eq!((again.items, count::count(signal, bytes)), (items, items), "the counts of items differ");
    assert_eq!(walk(signal, bytes), items, "the views do not see all items");
    let mut text = Vec::new();
    json::encode(signal, &[bytes], &mut text);
    let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&text);
    assert!(
        parsed.is_ok() || too_deep(&text),
        "what was written is no JSON: {}",
        String::from_utf8_lossy(&text)
    );
}

/// Deeper than `serde_json` reads: no fault of what was written.
fn too_deep(text: &[u8]) -> bool {
    text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() >= 128
}

/// Reads everything that views show; gives how many items there were.
fn walk(signal: Signal, bytes: &[u8]) -> usize {
    let mut items = 0;
    for group in view::resource_groups(bytes) {
        read(group.resource().attributes());
        for scope_group in group.scope_groups() {
            read(scope_group.scope().attributes());
            match signal {
                Signal::Traces => scope_group.spans().for_each(|span| {
                    items += 1;
                    read(span.attributes());
                    span.events().for_each(|event| read(event.attributes()));
                    span.links().for_each(|link| read(link.attributes()));
                }),
                Signal::Logs => scope_group.log_records().for_each(|record| {
                    items += 1;
                    read(record.attributes());
                    record.body().into_iter().for_each(|body| {
                        black_box(body.text());
                    });
                }),
                Signal::Metrics => items += scope_group.items().map(count::count_data_points).sum::<usize>(),
                Signal::Profiles => {
                    items += scope_group.profiles().map(|profile| profile.samples().count()).sum::<usize>()
                }
            }
        }
    }
    items
}

fn read<'a>(attributes: impl Iterator<Item = view::KeyValue<'a>>) {
    attributes.for_each(|pair| {
        black_box(pair.value.text());
    });
}

pub(super) fn from_json(input: &[u8]) -> String {
    let Some((signal, text)) = signal(input) else { return String::new() };
    match json::decode(signal, text) {
        Ok(bytes) => {
            let checked = check::check(signal, bytes.into());
            let checked = checked
                .unwrap_or_else(|error| fail(&format!("JSON became OTLP that the door refuses: {error}")));
            assert_sound(signal, &checked.bytes, checked.items);
            format!("ok {}", checked.canonicalised)
        }
        Err(error) => error.to_string(),
    }
}

fn signal(input: &[u8]) -> Option<(Signal, &[u8])> {
    let (place, bytes) = input.split_first()?;
    Some((*SIGNALS.get(usize::from(*place) % SIGNALS.len())?, bytes))
}
