//! What is known of a selection's objects, and who hears of it when that changes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak},
};

use tokio::sync::watch;

use super::{
    error::KubernetesError,
    informer::Selection,
    resources::{Keep, Resource},
};

/// How many objects of a selection are kept.
pub(super) const MOST: usize = 100_000;
/// How many bytes of texts of a selection are kept.
const MOST_BYTES: usize = 256 << 20;

/// Hears what happens to the objects, in the task that watches them: it must be quick, and ask the informer nothing.
pub trait Observer<R>: Send + Sync {
    /// The object is there, as it is now.
    fn set(&self, object: &Arc<R>);
    /// The object is gone, or no longer selected.
    fn removed(&self, object: &Arc<R>);
    /// That was all for now.
    fn settled(&self) {}
}

/// What is known of a selection's objects.
pub(super) struct Objects<R> {
    keep: Keep,
    known: RwLock<Listed<R>>,
    observers: Mutex<Vec<Weak<dyn Observer<R>>>>,
    /// How often the objects have changed; 0 until there was a list.
    changes: watch::Sender<u64>,
}

/// Objects by namespace and name.
pub(super) struct Listed<R> {
    objects: HashMap<Key, Arc<R>>,
    /// About how many bytes of texts they are.
    bytes: usize,
}

/// Namespace and name.
type Key = (String, String);

impl<R> Default for Listed<R> {
    fn default() -> Self {
        Self { objects: HashMap::new(), bytes: 0 }
    }
}

impl<R> Listed<R> {
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }
}

impl<R: Resource> Objects<R> {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, known: RwLock::default(), observers: Mutex::default(), changes: watch::Sender::new(0) }
    }

    pub(super) fn all(&self) -> Vec<Arc<R>> {
        self.read().objects.values().cloned().collect()
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<R>> {
        self.read().objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// As [`Informer::changes`](super::Informer::changes).
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// As [`Informer::observe`](super::Informer::observe).
    pub(super) fn observe(&self, observer: &Arc<dyn Observer<R>>) {
        // Nothing happens in between: whoever changes the objects holds the observers.
        let mut observers = self.observers();
        self.all().iter().for_each(|object| observer.set(object));
        observer.settled();
        observers.push(Arc::downgrade(observer));
    }

    fn read(&self) -> RwLockReadGuard<'_, Listed<R>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn observers(&self) -> MutexGuard<'_, Vec<Weak<dyn Observer<R>>>> {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an object to a list, as far as it is kept.
    pub(super) fn list(
        &self,
        listed: &mut Listed<R>,
        mut object: R,
        selection: &Selection,
    ) -> Result<(), KubernetesError> {
        object.trim(&self.keep);
        listed.bytes += object.size();
        let (key, object) = keyed(object);
        listed.objects.insert(key, object);
        let what = || selection.what(R::PLURAL);
        match (listed.bytes > MOST_BYTES, listed.len() > MOST) {
            (true, _) => Err(KubernetesError::TooMuch { what: what(), limit: MOST_BYTES }),
            (false, true) => Err(KubernetesError::TooMany { what: what(), limit: MOST }),
            (false, false) => Ok(()),
        }
    }

    /// Changes the objects, and tells those who wait for it; `tell` what the observers hear of it.
    fn change<T>(&self, change: impl FnOnce(&mut Listed<R>) -> T, tell: impl Fn(&dyn Observer<R>, &T)) {
        let mut observers = self.observers();
        let changed = change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
        observers.retain(|observer| {
            let Some(observer) = observer.upgrade() else { return false };
            tell(&*observer, &changed);
            observer.settled();
            true
        });
        drop(observers);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Puts these in place of what there was.
    pub(super) fn replace(&self, mut found: Listed<R>) {
        self.change(
            |objects| {
                let mut gone = std::mem::take(&mut objects.objects);
                let mut news = Vec::new();
                for (key, object) in &mut found.objects {
                    match gone.remove(key) {
                        // What is known already stays itself.
                        Some(known) if is_same(&*known, &**object) => *object = known,
                        _ => news.push(Arc::clone(object)),
                    }
                }
                *objects = found;
                (gone, news)
            },
            |observer, (gone, news)| {
                gone.values().for_each(|object| observer.removed(object));
                news.iter().for_each(|object| observer.set(object));
            },
        );
    }

    /// Puts an object there, as far as it is kept.
    pub(super) fn set(&self, mut object: R, selection: &Selection) -> Result<(), KubernetesError> {
        object.trim(&self.keep);
        let (key, object) = keyed(object);
        let what = || selection.what(R::PLURAL);
        let (known, bytes) = {
            let objects = self.read();
            let replaced = objects.objects.get(&key).map(|known| known.size());
            if replaced.is_none() && objects.objects.len() >= MOST {
                return Err(KubernetesError::TooMany { what: what(), limit: MOST });
            }
            (replaced.unwrap_or_default(), objects.bytes)
        };
        let bytes = bytes.saturating_sub(known) + object.size();
        if bytes > MOST_BYTES {
            return Err(KubernetesError::TooMuch { what: what(), limit: MOST_BYTES });
        }
        self.change(
            |objects| {
                objects.bytes = bytes;
                objects.objects.insert(key, Arc::clone(&object));
            },
            |observer, ()| observer.set(&object),
        );
        Ok(())
    }

    pub(super) fn remove(&self, object: &R) {
        let key = key_of(object);
        self.change(
            |objects| {
                let gone = objects.objects.remove(&key);
                objects.bytes = objects.bytes.saturating_sub(gone.as_ref().map_or(0, |gone| gone.size()));
                gone
            },
            |observer, gone| gone.iter().for_each(|gone| observer.removed(gone)),
        );
    }
}

/// Whether both are the same version of an object.
fn is_same<R: Resource>(one: &R, other: &R) -> bool {
    let (one, other) = (one.metadata(), other.metadata());
    one.uid == other.uid && one.resource_version == other.resource_version && !one.resource_version.is_empty()
}

fn keyed<R: Resource>(object: R) -> (Key, Arc<R>) {
    (key_of(&object), Arc::new(object))
}

fn key_of<R: Resource>(object: &R) -> Key {
    let metadata = object.metadata();
    (metadata.namespace.clone(), metadata.name.clone())
}
