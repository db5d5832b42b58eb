//! What the log needs of a disk: a small part of a file system, rooted at one directory.

mod file;
#[cfg(test)]
pub(super) mod simulated;

use std::io;

pub(super) use file::{FileDisk, sync};

/// The directory of one queue.
pub(super) trait Disk {
    /// A file that was opened.
    type File;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new, empty file. Fails if there is one of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Its length in bytes.
    fn length(&self, file: &Self::File) -> io::Result<u64>;

    /// Reads from `offset` until the buffer is full or the file ends; returns how much that was.
    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all pieces, one after the other, at `offset`. After a failure any part may have been written.
    fn write_at(&self, file: &Self::File, offset: u64, pieces: &[&[u8]]) -> io::Result<()>;

    /// Cuts the file off.
    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Makes content and length survive a power cut (`fsync`). After a failure nothing written since the last
    /// success may survive, whatever a second try returns.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names survive a power cut: files created, renamed and removed.
    fn sync_directory(&self) -> io::Result<()>;
}

/// Whether an error says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
