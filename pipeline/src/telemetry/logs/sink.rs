//! Where log lines go.

use std::{
    fs::{File, OpenOptions},
    io::{Write, stderr, stdout},
};

use super::LogError;

/// An open output.
pub(super) enum Sink {
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    /// Opens `stdout`, `stderr` or a file for appending.
    pub(super) fn open(path: &str) -> Result<Self, LogError> {
        match path {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Self::File)
                .map_err(|source| LogError::Open { path: path.to_owned(), source }),
        }
    }

    /// Writes a line. A log that cannot be written has nowhere to say so.
    pub(super) fn write(&mut self, line: &[u8]) {
        let _ = match self {
            Self::Stdout => stdout().write_all(line),
            Self::Stderr => stderr().write_all(line),
            Self::File(file) => file.write_all(line),
        };
    }
}
