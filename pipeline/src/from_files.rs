//! What is made of files and made anew when they change: certificates, tokens, passwords.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tracing::{info, warn};

use crate::{component::BuildError, telemetry::names};

/// A value that is made of files. Whoever asks for it gets what the files say now, at most `every` ago; files that
/// cannot be used leave the value as it was, with a warning.
///
/// Content is compared rather than times, so that a file is noticed however it was replaced (renamed, linked, written
/// over), and one that only was touched is not.
pub struct FromFiles<T> {
    current: ArcSwap<T>,
    watch: Option<Watch<T>>,
}

/// Which files a value is made of, and how often they are looked at.
pub struct Files {
    /// What the value is, for the log: `the certificates of protocols.grpc.tls`.
    pub what: String,
    /// The files.
    pub paths: Vec<PathBuf>,
    /// How long a look at them is good for. Nothing is looked at while nobody asks.
    pub every: Duration,
}

struct Watch<T> {
    files: Files,
    make: Box<dyn Fn() -> Result<T, BuildError> + Send + Sync>,
    hasher: RandomState,
    seen: Mutex<Seen>,
}

struct Seen {
    looked_at: Instant,
    /// The content that the value was made of.
    taken: u64,
    /// The content that could not be used, so that it is told of once.
    refused: Option<u64>,
}

impl<T: Send + Sync + 'static> FromFiles<T> {
    /// A value that stays as it is.
    pub fn fixed(value: T) -> Arc<Self> {
        Arc::new(Self { current: ArcSwap::from_pointee(value), watch: None })
    }

    /// The value that `make` makes, made anew when the content of a file has changed.
    ///
    /// # Errors
    /// Those of `make`, the first time.
    pub fn watched(
        files: Files,
        make: impl Fn() -> Result<T, BuildError> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, BuildError> {
        let hasher = RandomState::new();
        // Before the value: what changes in between is noticed at the next look.
        let taken = fingerprint(&files.paths, &hasher);
        let current = ArcSwap::from_pointee(make()?);
        let seen = Mutex::new(Seen { looked_at: Instant::now(), taken, refused: None });
        Ok(Arc::new(Self { current, watch: Some(Watch { files, make: Box::new(make), hasher, seen }) }))
    }

    /// The value by what the files say now.
    pub async fn current(self: &Arc<Self>) -> Arc<T> {
        if self.watch.as_ref().is_some_and(Watch::is_due) {
            let this = Arc::clone(self);
            // A panic leaves the value as it is.
            let _ = tokio::task::spawn_blocking(move || this.look()).await;
        }
        self.current.load_full()
    }

    fn look(&self) {
        let Some(watch) = &self.watch else { return };
        let content = fingerprint(&watch.files.paths, &watch.hasher);
        if !watch.is_news(content) {
            return;
        }
        let made = (watch.make)();
        let result = if made.is_ok() { "taken" } else { "refused" };
        metrics::counter!(names::FILE_RELOADS, "result" => result).increment(1);
        let mut seen = watch.seen();
        match made {
            Ok(value) => {
                self.current.store(Arc::new(value));
                seen.taken = content;
                seen.refused = None;
                info!(what = watch.files.what, "Files have changed and were read again");
            }
            Err(error) => {
                seen.refused = Some(content);
                warn!(what = watch.files.what, %error, "Files have changed but cannot be used; the old content stays");
            }
        }
    }
}

impl<T> Watch<T> {
    /// Whether it is time to look; says so once.
    fn is_due(&self) -> bool {
        let mut seen = self.seen();
        let is_due = seen.looked_at.elapsed() >= self.files.every;
        if is_due {
            seen.looked_at = Instant::now();
        }
        is_due
    }

    fn is_news(&self, content: u64) -> bool {
        let mut seen = self.seen();
        if seen.taken == content {
            // A file that was put back as it was.
            seen.refused = None;
        }
        seen.taken != content && seen.refused != Some(content)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(paths: &[PathBuf], hasher: &RandomState) -> u64 {
    let contents: Vec<Option<Vec<u8>>> = paths.iter().map(|path| fs::read(path).ok()).collect();
    hasher.hash_one(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(path: PathBuf, every: Duration) -> Result<Arc<FromFiles<u32>>, BuildError> {
        let files = Files { what: "a number".to_owned(), paths: vec![path.clone()], every };
        FromFiles::watched(files, move || {
            let text = fs::read_to_string(&path).map_err(|error| BuildError::Other(error.to_string()))?;
            text.trim().parse().map_err(|_| BuildError::Other("no number".to_owned()))
        })
    }

    #[tokio::test]
    async fn a_change_is_seen_and_a_bad_file_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        assert!(number(path.clone(), Duration::ZERO).is_err(), "nothing to begin with");
        fs::write(&path, "1").unwrap();
        let value = number(path.clone(), Duration::ZERO).unwrap();
        assert_eq!(*value.current().await, 1);
        fs::write(&path, "2").unwrap();
        assert_eq!(*value.current().await, 2);
        for bad in ["x", "y"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(*value.current().await, 2);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(*value.current().await, 2);
        let other = directory.path().join("other");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(*value.current().await, 3);
    }

    #[tokio::test]
    async fn files_are_not_looked_at_before_their_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        fs::write(&path, "1").unwrap();
        let value = number(path.clone(), Duration::from_secs(3600)).unwrap();
        fs::write(&path, "2").unwrap();
        assert_eq!(*value.current().await, 1);
        assert_eq!(*FromFiles::fixed(7).current().await, 7);
    }
}
