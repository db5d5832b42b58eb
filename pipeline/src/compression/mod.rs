//! Compression of requests and responses, always with a cap on what may come out.

mod compress;
mod deflate;
mod gzip;
mod output;
mod snappy;
#[cfg(test)]
mod tests;
mod zstandard;

use std::{fmt, str::FromStr};

pub use compress::{CompressError, compress, level_problem};

use crate::budget::{Charge, Exhausted};
use output::Output;

/// How bytes are compressed. The names are those of `Content-Encoding` and `grpc-encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// `deflate`: zlib (RFC 1950), or raw deflate as some clients send it.
    Deflate,
    /// Snappy as a single block; either form is understood when decompressing.
    Snappy,
    /// Snappy in its framing format; either form is understood when decompressing.
    SnappyFramed,
}

/// A name of no encoding that this build has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("encoding \"{0}\" is not supported; use gzip, zstd, deflate, snappy or none")]
pub struct UnknownEncoding(pub String);

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decompressed {
    /// The content.
    pub bytes: Vec<u8>,
    /// Whether the input was exactly one gzip member or one zstd frame, so that every decoder reads the same from it
    /// and it may be passed on as it is.
    pub whole: bool,
}

/// Why nothing came out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// More came out than may.
    #[error("the content is larger than {limit} bytes once decompressed")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The input is not what it is said to be.
    #[error("the {encoding} content cannot be decompressed: {reason}")]
    Malformed {
        /// What it is said to be.
        encoding: Encoding,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no memory for the content.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// Decompresses `input`, refusing as soon as more than `limit` bytes would come out.
///
/// # Errors
/// [`DecompressError`].
pub fn decompress(encoding: Encoding, input: &[u8], limit: usize) -> Result<Decompressed, DecompressError> {
    decompress_into(encoding, input, Output::new(limit, None))
}

/// Like [`decompress`], charging the buffer in steps before it grows.
///
/// # Errors
/// [`DecompressError`]; what was charged stays charged.
pub fn decompress_charged(
    encoding: Encoding,
    input: &[u8],
    limit: usize,
    charge: &mut Charge,
) -> Result<Decompressed, DecompressError> {
    decompress_into(encoding, input, Output::new(limit, Some(charge)))
}

fn decompress_into(
    encoding: Encoding,
    input: &[u8],
    output: Output<'_>,
) -> Result<Decompressed, DecompressError> {
    match encoding {
        Encoding::Gzip => gzip::decompress(input, output),
        Encoding::Zstd => zstandard::decompress(input, output),
        Encoding::Deflate => deflate::decompress(input, output),
        Encoding::Snappy | Encoding::SnappyFramed => snappy::decompress(input, output),
    }
}

impl Encoding {
    /// The name in `Content-Encoding` and `grpc-encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
        }
    }

    /// The encoding of this name; `None` for the names of no compression: empty, `identity`, `none`.
    ///
    /// # Errors
    /// [`UnknownEncoding`], also for a list of encodings.
    pub fn from_name(name: &str) -> Result<Option<Self>, UnknownEncoding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "zstd" => Ok(Some(Self::Zstd)),
            "deflate" | "zlib" => Ok(Some(Self::Deflate)),
            "snappy" => Ok(Some(Self::Snappy)),
            "x-snappy-framed" => Ok(Some(Self::SnappyFramed)),
            other => Err(UnknownEncoding(other.chars().take(64).collect())),
        }
    }

    fn malformed(self, reason: impl fmt::Display) -> DecompressError {
        DecompressError::Malformed { encoding: self, reason: reason.to_string() }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        Self::from_name(name)?.ok_or_else(|| UnknownEncoding(name.to_owned()))
    }
}
