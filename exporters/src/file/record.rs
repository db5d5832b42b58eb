//! What one batch is in a file: a JSON line, or a length and a message.

use sluice_pipeline::{Signal, otlp::json};

use super::config::{Compression, Format};

/// How batches are laid out in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) compression: Compression,
}

/// A batch that cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// Longer than four bytes can say.
    #[error("the batch takes {0} bytes, more than the four bytes of its length can say; split it before")]
    TooLong(usize),
    /// The compressor failed.
    #[error("compressing the batch with zstd failed: {0}")]
    Compression(std::io::Error),
}

impl Layout {
    /// The record of the message that these chunks are together.
    pub(super) fn record(self, signal: Signal, chunks: &[&[u8]]) -> Result<Vec<u8>, LayoutError> {
        match (self.format, self.compression) {
            (Format::Json, Compression::None) => {
                let mut line = Vec::new();
                json::encode(signal, chunks, &mut line);
                line.push(b'\n');
                Ok(line)
            }
            (Format::Json, Compression::Zstd) => {
                let mut text = Vec::new();
                json::encode(signal, chunks, &mut text);
                compressed(&text)
            }
            (Format::Proto, Compression::None) => framed(chunks),
            (Format::Proto, Compression::Zstd) => match chunks {
                [only] => compressed(only),
                several => compressed(&several.concat()),
            },
        }
    }
}

fn framed(parts: &[&[u8]]) -> Result<Vec<u8>, LayoutError> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let prefix = u32::try_from(length).map_err(|_| LayoutError::TooLong(length))?.to_be_bytes();
    let mut record = Vec::with_capacity(prefix.len() + length);
    record.extend_from_slice(&prefix);
    for part in parts {
        record.extend_from_slice(part);
    }
    Ok(record)
}

fn compressed(message: &[u8]) -> Result<Vec<u8>, LayoutError> {
    let frame =
        zstd::bulk::compress(message, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(LayoutError::Compression)?;
    framed(&[&frame])
}
