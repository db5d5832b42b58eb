//! gzip: one whole member at the speed of libdeflate, several members through a streaming decoder.

use std::cell::RefCell;

use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

use super::{DecompressError, Decompressed, Encoding, output::Output};

/// Magic number and the only compression method that is defined.
const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];
const FIXED_HEADER: usize = 10;
const TRAILER: usize = 8;
/// Deflate cannot expand further than this.
const LARGEST_RATIO: usize = 1032;
/// Each member costs a decoder, whatever its size.
const MEMBERS_LIMIT: usize = 1024;

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

pub(super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<Decompressed, DecompressError> {
    let body = body(input).ok_or_else(|| malformed("it has no complete gzip header"))?;
    let (data, trailer) =
        body.split_last_chunk::<TRAILER>().ok_or_else(|| malformed("it ends before its trailer"))?;
    let (checksum, size) = read_trailer(*trailer);
    let size = usize::try_from(size).map_err(|_| malformed("its size does not fit this machine"))?;
    if size > body.len().saturating_mul(LARGEST_RATIO) {
        return Err(malformed("it claims a size that it cannot hold"));
    }
    let buffer = output.exactly(size)?;
    let written = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.gzip_decompress(input, buffer));
    // The decoder stops after the first member. If that has the trailer that the input ends with, and this trailer
    // stands nowhere else, then the member ends where the input ends.
    if written == Ok(size)
        && libdeflater::crc32(buffer) == checksum
        && memmem::find(but_last(body), trailer).is_none()
    {
        return Ok(output.finish(true));
    }
    // A further member cannot start without this sequence.
    if written.is_ok() || memmem::find(data, &MEMBER_START).is_some() {
        output.clear();
        return decompress_members(input, output);
    }
    Err(malformed("its data, checksum or size is wrong, or it is cut short"))
}

#[cold]
fn decompress_members(input: &[u8], mut output: Output<'_>) -> Result<Decompressed, DecompressError> {
    let mut rest = input;
    let mut members = 0;
    while !rest.is_empty() {
        members += 1;
        if members > MEMBERS_LIMIT {
            return Err(malformed("it has more than 1024 members"));
        }
        if members > 1 && !rest.starts_with(&MEMBER_START) {
            return Err(malformed("something follows its end"));
        }
        let mut decoder = GzDecoder::new(rest);
        output.read_all(Encoding::Gzip, &mut decoder)?;
        rest = decoder.into_inner();
    }
    Ok(output.finish(members == 1))
}

/// What follows the header of the first member: its data, its trailer and all further members.
fn body(input: &[u8]) -> Option<&[u8]> {
    const HEADER_CHECKSUM: u8 = 0x02;
    const EXTRA: u8 = 0x04;
    const NAME: u8 = 0x08;
    const COMMENT: u8 = 0x10;

    let (header, mut rest) = input.split_first_chunk::<FIXED_HEADER>()?;
    if !header.starts_with(&MEMBER_START) {
        return None;
    }
    let flags = header[3];
    if flags & EXTRA != 0 {
        let (length, tail) = rest.split_first_chunk()?;
        rest = tail.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

fn read_trailer(trailer: [u8; TRAILER]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = trailer;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

fn but_last(bytes: &[u8]) -> &[u8] {
    bytes.split_last().map_or(&[], |(_, rest)| rest)
}

fn malformed(reason: &str) -> DecompressError {
    Encoding::Gzip.malformed(reason)
}
