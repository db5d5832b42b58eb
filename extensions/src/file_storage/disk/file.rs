//! The real disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    time::Instant,
};

use metrics::Histogram;

use super::Disk;

/// How many pieces the system takes in one write (`IOV_MAX`).
const PIECES: usize = 1024;

/// A directory of the file system.
#[derive(Debug)]
pub(in crate::file_storage) struct FileDisk {
    path: PathBuf,
    directory: File,
    /// How long syncs take, in seconds.
    sync_seconds: Histogram,
}

impl FileDisk {
    pub(in crate::file_storage) fn new(path: PathBuf, sync_seconds: Histogram) -> io::Result<Self> {
        let directory = File::open(&path)?;
        Ok(Self { path, directory, sync_seconds })
    }

    fn timed(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let begin = Instant::now();
        let outcome = sync();
        self.sync_seconds.record(begin.elapsed());
        outcome
    }
}

impl Disk for FileDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path.join(name))
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read_at(&self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, file: &File, offset: u64, pieces: &[&[u8]]) -> io::Result<()> {
        let mut offset = offset;
        let mut slices: Vec<IoSlice<'_>> =
            pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let count = rest.len().min(PIECES);
            match rustix::io::pwritev(file, &rest[..count], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        // Not `fdatasync`: without a journal, Linux's ext4 (which also has ext2) then leaves a new length in memory unless
        // a block was added.
        self.timed(|| file.sync_all())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.timed(|| self.directory.sync_all())
    }
}
