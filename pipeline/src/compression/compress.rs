//! Compressing what goes out, whole.

use std::{borrow::Cow, cell::RefCell, io::Write};

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use snap::{raw, write::FrameEncoder};

use super::{Encoding, snappy::STREAM_START};

/// gzip, deflate and zstd at their fastest: on telemetry, higher levels cost several times the CPU for a few percent.
const DEFAULT_LEVEL: i32 = 1;

/// Compression failed, which no input should make happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compressing {size} bytes with {encoding} failed: {reason}")]
pub struct CompressError {
    /// The encoding asked for.
    pub encoding: Encoding,
    /// How much was to be compressed, in bytes.
    pub size: usize,
    /// The library's own words.
    pub reason: String,
}

/// A compressor is some hundred KiB of tables, kept for the next call at the same level.
struct Kept<C> {
    level: i32,
    compressor: C,
}

/// The largest scratch buffer that a thread keeps, in bytes.
const SCRATCH_KEPT: usize = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static DEFLATE: RefCell<Option<Kept<Compressor>>> = const { RefCell::new(None) };
    static ZSTD: RefCell<Option<Kept<zstd::bulk::Compressor<'static>>>> = const { RefCell::new(None) };
}

/// Compresses the chunks, one after another, as one content: one gzip member, one zstd frame with its size.
///
/// # Errors
/// [`CompressError`].
pub fn compress(encoding: Encoding, level: Option<i32>, chunks: &[Bytes]) -> Result<Vec<u8>, CompressError> {
    let content = joined(chunks);
    let content = content.as_ref();
    let failed = |reason: String| CompressError { encoding, size: content.len(), reason };
    match encoding {
        Encoding::Gzip | Encoding::Deflate => {
            deflate(encoding, level.unwrap_or(DEFAULT_LEVEL), content).map_err(failed)
        }
        Encoding::Zstd => zstandard(level.unwrap_or(DEFAULT_LEVEL), content).map_err(failed),
        Encoding::Snappy => {
            raw::Encoder::new().compress_vec(content).map_err(|error| failed(error.to_string()))
        }
        Encoding::SnappyFramed => snappy_framed(content).map_err(|error| failed(error.to_string())),
    }
}

/// What is wrong with `compression_params.level` for this encoding, if anything.
#[must_use]
pub fn level_problem(encoding: Option<Encoding>, level: i32) -> Option<String> {
    let (lowest, highest) = match encoding {
        Some(Encoding::Gzip | Encoding::Deflate) => (-1, 9),
        Some(Encoding::Zstd) => (-1, 22),
        _ => return (level != 0).then(|| "only gzip, zlib, deflate and zstd have levels".to_owned()),
    };
    (level < lowest || level > highest)
        .then(|| format!("level {level} does not exist; levels are {lowest} (the default) to {highest}"))
}

fn joined(chunks: &[Bytes]) -> Cow<'_, [u8]> {
    match chunks {
        [only] => Cow::Borrowed(only),
        chunks => Cow::Owned(chunks.concat()),
    }
}

fn deflate(encoding: Encoding, level: i32, content: &[u8]) -> Result<Vec<u8>, String> {
    let level = if level < 0 { DEFAULT_LEVEL } else { level };
    DEFLATE.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|kept| kept.level != level) {
            let checked = CompressionLvl::new(level).map_err(|error| format!("{error:?}"))?;
            *slot = Some(Kept { level, compressor: Compressor::new(checked) });
        }
        let Some(Kept { compressor, .. }) = slot else { return Err("no compressor".to_owned()) };
        let gzip = encoding == Encoding::Gzip;
        let bound = if gzip {
            compressor.gzip_compress_bound(content.len())
        } else {
            compressor.zlib_compress_bound(content.len())
        };
        with_scratch(bound, |output| {
            let written = if gzip {
                compressor.gzip_compress(content, output)
            } else {
                compressor.zlib_compress(content, output)
            };
            let written = written.map_err(|error| error.to_string())?;
            Ok(output.get(..written).unwrap_or_default().to_vec())
        })
    })
}

/// Lends `size` bytes of any content. What comes out is far smaller than what may come out, and copied in less time
/// than a buffer for that is zeroed in.
fn with_scratch<T>(size: usize, write: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < size {
            scratch.resize(size, 0);
        }
        let result = write(scratch.get_mut(..size).unwrap_or_default());
        if scratch.len() > SCRATCH_KEPT {
            *scratch = Vec::new();
        }
        result
    })
}

fn zstandard(level: i32, content: &[u8]) -> Result<Vec<u8>, String> {
    let level = if level < 1 { DEFAULT_LEVEL } else { level };
    ZSTD.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|kept| kept.level != level) {
            let compressor = zstd::bulk::Compressor::new(level).map_err(|error| error.to_string())?;
            *slot = Some(Kept { level, compressor });
        }
        let Some(Kept { compressor, .. }) = slot else { return Err("no compressor".to_owned()) };
        compressor.compress(content).map_err(|error| error.to_string())
    })
}

fn snappy_framed(content: &[u8]) -> std::io::Result<Vec<u8>> {
    if content.is_empty() {
        // The encoder would write nothing, which is no stream.
        return Ok(STREAM_START.to_vec());
    }
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(content)?;
    encoder.into_inner().map_err(snap::write::IntoInnerError::into_error)
}
