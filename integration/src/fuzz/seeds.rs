//! Valid inputs to start from.

use sluice_pipeline::Signal;
use sluice_pipeline::compression::{self, Encoding};
use sluice_pipeline::grpc::frame;
use sluice_pipeline::otlp::json;
use sluice_pipeline::otlp::write::Writer;

use crate::payload::{Compression, Kind, generate};

/// The place of a signal is the first byte of an input.
pub(super) const SIGNALS: [Signal; 4] = Signal::ALL;

/// The place of an encoding is the first byte of an input.
pub(super) const ENCODINGS: [Encoding; 5] =
    [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy, Encoding::SnappyFramed];

/// A byte that names something, then the bytes.
pub(super) fn tagged(place: usize, bytes: &[u8]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "a place in a short list")]
    let mut input = vec![place as u8];
    input.extend_from_slice(bytes);
    input
}

fn messages() -> Vec<(usize, Vec<u8>)> {
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

pub(super) fn otlp() -> Vec<Vec<u8>> {
    messages().into_iter().map(|(place, message)| tagged(place, &message)).collect()
}

pub(super) fn otlp_json() -> Vec<Vec<u8>> {
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

pub(super) fn compressed() -> Vec<Vec<u8>> {
    let contents = [Vec::new(), b"hello hello hello".to_vec(), vec![0; 100_000], messages().swap_remove(0).1];
    ENCODINGS
        .into_iter()
        .enumerate()
        .flat_map(|(place, encoding)| {
            contents.clone().map(|content| {
                let packed = compression::compress(encoding, None, &[content.into()]).unwrap_or_default();
                tagged(place, &packed)
            })
        })
        .collect()
}

/// Framed messages, compressed and not, cut into pieces of one byte and of many.
pub(super) fn grpc() -> Vec<Vec<u8>> {
    let message = messages().swap_remove(0).1;
    let framed = |compressed: bool, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap_or(0);
        [&frame::prefix(compressed, length)[..], message].concat()
    };
    let with = |place: usize, cut: u8, body: &[u8]| tagged(place, &[&[cut][..], body].concat());
    let plain = framed(false, &message);
    let large = framed(false, &vec![7; 200_000]);
    let mut seeds =
        vec![with(0, 0, &plain), with(0, 255, &plain), with(0, 255, &large), with(0, 9, &plain.repeat(2))];
    for (place, encoding) in ENCODINGS.into_iter().enumerate() {
        for content in [message.clone(), vec![0; 300_000]] {
            let packed = compression::compress(encoding, None, &[content.into()]).unwrap_or_default();
            seeds.push(with(place, 63, &framed(true, &packed)));
        }
    }
    seeds
}

pub(super) fn yaml() -> Vec<Vec<u8>> {
    const FILES: [&str; 5] = [
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: ${env:HOST:-0.0.0.0}:4317\n\
         exporters:\n  debug: {verbosity: detailed}\n\
         service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [debug]}\n",
        "a: &x [1, 2.5, 0x1F, 1e3, ~, true, 'it''s', \"q\\u00e9\\n\"]\nb: *x\nc: {<<: {d: 1}, e: 2}\n",
        "text: |\n  line one\n  line two\nfolded: >-\n  a\n  b\n\nlist:\n- a\n-   - b\n    - c\n? complex\n: value\n",
        "a: ${b}\nc: ${env:X}${file:/etc/hosts}\nd: $${literal}\ne: ${yaml:{f: [1, 2]}}\n",
        "%YAML 1.2\n---\na: !!str 1\nb: !custom {x: y}\n...\n",
    ];
    FILES.iter().map(|file| file.as_bytes().to_vec()).collect()
}
