//! `deflate`: zlib as RFC 9110 asks for, or raw deflate as some clients send it. Never passed on as it came.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, ZlibDecoder};

use super::{DecompressError, Decompressed, Encoding, output::Output};

pub(super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<Decompressed, DecompressError> {
    if has_zlib_header(input) {
        let mut decoder = ZlibDecoder::new(input);
        match read_to_the_end(&mut decoder, &mut output, |decoder| decoder.get_ref().len()) {
            // Two bytes of raw deflate may look like a zlib header.
            Err(DecompressError::Malformed { .. }) => output.clear(),
            result => return result.map(|()| output.finish(false)),
        }
    }
    let mut decoder = DeflateDecoder::new(input);
    read_to_the_end(&mut decoder, &mut output, |decoder| decoder.get_ref().len())?;
    Ok(output.finish(false))
}

fn read_to_the_end<D: Read>(
    decoder: &mut D,
    output: &mut Output<'_>,
    unread: impl FnOnce(&D) -> usize,
) -> Result<(), DecompressError> {
    output.read_all(Encoding::Deflate, decoder)?;
    if unread(decoder) > 0 {
        return Err(Encoding::Deflate.malformed("something follows its end"));
    }
    Ok(())
}

fn has_zlib_header(input: &[u8]) -> bool {
    match input {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31),
        _ => false,
    }
}
