//! Snappy in both of its forms, told apart by the stream identifier. Never passed on as it came.

use snap::{raw, read::FrameDecoder};

use super::{DecompressError, Decompressed, Encoding, output::Output};

/// The chunk that every framed stream starts with.
pub(super) const STREAM_START: &[u8] = b"\xff\x06\x00\x00sNaPpY";

pub(super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<Decompressed, DecompressError> {
    if input.starts_with(STREAM_START) {
        output.read_all(Encoding::SnappyFramed, &mut FrameDecoder::new(input))?;
    } else {
        let size = raw::decompress_len(input).map_err(malformed)?;
        let buffer = output.exactly(size)?;
        raw::Decoder::new().decompress(input, buffer).map_err(malformed)?;
    }
    Ok(output.finish(false))
}

fn malformed(error: snap::Error) -> DecompressError {
    Encoding::Snappy.malformed(error)
}
