//! What is sent compressed, decompressed up to a cap.

use sluice_pipeline::compression::{Encoding, compress, decompress};

use super::{fail, otlp, tagged};

/// The place of an encoding is the first byte of an input.
pub(super) const ENCODINGS: [Encoding; 5] =
    [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy, Encoding::SnappyFramed];

/// The cap that the decompression target sets.
pub(super) const DECOMPRESSED: usize = 1 << 20;

pub(super) const TOKENS: &[&[u8]] =
    &[b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\xff\x06\x00\x00sNaPpY", b"\xff\xff\xff\xff"];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let contents =
        [Vec::new(), b"hello hello hello".to_vec(), vec![0; 100_000], otlp::messages().swap_remove(0).1];
    ENCODINGS
        .into_iter()
        .enumerate()
        .flat_map(|(place, encoding)| {
            contents.clone().map(|content| {
                let packed = compress(encoding, None, &[content.into()]).unwrap_or_default();
                tagged(place, &packed)
            })
        })
        .collect()
}

pub(super) fn run(input: &[u8]) -> String {
    let Some((place, packed)) = input.split_first() else { return String::new() };
    let Some(encoding) = ENCODINGS.get(usize::from(*place) % ENCODINGS.len()) else {
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
