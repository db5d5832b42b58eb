//! One file that records are added to: rotated, and never left with half a record.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;

use super::{config::Rotation, rotation};

/// How a file is opened, replaced and synced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Whether to keep what a file holds that is already there.
    pub(super) append: bool,
    /// When to begin a new one.
    pub(super) rotation: Option<Rotation>,
    /// The permissions of directories to create; `None` to create none.
    pub(super) directory_mode: Option<u32>,
    /// How long what was written may wait to be synced.
    pub(super) sync_interval: Duration,
}

/// A file that records are added to.
///
/// It is emptied, where it is to be, for the first record. A record that cannot be written whole is cut off again: a
/// reader sees whole records only.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: Option<File>,
    /// Whether it was never open: only then may it be emptied.
    fresh: bool,
    /// Where a record begins that could neither be completed nor cut off.
    torn_at: Option<u64>,
    unsynced: bool,
}

impl Output {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, fresh: true, torn_at: None, unsynced: false }
    }

    /// Whether everything added is on the disk.
    pub(super) fn is_synced(&self) -> bool {
        !self.unsynced
    }

    /// Makes sure that the file can be written to, so that a path which cannot work shows at start. Creates the file;
    /// what it holds stays.
    pub(super) fn prepare(&self, settings: Settings) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        self.create_directory(settings)?;
        match fs::metadata(&self.path) {
            // Opening a pipe waits for its reader, and what a device does is its own.
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => Ok(()),
            _ => self.open_file().map(drop),
        }
    }

    /// Adds a record, beginning a new file first if it would make this one too large.
    pub(super) fn append(&mut self, record: &[u8], settings: Settings) -> io::Result<()> {
        let mut file = self.open(settings)?;
        let mut end = self.end_of(&file)?;
        if let Some(rotation) = settings.rotation
            && let Some(length) = end
            && length > 0
            && length.saturating_add(record.len() as u64) > rotation.limit()
        {
            drop(file);
            file = self.rotate(rotation)?;
            end = self.end_of(&file)?;
        }
        let written = file.write_all(record);
        match (&written, end) {
            (Ok(()), _) => self.unsynced = true,
            (Err(_), Some(end)) => self.torn_at = file.set_len(end).is_err().then_some(end),
            (Err(_), None) => {}
        }
        self.file = Some(file);
        written
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        match &self.file {
            // A pipe or a device has nothing to sync and says so.
            Some(file) if file.metadata()?.is_file() => file.sync_data(),
            _ => Ok(()),
        }
    }

    fn open(&mut self, settings: Settings) -> io::Result<File> {
        if let Some(file) = self.file.take() {
            return Ok(file);
        }
        self.create_directory(settings)?;
        let file = self.open_file()?;
        // A file that is rotated is taken up again, as the Collector does.
        let keep = settings.append || settings.rotation.is_some();
        if self.fresh && !keep && file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        self.fresh = false;
        Ok(file)
    }

    fn create_directory(&self, settings: Settings) -> io::Result<()> {
        match (settings.directory_mode, self.path.parent()) {
            (Some(mode), Some(directory)) => DirBuilder::new().recursive(true).mode(mode).create(directory),
            _ => Ok(()),
        }
    }

    fn open_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)
    }

    /// The length of the file in whole records; `None` for a pipe or a device. Asked anew for each record: someone
    /// else may have truncated or extended the file.
    fn end_of(&mut self, file: &File) -> io::Result<Option<u64>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        if let Some(torn_at) = self.torn_at.take_if(|torn_at| *torn_at < metadata.len()) {
            file.set_len(torn_at).inspect_err(|_| self.torn_at = Some(torn_at))?;
            return Ok(Some(torn_at));
        }
        self.torn_at = None;
        Ok(Some(metadata.len()))
    }

    fn rotate(&mut self, rotation: Rotation) -> io::Result<File> {
        let now = Timestamp::now();
        rotation::move_aside(&self.path, rotation, now)?;
        let file = self.open_file()?;
        rotation::prune(&self.path, rotation, now);
        Ok(file)
    }
}
