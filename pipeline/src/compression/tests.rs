//! Round trips, hostile inputs, and what may be passed on.

use std::io::Write;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;

const ALL: [Encoding; 5] =
    [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy, Encoding::SnappyFramed];
const LIMIT: usize = 1 << 20;

fn sample() -> Vec<u8> {
    (0..5000u32).flat_map(|number| format!("span {} of {}; ", number, number % 7).into_bytes()).collect()
}

fn packed(encoding: Encoding, content: &[u8]) -> Vec<u8> {
    compress(encoding, None, &[Bytes::copy_from_slice(content)]).unwrap()
}

/// gzip as a streaming client writes it, with a file name in the header.
fn named_gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a name")
        .comment("a comment")
        .extra(vec![1, 2, 3])
        .write(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// zstd as a streaming client writes it: without the content size.
fn streamed_zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn chunks_come_back_as_one_content() {
    let content = sample();
    let chunks: Vec<_> = content.chunks(1000).map(Bytes::copy_from_slice).collect();
    for encoding in ALL {
        let compressed = compress(encoding, None, &chunks).unwrap();
        assert!(compressed.len() < content.len(), "{encoding} compresses");
        let decompressed = decompress(encoding, &compressed, LIMIT).unwrap();
        assert_eq!(decompressed.bytes, content, "{encoding}");
        assert_eq!(decompressed.whole, matches!(encoding, Encoding::Gzip | Encoding::Zstd), "{encoding}");
    }
}

#[test]
fn what_other_writers_make_is_read() {
    let content = sample();
    let gzip = decompress(Encoding::Gzip, &named_gzip(&content), LIMIT).unwrap();
    assert_eq!(gzip, Decompressed { bytes: content.clone(), whole: true });
    let zstd = decompress(Encoding::Zstd, &streamed_zstd(&content), LIMIT).unwrap();
    assert_eq!(zstd, Decompressed { bytes: content.clone(), whole: true });
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(&content).unwrap();
    assert_eq!(decompress(Encoding::Deflate, &raw.finish().unwrap(), LIMIT).unwrap().bytes, content);
}

#[test]
fn several_members_are_decoded_but_not_passed_on() {
    let (one, two) = (named_gzip(b"first "), packed(Encoding::Gzip, b"second"));
    let decompressed = decompress(Encoding::Gzip, &[one, two].concat(), LIMIT).unwrap();
    assert_eq!(decompressed, Decompressed { bytes: b"first second".to_vec(), whole: false });

    for second in [packed(Encoding::Zstd, b"second"), streamed_zstd(b"second")] {
        let both = [packed(Encoding::Zstd, b"first "), second].concat();
        let decompressed = decompress(Encoding::Zstd, &both, LIMIT).unwrap();
        assert_eq!(decompressed, Decompressed { bytes: b"first second".to_vec(), whole: false });
    }
}

#[test]
fn a_member_that_contains_the_start_of_another_is_one_member() {
    // Stored, not compressed: the sequence stands in the data as it is.
    let content = b"x\x1f\x8b\x08y".repeat(10);
    let stored = compress(Encoding::Gzip, Some(0), &[Bytes::from(content.clone())]).unwrap();
    let decompressed = decompress(Encoding::Gzip, &stored, LIMIT).unwrap();
    assert_eq!(decompressed, Decompressed { bytes: content, whole: true });
}

#[test]
fn a_trailer_that_stands_elsewhere_too_hides_nothing() {
    let member = packed(Encoding::Gzip, &sample());
    let trailer = member.last_chunk::<8>().unwrap();
    for after in [&trailer[..], &[b"garbage", &trailer[..]].concat()] {
        let refused = decompress(Encoding::Gzip, &[&member, after].concat(), LIMIT);
        assert!(matches!(refused, Err(DecompressError::Malformed { .. })), "{refused:?}");
    }
    let twice = decompress(Encoding::Gzip, &[&member[..], &member].concat(), LIMIT).unwrap();
    assert_eq!(twice, Decompressed { bytes: [sample(), sample()].concat(), whole: false });

    // What stands before the trailer of an empty member makes it found one byte earlier, too.
    let empty = packed(Encoding::Gzip, b"");
    assert_eq!(
        decompress(Encoding::Gzip, &empty, LIMIT).unwrap(),
        Decompressed { bytes: Vec::new(), whole: true }
    );
}

#[test]
fn skippable_frames_are_not_passed_on() {
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    for input in [
        [&skippable[..], &packed(Encoding::Zstd, b"x")].concat(),
        [&packed(Encoding::Zstd, b"x"), &skippable[..]].concat(),
    ] {
        let decompressed = decompress(Encoding::Zstd, &input, LIMIT).unwrap();
        assert_eq!(decompressed, Decompressed { bytes: b"x".to_vec(), whole: false });
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::SnappyFramed] {
        let mut compressed = packed(encoding, &sample());
        compressed.extend_from_slice(b"garbage that is no member");
        let refused = decompress(encoding, &compressed, LIMIT);
        assert!(matches!(refused, Err(DecompressError::Malformed { .. })), "{encoding}: {refused:?}");
    }
    let mut members = [packed(Encoding::Gzip, b"one"), packed(Encoding::Gzip, b"two")].concat();
    members.push(0);
    assert!(matches!(decompress(Encoding::Gzip, &members, LIMIT), Err(DecompressError::Malformed { .. })));
}

#[test]
fn truncated_inputs_are_refused() {
    let content = sample();
    for encoding in ALL {
        let compressed = packed(encoding, &content);
        for end in [0, 1, 5, 12, compressed.len() / 2, compressed.len() - 1] {
            // A framed stream may end after any frame; what came out is then shorter, which the check of the content
            // notices. All others know their end.
            let refused = decompress(encoding, &compressed[..end], LIMIT);
            let empty_stream = encoding == Encoding::SnappyFramed && end == 0;
            assert!(empty_stream || refused.is_err(), "{encoding} cut at {end}: {refused:?}");
        }
    }
}

#[test]
fn bombs_are_refused_at_the_cap_with_bounded_memory() {
    let content = vec![0u8; 64 << 20];
    let mut bombs: Vec<_> = ALL.map(|encoding| (encoding, packed(encoding, &content))).into();
    bombs.push((Encoding::Zstd, streamed_zstd(&content)));
    bombs.push((Encoding::Gzip, packed(Encoding::Gzip, &content[..1 << 20]).repeat(64)));
    for (encoding, bomb) in bombs {
        let budget = Budget::new(4 << 20);
        let mut charge = budget.charge(0).unwrap();
        let refused = decompress_charged(encoding, &bomb, LIMIT, &mut charge);
        assert_eq!(refused, Err(DecompressError::TooLarge { limit: LIMIT }), "{encoding}");
        assert!(charge.bytes() <= 2 * LIMIT as u64, "{encoding} charged {}", charge.bytes());

        let small = Budget::new(100_000);
        let mut charge = small.charge(0).unwrap();
        let refused = decompress_charged(encoding, &bomb, 128 << 20, &mut charge);
        assert!(matches!(refused, Err(DecompressError::Exhausted(_))), "{encoding}: {refused:?}");
    }
}

#[test]
fn content_of_exactly_the_limit_passes() {
    let content = sample();
    let mut inputs: Vec<_> = ALL.map(|encoding| (encoding, packed(encoding, &content))).into();
    inputs.push((Encoding::Zstd, streamed_zstd(&content)));
    for (encoding, compressed) in inputs {
        assert!(decompress(encoding, &compressed, content.len()).is_ok(), "{encoding}");
        let refused = decompress(encoding, &compressed, content.len() - 1);
        assert!(matches!(refused, Err(DecompressError::TooLarge { .. })), "{encoding}: {refused:?}");
    }
}

#[test]
fn a_lying_size_is_refused() {
    let mut compressed = packed(Encoding::Gzip, b"twelve bytes");
    let end = compressed.len();
    for size in [0u32, 11, 13, 10_000, u32::MAX] {
        compressed[end - 4..].copy_from_slice(&size.to_le_bytes());
        assert!(decompress(Encoding::Gzip, &compressed, LIMIT).is_err(), "{size}");
    }
}

#[test]
fn a_window_beyond_eight_mebibytes_is_refused_when_streaming() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&sample()).unwrap();
    let frame = encoder.finish().unwrap();
    assert!(matches!(decompress(Encoding::Zstd, &frame, LIMIT), Err(DecompressError::Malformed { .. })));
}

#[test]
fn names_are_those_of_the_protocols() {
    for encoding in ALL {
        assert_eq!(Encoding::from_name(encoding.name()), Ok(Some(encoding)));
    }
    assert_eq!(Encoding::from_name("X-GZIP"), Ok(Some(Encoding::Gzip)));
    assert_eq!(Encoding::from_name(" zlib"), Ok(Some(Encoding::Deflate)));
    for none in ["", "identity", "none"] {
        assert_eq!(Encoding::from_name(none), Ok(None));
    }
    assert!(Encoding::from_name("gzip, gzip").is_err());
    assert!(Encoding::from_name("lz4").is_err());
}

#[test]
fn levels_outside_an_encodings_range_are_named() {
    assert_eq!(level_problem(Some(Encoding::Gzip), 9), None);
    assert!(level_problem(Some(Encoding::Gzip), 10).is_some());
    assert!(level_problem(Some(Encoding::Zstd), 23).is_some());
    assert!(level_problem(Some(Encoding::Snappy), 1).is_some());
    assert_eq!(level_problem(None, 0), None);
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(content in proptest::collection::vec(any::<u8>(), 0..3000), cut in 0usize..3000) {
        let cut = cut.min(content.len());
        let chunks = [Bytes::copy_from_slice(&content[..cut]), Bytes::copy_from_slice(&content[cut..])];
        for encoding in ALL {
            let compressed = compress(encoding, None, &chunks).unwrap();
            prop_assert_eq!(&decompress(encoding, &compressed, LIMIT).unwrap().bytes, &content);
        }
    }

    #[test]
    fn any_bytes_stay_within_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        for encoding in ALL {
            for magic in [&[][..], b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00", b"\x28\xb5\x2f\xfd", b"\xff\x06\x00\x00sNaPpY"] {
                if let Ok(decompressed) = decompress(encoding, &[magic, &bytes].concat(), 10_000) {
                    prop_assert!(decompressed.bytes.len() <= 10_000);
                }
            }
        }
    }
}
