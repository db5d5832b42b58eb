//! Compression of request bodies, and back.

use std::io::Read;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use crate::Outcome;

/// How a request body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// One gzip member, level 1.
    Gzip,
    /// One zstd frame, level 1.
    Zstd,
}

/// The most that a tool decompresses: far above any batch that the benchmarks send.
const MOST: usize = 256 << 20;

impl Compression {
    /// The name on the wire, if there is one to send.
    #[must_use]
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The compression named by a header; `None` if the tools do not speak it.
    #[must_use]
    pub fn from_header(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "identity") => Some(Self::None),
            Some("gzip") => Some(Self::Gzip),
            Some("zstd") => Some(Self::Zstd),
            Some(_) => None,
        }
    }
}

/// Compresses a body at level 1.
#[must_use]
pub fn compress(plain: Vec<u8>, compression: Compression) -> Bytes {
    match compression {
        Compression::None => plain.into(),
        Compression::Gzip => {
            // Not `fastest()`: that is level 0, which stores.
            let mut compressor = Compressor::new(CompressionLvl::new(1).unwrap_or_default());
            let mut packed = vec![0; compressor.gzip_compress_bound(plain.len())];
            let size = compressor.gzip_compress(&plain, &mut packed).unwrap_or(0);
            packed.truncate(size);
            packed.into()
        }
        Compression::Zstd => zstd::bulk::compress(&plain, 1).unwrap_or_default().into(),
    }
}

/// Decompresses a body of one member or frame.
///
/// # Errors
/// What the decoder says, or that the result would be out of proportion.
pub fn decompress(packed: &Bytes, compression: Compression) -> Outcome<Bytes> {
    match compression {
        Compression::None => Ok(packed.clone()),
        Compression::Gzip => gunzip(packed),
        Compression::Zstd => {
            let mut plain = Vec::new();
            let decoder = zstd::Decoder::new(packed.as_ref())?;
            decoder.take(MOST as u64).read_to_end(&mut plain)?;
            Ok(plain.into())
        }
    }
}

/// The last four bytes of a member say how long its content is (RFC 1952, ISIZE).
fn gunzip(packed: &[u8]) -> Outcome<Bytes> {
    let size = packed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
    if size > MOST {
        return Err(format!("a gzip body of {size} bytes is beyond what the tools take").into());
    }
    let mut plain = vec![0; size];
    let written = Decompressor::new().gzip_decompress(packed, &mut plain)?;
    plain.truncate(written);
    Ok(plain.into())
}
