//! The files of a durable queue: whatever is in them, recovery ends, delivers only what was written, and counts the rest.

use bytes::Bytes;
use sluice_extensions::file_storage::fuzzing;
use sluice_pipeline::Signal;
use sluice_pipeline::batch::{Batch, Chunk, Compressed, Context};
use sluice_pipeline::compression::{Encoding, compress};

/// Headers of records and segments, an entry's size, and numbers that are lengths.
pub(super) const TOKENS: &[&[u8]] =
    &[b"SREC", b"SLUICEQ\n", b"\x01\0\0\0", b"\xff\xff\xff\xff", &[0; 16], &[0; 64], b"\x40\0\0\0\0\0\0\0"];

/// Batches of every shape.
fn batches() -> Vec<Batch> {
    let plain = Bytes::from_static(b"some telemetry, and some telemetry again");
    let gzip = compress(Encoding::Gzip, None, std::slice::from_ref(&plain)).unwrap_or_default();
    let compressed = Compressed { encoding: Encoding::Gzip, bytes: gzip.into() };
    let chunk = Chunk::new(plain, 3);
    let mut context = Context { peer: "127.0.0.1:4317".parse().ok(), ..Context::default() };
    context.metadata.insert("x-tenant", http::HeaderValue::from_static("a"));
    let joined = vec![chunk.clone(), chunk.replaced(Bytes::from_static(b"more"), 1)];
    vec![
        Batch::new(Signal::Traces, chunk.clone(), Context::default()),
        Batch::new(Signal::Logs, chunk.with_compressed(compressed), context),
        Batch::from_chunks(Signal::Metrics, joined, std::sync::Arc::default()),
    ]
}

/// Segments; the first byte tells how many bytes at the end are settlements.
pub(super) fn segments() -> Vec<Vec<u8>> {
    let batches = batches();
    (0..=batches.len())
        .map(|count| {
            let mut input = vec![0];
            input.extend(fuzzing::segment(&batches[..count]).unwrap_or_default());
            input
        })
        .collect()
}

pub(super) fn payloads() -> Vec<Vec<u8>> {
    batches().iter().map(fuzzing::payload).collect()
}

pub(super) fn recover(input: &[u8]) -> String {
    let Some((settled, segment)) = input.split_first() else { return String::new() };
    let (segment, settled) = segment.split_at(segment.len().saturating_sub(usize::from(*settled)));
    match fuzzing::recover(segment, settled) {
        Ok(read) => {
            let written: Vec<Vec<u8>> = payloads();
            assert!(
                read.iter().all(|payload| written.contains(payload)),
                "something was delivered that was never written"
            );
            // In words: numbers do not count as different outcomes.
            let count = ["none", "one", "two", "three"].get(read.len()).unwrap_or(&"more");
            format!("{count} read")
        }
        Err(error) => {
            assert!(!error.contains("counted"), "{error}");
            error
        }
    }
}

pub(super) fn decode(input: &[u8]) -> String {
    match fuzzing::decode(input) {
        Ok(items) => format!("ok {}", items > 0),
        Err(error) => error,
    }
}
