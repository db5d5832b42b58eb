//! Every parser that reads the network or a file, with what must hold of its results.

use std::hint::black_box;
use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use sluice_pipeline::Signal;
use sluice_pipeline::budget::Budget;
use sluice_pipeline::compression::{compress, decompress, decompress_charged};
use sluice_pipeline::config::{self, Environment, Problems, Source};
use sluice_pipeline::grpc::frame;
use sluice_pipeline::http::body::{self, Limits as BodyLimits, Pace};
use sluice_pipeline::otlp::{check, count, json, view};
use sluice_receivers::ebpf_network::http::MAX_MEMORY;

use super::{Limits, Target, credentials, http, kubernetes, queue, redaction, seeds, skywalking, zipkin};

/// All targets.
pub static TARGETS: &[Target] = &[
    Target {
        name: "otlp",
        seeds: seeds::otlp,
        dictionary: &[b"\x0a\x00", b"\x12\x80\x01", b"\xff\xff\xff\xff\x0f", b"\x0b\x0c", b"\xed\xa0\x80"],
        protobuf: true,
        run: otlp,
        limits: Limits { memory_per_byte: 64, memory: 64 << 10 },
    },
    Target {
        name: "otlp-json",
        seeds: seeds::otlp_json,
        dictionary: JSON,
        protobuf: false,
        run: otlp_json,
        limits: Limits { memory_per_byte: 64, memory: 64 << 10 },
    },
    Target {
        name: "zipkin-json",
        seeds: zipkin::json,
        dictionary: JSON,
        protobuf: false,
        run: zipkin::run,
        limits: Limits { memory_per_byte: 64, memory: 64 << 10 },
    },
    Target {
        name: "zipkin-protobuf",
        seeds: zipkin::protobuf,
        dictionary: &[b"\x0a\x00", b"\x5a\x04\x0a\x00\x12\x00", b"\xff\xff\xff\xff\x0f"],
        protobuf: true,
        run: zipkin::run,
        limits: Limits { memory_per_byte: 64, memory: 64 << 10 },
    },
    Target {
        name: "zipkin-v1",
        seeds: zipkin::version_1,
        dictionary: zipkin::VERSION_1,
        protobuf: false,
        run: zipkin::run,
        limits: Limits { memory_per_byte: 64, memory: 64 << 10 },
    },
    Target {
        name: "skywalking",
        seeds: skywalking::seeds,
        dictionary: skywalking::TOKENS,
        protobuf: false,
        run: skywalking::messages,
        limits: Limits { memory_per_byte: 64, memory: 16 << 20 },
    },
    Target {
        name: "skywalking-json",
        seeds: skywalking::json_seeds,
        dictionary: JSON,
        protobuf: false,
        run: skywalking::json,
        limits: Limits { memory_per_byte: 64, memory: 16 << 20 },
    },
    Target {
        name: "compression",
        seeds: seeds::compressed,
        dictionary: &[
            b"\x1f\x8b\x08\x00",
            b"\x28\xb5\x2f\xfd",
            b"\x78\x9c",
            b"\xff\x06\x00\x00sNaPpY",
            b"\xff\xff\xff\xff",
        ],
        protobuf: false,
        run: compression,
        limits: Limits { memory_per_byte: 8, memory: 4 * DECOMPRESSED },
    },
    Target {
        name: "grpc",
        seeds: seeds::grpc,
        dictionary: &[
            b"\x00\x00\x00\x00\x00",
            b"\x01\x00\x00\x00\x01",
            b"\xff\xff\xff\xff",
            b"\x00\x00\x10\x00\x00",
        ],
        protobuf: false,
        run: grpc,
        limits: Limits { memory_per_byte: 16, memory: 4 * DECOMPRESSED },
    },
    Target {
        name: "yaml",
        seeds: seeds::yaml,
        dictionary: &[
            b": ",
            b"- ",
            b"&a ",
            b"*a",
            b"<<: *a",
            b"${",
            b"}",
            b"${env:X:-",
            b"${yaml:",
            b"$$",
            b"{",
            b"[",
            b"]",
            b"|\n ",
            b"!!",
            b"---\n",
            b"\t",
            b"\xef\xbb\xbf",
            b"? ",
            b"\r\n",
            b"'",
            b"\"",
            b"\\x",
            b"receivers:",
        ],
        protobuf: false,
        run: yaml,
        limits: Limits { memory_per_byte: 1024, memory: 1 << 20 },
    },
    Target {
        name: "redaction",
        seeds: redaction::seeds,
        dictionary: redaction::DICTIONARY,
        protobuf: false,
        run: redaction::run,
        limits: Limits { memory_per_byte: 32, memory: 4 << 20 },
    },
    Target {
        name: "http1",
        seeds: http::dialogues,
        dictionary: http::TOKENS,
        protobuf: false,
        run: http::http1,
        limits: Limits { memory_per_byte: 64, memory: MAX_MEMORY },
    },
    Target {
        name: "trace_context",
        seeds: http::headers,
        dictionary: http::HEADERS,
        protobuf: false,
        run: http::trace_context,
        limits: Limits { memory_per_byte: 4, memory: 64 << 10 },
    },
    Target {
        name: "queue-segment",
        seeds: queue::segments,
        dictionary: queue::TOKENS,
        protobuf: false,
        run: queue::recover,
        // Stray headers may claim up to the whole input once more; the search for the next record reads in strides.
        limits: Limits { memory_per_byte: 8, memory: 1 << 20 },
    },
    Target {
        name: "queue-payload",
        seeds: queue::payloads,
        dictionary: queue::TOKENS,
        protobuf: false,
        run: queue::decode,
        limits: Limits { memory_per_byte: 64, memory: 4 << 20 },
    },
    Target {
        name: "jwt",
        seeds: credentials::tokens,
        dictionary: credentials::TOKENS,
        protobuf: false,
        run: credentials::token,
        limits: Limits { memory_per_byte: 128, memory: 256 << 10 },
    },
    Target {
        name: "jwks",
        seeds: credentials::key_sets,
        dictionary: credentials::KEYS,
        protobuf: false,
        run: credentials::key_set,
        limits: Limits { memory_per_byte: 256, memory: 256 << 10 },
    },
    Target {
        name: "basicauth",
        seeds: credentials::passwords,
        dictionary: credentials::PASSWORDS,
        protobuf: false,
        run: credentials::password,
        limits: Limits { memory_per_byte: 128, memory: 256 << 10 },
    },
    Target {
        name: "certificate",
        seeds: credentials::certificates,
        dictionary: credentials::DER,
        protobuf: false,
        run: credentials::certificate,
        limits: Limits { memory_per_byte: 128, memory: 64 << 10 },
    },
    Target {
        name: "kubernetes",
        seeds: kubernetes::seeds,
        dictionary: kubernetes::TOKENS,
        protobuf: false,
        run: kubernetes::read,
        limits: Limits { memory_per_byte: 128, memory: 64 << 10 },
    },
];

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"\"NaN\"",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\xff",
    b"\"\\",
];

/// The largest message of the gRPC target, and the budget that it is charged to, which some inputs exceed.
const MESSAGE: usize = 256 << 10;
const BUDGET: u64 = 384 << 10;

thread_local! {
    /// Bodies are read under timers.
    static CLOCK: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap_or_else(|error| fail(&error.to_string()));
}

/// The cap that the decompression target sets.
const DECOMPRESSED: usize = 1 << 20;

/// What passes the door is canonical, is read by views to its end, and can be written as JSON.
fn otlp(input: &[u8]) -> String {
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

fn otlp_json(input: &[u8]) -> String {
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

fn compression(input: &[u8]) -> String {
    let Some((place, packed)) = input.split_first() else { return String::new() };
    let Some(encoding) = seeds::ENCODINGS.get(usize::from(*place) % seeds::ENCODINGS.len()) else {
        return String::new();
    };
    match decompress(*encoding, packed, DECOMPRESSED) {
        Ok(content) => {
            assert!(content.bytes.len() <= DECOMPRESSED, "more came out than may");
            let again = compress(*encoding, None, &[content.bytes.clone().into()]);
            let again = again.unwrap_or_else(|error| fail(&error.to_string()));
            let back = decompress(*encoding, &again, DECOMPRESSED);
            assert_eq!(
                back.map(|back| back.bytes).as_ref(),
                Ok(&content.bytes),
                "compressing does not round-trip"
            );
            format!("ok {} {}", content.whole, content.bytes.len().checked_ilog2().unwrap_or(0))
        }
        Err(error) => error.to_string(),
    }
}

/// The way of a unary call's body at the door: read in pieces, charged, unframed, decompressed. The first byte says
/// how it is compressed, the second where it is cut into pieces.
fn grpc(input: &[u8]) -> String {
    let [encoding, cut, body @ ..] = input else { return String::new() };
    let Some(encoding) = seeds::ENCODINGS.get(usize::from(*encoding) % seeds::ENCODINGS.len()) else {
        return String::new();
    };
    let budget = Budget::new(BUDGET);
    let pieces = body
        .chunks(usize::from(*cut) + 1)
        .map(|piece| Ok::<_, String>(Frame::data(Bytes::copy_from_slice(piece))));
    let limits = BodyLimits {
        budget: &budget,
        bytes: MESSAGE,
        key: "max_recv_msg_size_mib",
        pace: Pace::default(),
        deadline: None,
    };
    let reading = body::read(StreamBody::new(stream::iter(pieces)), limits, frame::announced);
    let admitted = match CLOCK.with(|clock| clock.block_on(reading)) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            assert_eq!(budget.used(), 0, "a refused body keeps a charge");
            return refusal.reason().to_owned();
        }
    };
    assert_eq!(admitted.bytes, body, "what was read is not what was sent");
    assert!(budget.used() >= body.len() as u64, "not all that is held is charged");
    let mut charge = admitted.charge;
    let said = match frame::message(admitted.bytes) {
        Ok((compressed, message)) => {
            let again = [&frame::prefix(compressed, u32::try_from(message.len()).unwrap_or(0))[..], &message]
                .concat();
            assert_eq!(again, body, "a frame does not round-trip");
            match compressed.then(|| decompress_charged(*encoding, &message, MESSAGE, &mut charge)) {
                Some(Ok(content)) => {
                    assert!(content.bytes.len() <= MESSAGE, "more came out than may");
                    assert!(
                        budget.used() >= (body.len() + content.bytes.len()) as u64,
                        "content is not charged"
                    );
                    format!("ok {}", content.whole)
                }
                Some(Err(error)) => error.to_string(),
                None => "ok".to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    drop(charge);
    assert_eq!(budget.used(), 0, "a charge outlives its call");
    said
}

fn yaml(input: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(input) else { return yaml_file(input) };
    let mut problems = Problems::default();
    let node = config::load(&[Source::Yaml(text.to_owned())], &[], &Nothing, &mut problems);
    assert!(node.is_some() || problems.has_errors(), "nothing was loaded and nothing is wrong");
    format!("{} {}", node.is_some(), rendered(&problems))
}

/// As a file would be read, for bytes that are not UTF-8.
fn yaml_file(input: &[u8]) -> String {
    let mut problems = Problems::default();
    let node = config::load(&[Source::File("fuzz.yaml".into())], &[], &Content(input), &mut problems);
    assert!(node.is_none(), "invalid UTF-8 was taken");
    rendered(&problems)
}

/// How the messages begin: what follows often quotes the input.
fn rendered(problems: &Problems) -> String {
    problems.iter().take(3).flat_map(|problem| problem.message.chars().take(16)).collect()
}

/// An environment with a variable and a file of its own, and nothing of the machine's.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "X").then(|| "${env:X}".to_owned())
    }

    fn read(&self, _path: &str) -> io::Result<Vec<u8>> {
        Ok(b"content: [of, a, file]".to_vec())
    }
}

/// An environment whose every file is the input.
struct Content<'a>(&'a [u8]);

impl Environment for Content<'_> {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, _path: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}

fn signal(input: &[u8]) -> Option<(Signal, &[u8])> {
    let (place, bytes) = input.split_first()?;
    Some((*seeds::SIGNALS.get(usize::from(*place) % seeds::SIGNALS.len())?, bytes))
}

#[expect(clippy::panic, reason = "how a target reports a broken invariant")]
pub(super) fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
