//! Decompresses the begin of a body: bounded, and content with what a cut capture gives.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

/// A decompressor that is used again and again.
pub(super) struct Inflate {
    raw: Decompress,
    zlib: Decompress,
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self { raw: Decompress::new(false), zlib: Decompress::new(true) }
    }

    /// Replaces `out` by what comes out of a gzip member, `limit` bytes at most. Tells whether that is all of it;
    /// `None` if it is no gzip.
    pub(super) fn gzip(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<bool> {
        let data = &input[gzip_header(input)?..];
        self.raw.reset(false);
        inflate(&mut self.raw, data, limit, out)
    }

    /// The same for `deflate`: zlib as RFC 9110 asks for, or raw deflate as some servers send it.
    pub(super) fn deflate(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<bool> {
        self.zlib.reset(true);
        inflate(&mut self.zlib, input, limit, out).or_else(|| {
            self.raw.reset(false);
            inflate(&mut self.raw, input, limit, out)
        })
    }
}

fn inflate(decompress: &mut Decompress, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<bool> {
    out.clear();
    out.reserve(limit);
    let room = limit.min(out.capacity());
    out.resize(room, 0);
    let mut status = Status::Ok;
    loop {
        let (read, written) = (position(decompress.total_in()), position(decompress.total_out()));
        let (Some(input), Some(output)) = (input.get(read..), out.get_mut(written..)) else { break };
        if output.is_empty() || status == Status::StreamEnd {
            break;
        }
        match decompress.decompress(input, output, FlushDecompress::None) {
            Ok(new) => status = new,
            // What came out before is sound as far as anyone can tell.
            Err(_) if written > 0 || position(decompress.total_out()) > 0 => break,
            Err(_) => return None,
        }
        if position(decompress.total_in()) == read && position(decompress.total_out()) == written {
            break;
        }
    }
    out.truncate(position(decompress.total_out()));
    Some(status == Status::StreamEnd)
}

/// Counts of bytes in memory fit.
fn position(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The length of the header of a gzip member (RFC 1952 section 2.3); its end if it is cut.
fn gzip_header(input: &[u8]) -> Option<usize> {
    const CHECKSUM: u8 = 0x02;
    const EXTRA: u8 = 0x04;
    const NAME: u8 = 0x08;
    const COMMENT: u8 = 0x10;
    const FIXED: usize = 10;

    if !input.starts_with(&[0x1f, 0x8b, 0x08]) {
        return None;
    }
    let flags = *input.get(3)?;
    let mut length = FIXED;
    if flags & EXTRA != 0 {
        let size =
            input.get(length..length + 2).map_or(0, |size| usize::from(size[0]) | usize::from(size[1]) << 8);
        length += 2 + size;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            length += input
                .get(length..)
                .and_then(|rest| memchr::memchr(0, rest))
                .map_or(input.len(), |end| end + 1);
        }
    }
    if flags & CHECKSUM != 0 {
        length += 2;
    }
    Some(length.min(input.len()))
}

impl fmt::Debug for Inflate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inflate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const TEXT: &[u8] = b"one two three, one two three, one two four";

    fn gzipped() -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn whole_bodies_come_out() {
        let mut out = Vec::new();
        let mut inflate = Inflate::new();
        assert_eq!(inflate.gzip(&gzipped(), 1000, &mut out), Some(true));
        assert_eq!(out, TEXT);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        assert_eq!(inflate.deflate(&encoder.finish().unwrap(), 1000, &mut out), Some(true));
        assert_eq!(out, TEXT);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        assert_eq!(inflate.deflate(&encoder.finish().unwrap(), 1000, &mut out), Some(true));
        assert_eq!(out, TEXT);
    }

    #[test]
    fn cut_and_large_bodies_come_out_as_far_as_they_go() {
        let mut out = Vec::new();
        let mut inflate = Inflate::new();
        let whole = gzipped();
        for length in 0..whole.len() {
            let complete = inflate.gzip(&whole[..length], 1000, &mut out);
            if length >= 4 {
                assert!(complete.is_some(), "{length}");
                assert!(TEXT.starts_with(&out), "{length}");
            }
        }
        assert_eq!(inflate.gzip(&whole, 7, &mut out), Some(false));
        assert_eq!(out, b"one two");
        assert_eq!(inflate.gzip(b"no gzip", 7, &mut out), None);
    }
}
