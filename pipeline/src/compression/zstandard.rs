//! Zstandard: one frame of known size in one pass, anything else through a streaming decoder with a small window.

use std::{cell::RefCell, io};

use zstd::{bulk::Decompressor, stream::read::Decoder, zstd_safe};

use super::{DecompressError, Decompressed, Encoding, output::Output};

const FRAME_START: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// 8 MiB, what RFC 9659 allows in HTTP. The streaming decoder allocates a window of the size that the frame asks for.
const WINDOW_LOG_LIMIT: u32 = 23;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<Decompressed, DecompressError> {
    let whole = input.starts_with(&FRAME_START)
        && zstd_safe::find_frame_compressed_size(input).is_ok_and(|size| size == input.len());
    let known = zstd_safe::get_frame_content_size(input).ok().flatten();
    match known {
        Some(size) if whole => {
            // What does not fit the machine's address space exceeds any limit.
            let buffer = output.with_room(usize::try_from(size).unwrap_or(usize::MAX))?;
            decompress_frame(input, buffer).map_err(|error| Encoding::Zstd.malformed(error))?;
        }
        _ => stream(input, &mut output)?,
    }
    Ok(output.finish(whole))
}

fn decompress_frame(input: &[u8], buffer: &mut Vec<u8>) -> io::Result<usize> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(input, buffer)
    })
}

fn stream(input: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    if input.is_empty() {
        return Err(Encoding::Zstd.malformed("it is empty"));
    }
    let decoder = Decoder::with_buffer(input).and_then(|mut decoder| {
        decoder.window_log_max(WINDOW_LOG_LIMIT)?;
        Ok(decoder)
    });
    output.read_all(Encoding::Zstd, &mut decoder.map_err(|error| Encoding::Zstd.malformed(error))?)
}
