//! The real disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    time::Instant,
};

use metrics::Histogram;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

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
        self.timed(|| sync(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.timed(|| sync(&self.directory))
    }
}

/// Makes the content and the length of a file, or the names in a directory, survive a power cut.
///
/// # Errors
/// The system's.
pub(in crate::file_storage) fn sync(file: &File) -> io::Result<()> {
    // Without a journal, Linux's ext4 (which also has ext2) may leave a new length in memory: `fdatasync` writes it only with
    // a new block, and `fsync` only if the time of modification is another since the last, which it is not within a tick of the
    // kernel's clock. A file system that sets no times is synced all the same, and a broken one says so then.
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let _ = futimens(file, &Timestamps { last_access: now, last_modification: now });
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_is_synced_is_marked_as_modified_before() {
        let place = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(place.path().to_owned(), Histogram::noop()).unwrap();
        let file = disk.create("segment").unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(hour_ago).unwrap();
        disk.directory.set_modified(hour_ago).unwrap();
        disk.sync(&file).unwrap();
        disk.sync_directory().unwrap();
        for modified in [&file, &disk.directory].map(|file| file.metadata().unwrap().modified().unwrap()) {
            assert!(modified > hour_ago + Duration::from_secs(3000), "{modified:?}");
        }
    }
}
