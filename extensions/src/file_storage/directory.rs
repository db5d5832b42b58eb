//! The directory of the queues: made if that is asked for, locked, and checked before anything in it is touched.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use metrics::Histogram;
use sluice_pipeline::component::QueueOwner;

use super::{
    config::{FileStorageConfig, directory_problem},
    disk::{FileDisk, sync},
    identity::{self, IdentityError},
    log::{self, OpenError, format::BLOCK},
};

/// The name of the lock.
const LOCK: &str = "sluice.lock";
/// What the names of queues end with.
const ENDING: &str = ".queue";
/// How often a lock that another process holds is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// The number at the begin of bbolt's meta pages, and where it stands.
const BBOLT: (u64, u32) = (16, 0xed0c_daed);

/// A directory of queues, locked for this process while this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    open: Mutex<HashSet<String>>,
    _lock: File,
}

/// A queue's directory, opened once in this process while this lives.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    directory: Arc<Directory>,
    name: String,
}

/// A queue with data whose owner is not known any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Abandoned {
    pub(super) path: PathBuf,
    /// In words, if they can be read.
    pub(super) owner: String,
    /// What its segments take.
    pub(super) bytes: u64,
}

/// The directories that this process has locked: after a reload two extensions may share one for a while.
static LOCKED: Mutex<Vec<(PathBuf, Weak<Directory>)>> = Mutex::new(Vec::new());

/// Why a directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    /// It is not there, or no directory.
    #[error("{0}")]
    Unfit(String),
    /// It cannot be made.
    #[error("cannot make {path}: {source}; make it yourself, or give this user the right to")]
    Make {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written or read.
    #[error(
        "cannot use {path} for sending queues: {source}; it must be writable, and readable, for the user that runs \
         Sluice"
    )]
    Access {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{path} is in use by process {holder}; stop that, or give each process a directory of its own")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the lock says of its holder.
        holder: String,
    },
    /// It holds a queue of the OpenTelemetry Collector.
    #[error(
        "{path} is a database of the OpenTelemetry Collector's file_storage, which Sluice does not read and has not \
         touched. If it holds data that must not be lost, run the Collector once more with this storage and its \
         exporters and without receivers until otelcol_exporter_queue_size is 0. Then move the file away, or name \
         another directory"
    )]
    Collector {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{path} is nothing of Sluice's; move it away, or name a directory that holds nothing but queues")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It holds a queue that cannot be opened.
    #[error("{path} cannot be opened: {reason}")]
    Queue {
        /// The queue's directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Directory {
    /// Makes, locks and checks a directory.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub(super) fn open(config: &FileStorageConfig) -> Result<Arc<Self>, DirectoryError> {
        let path = &config.directory;
        make(config)?;
        let access = |source| DirectoryError::Access { path: path.clone(), source };
        let canonical = path.canonicalize().map_err(access)?;
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        locked.retain(|(_, directory)| directory.strong_count() > 0);
        let shared = locked.iter().find(|(path, _)| *path == canonical);
        if let Some(directory) = shared.and_then(|(_, directory)| directory.upgrade()) {
            return Ok(directory);
        }
        check(path)?;
        let lock = lock(path, config.timeout.into())?;
        let directory = Arc::new(Self { path: path.clone(), open: Mutex::default(), _lock: lock });
        locked.push((canonical, Arc::downgrade(&directory)));
        Ok(directory)
    }

    /// The directory of a queue, made if there is none yet; `None` while it is open already.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn queue(self: &Arc<Self>, owner: &QueueOwner) -> io::Result<Option<Opened>> {
        let name = queue_name(owner);
        if !self.names().insert(name.clone()) {
            return Ok(None);
        }
        let opened = Opened { path: self.path.join(&name), directory: Arc::clone(self), name };
        match DirBuilder::new().mode(0o700).create(&opened.path) {
            Ok(()) => sync(&File::open(&self.path)?)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Some(opened))
    }

    /// The queues with data that none of these owners has and nobody has opened.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn abandoned(&self, owners: &HashSet<QueueOwner>) -> io::Result<Vec<Abandoned>> {
        let known: HashSet<String> = owners.iter().map(queue_name).collect();
        let mut abandoned = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(ENDING) || known.contains(&name) || self.names().contains(&name) {
                continue;
            }
            let bytes = size(&entry.path())?;
            if bytes > 0 {
                let owner = words(&entry.path()).unwrap_or_else(|| name.clone());
                abandoned.push(Abandoned { path: entry.path(), owner, bytes });
            }
        }
        Ok(abandoned)
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.directory.names().remove(&self.name);
    }
}

/// The name of a queue's directory.
fn queue_name(owner: &QueueOwner) -> String {
    let mut name = String::from("exporter_");
    for character in owner.id.to_string().chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.') {
            name.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                name.push_str(&format!("~{unit:04X}"));
            }
        }
    }
    format!("{name}_{}{ENDING}", owner.signal)
}

fn make(config: &FileStorageConfig) -> Result<(), DirectoryError> {
    let path = &config.directory;
    if let Some(problem) = directory_problem(path, config.create_directory) {
        return Err(DirectoryError::Unfit(problem));
    }
    if path.exists() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(config.mode().unwrap_or(0o750)).create(path);
    made.and_then(|()| {
        let parent = path.parent().filter(|parent| parent.exists()).unwrap_or(Path::new("."));
        sync(&File::open(parent)?)
    })
    .map_err(|source| DirectoryError::Make { path: path.clone(), source })
}

/// Locks the directory, waiting for another process to let go of it.
fn lock(path: &Path, patience: Duration) -> Result<File, DirectoryError> {
    let file = path.join(LOCK);
    let access = |source| DirectoryError::Access { path: path.to_owned(), source };
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(access)?;
    let begin = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if begin.elapsed() < patience => std::thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&lock).take(20).read_to_string(&mut holder);
                return Err(DirectoryError::InUse {
                    path: path.to_owned(),
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(access(source)),
        }
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(access)?;
    Ok(lock)
}

/// Looks at everything in the directory and changes nothing.
fn check(path: &Path) -> Result<(), DirectoryError> {
    let access = |source| DirectoryError::Access { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(access)? {
        let entry = entry.map_err(access)?;
        let name = entry.file_name();
        let is_directory = entry.file_type().map_err(access)?.is_dir();
        match name.to_str() {
            Some(name) if is_directory && name.ends_with(ENDING) => check_queue(&entry.path(), name)?,
            // What file systems and tools put there of their own accord.
            Some(name) if name == LOCK || name == "lost+found" || name.starts_with('.') => {}
            _ if !is_directory && is_bbolt(&entry.path()) => {
                return Err(DirectoryError::Collector { path: entry.path() });
            }
            _ => return Err(DirectoryError::Foreign { path: entry.path() }),
        }
    }
    Ok(())
}

fn check_queue(path: &Path, name: &str) -> Result<(), DirectoryError> {
    let unusable = |reason: String| DirectoryError::Queue { path: path.to_owned(), reason };
    let disk = FileDisk::new(path.to_owned(), Histogram::noop())
        .map_err(|source| DirectoryError::Access { path: path.to_owned(), source })?;
    let owner = identity::owner(&disk).map_err(|error: IdentityError| unusable(error.to_string()))?;
    if let Some((owner, words)) = owner
        && queue_name(&owner) != name
    {
        return Err(unusable(format!(
            "it holds the queue of {words}, whose directory is {}; was it renamed or copied? Move it back, or elsewhere",
            queue_name(&owner)
        )));
    }
    log::check(&disk).map_err(|error: OpenError| unusable(error.to_string()))
}

/// Whose queue it is, as it says itself.
fn words(path: &Path) -> Option<String> {
    let disk = FileDisk::new(path.to_owned(), Histogram::noop()).ok()?;
    identity::owner(&disk).ok().flatten().map(|(_, words)| words)
}

/// What the records of a queue take, in bytes.
fn size(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|ending| ending == "segment") {
            bytes += entry.metadata()?.len().saturating_sub(BLOCK);
        }
    }
    Ok(bytes)
}

fn is_bbolt(path: &Path) -> bool {
    let mut number = [0; 4];
    let read = File::open(path)
        .and_then(|file| std::os::unix::fs::FileExt::read_exact_at(&file, &mut number, BBOLT.0));
    read.is_ok() && u32::from_ne_bytes(number) == BBOLT.1
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::Signal;

    use super::*;

    fn owner(id: &str) -> QueueOwner {
        QueueOwner { id: id.parse().unwrap(), signal: Signal::Traces }
    }

    fn config(path: &Path) -> FileStorageConfig {
        FileStorageConfig { directory: path.to_owned(), ..FileStorageConfig::default() }
    }

    /// Everything below a directory, with content.
    fn everything(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(everything(&path));
            } else {
                all.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn names_are_safe_and_distinct() {
        assert_eq!(queue_name(&owner("otlp")), "exporter_otlp_traces.queue");
        assert_eq!(queue_name(&owner("otlp/a.b-c")), "exporter_otlp~002Fa.b-c_traces.queue");
        assert_eq!(queue_name(&owner("otlp/a/../ä")), "exporter_otlp~002Fa~002F..~002F~00E4_traces.queue");
        assert_ne!(queue_name(&owner("otlp/traces")), queue_name(&owner("otlp_traces")));
    }

    #[test]
    fn a_process_shares_its_directory_and_a_queue_is_opened_once() {
        let place = tempfile::tempdir().unwrap();
        let one = Directory::open(&config(place.path())).unwrap();
        let two = Directory::open(&config(place.path())).unwrap();
        let queue = one.queue(&owner("otlp")).unwrap().unwrap();
        assert!(two.queue(&owner("otlp")).unwrap().is_none());
        drop(queue);
        assert!(two.queue(&owner("otlp")).unwrap().is_some());
    }

    #[test]
    fn a_queue_with_data_that_nobody_has_is_found() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(&config(place.path())).unwrap();
        for (id, segment) in [("otlp", 500), ("otlp/gone", 500), ("otlp/open", 500), ("otlp/empty", 64)] {
            let path = place.path().join(queue_name(&owner(id)));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("0000000000000001-0000000000000002.segment"), vec![0; segment]).unwrap();
        }
        let _open = directory.queue(&owner("otlp/open")).unwrap().unwrap();
        let found = directory.abandoned(&HashSet::from([owner("otlp")])).unwrap();
        let gone = queue_name(&owner("otlp/gone"));
        let expected = Abandoned { path: place.path().join(&gone), owner: gone, bytes: 436 };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn it_is_made_with_its_permissions_if_that_is_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let error = Directory::open(&config(&path)).unwrap_err().to_string();
        assert!(error.contains("does not exist") && error.contains("create_directory"), "{error}");
        let asking = FileStorageConfig {
            create_directory: true,
            directory_permissions: "0700".to_owned(),
            ..config(&path)
        };
        Directory::open(&asking).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_is_not_sluices_is_named_and_left_alone() {
        let mut bbolt = vec![0; 4096];
        bbolt[16..20].copy_from_slice(&BBOLT.1.to_ne_bytes());
        let newer = "sluice queue 2\nx\n";
        let newer = format!("{newer}crc32c {:08x}\n", crc32c::crc32c(newer.as_bytes()));
        let other = "sluice queue 1\nexporter otlp/other\nsignal traces\n";
        let other = format!("{other}crc32c {:08x}\n", crc32c::crc32c(other.as_bytes()));
        for (name, content, words) in [
            ("exporter_otlp__traces", bbolt.as_slice(), "database of the OpenTelemetry Collector"),
            ("notes.txt", b"mine", "nothing of Sluice's"),
            ("exporter_otlp_traces.queue/notes.txt", b"mine", "which is no file of a queue"),
            ("exporter_otlp_traces.queue/queue", newer.as_bytes(), "version 2"),
            ("exporter_otlp_traces.queue/queue", other.as_bytes(), "exporter otlp/other"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let file = place.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            let before = everything(place.path());
            let error = Directory::open(&config(place.path())).unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains(place.path().to_str().unwrap()),
                "{name}: {error}"
            );
            assert_eq!(everything(place.path()), before, "{name}");
        }
    }
}
