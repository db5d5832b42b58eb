//! What is known of a selection's objects, and who hears of it when that changes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak},
};

use tokio::sync::watch;

use super::{
    error::KubernetesError,
    informer::Selection,
    resources::{Keep, Metadata, Resource, of_text},
};

/// How many bytes of memory what is kept of a selection may take, about: 150,000 pods of an ordinary kind, or twice as
/// many replica sets.
const MOST_BYTES: usize = 256 << 20;
/// About how many bytes an object takes besides itself and its name: its place in a table that is half empty, and the
/// counts of those who hold it.
const BESIDE: usize = 2 * size_of::<(Key, usize)>() + 2 * size_of::<usize>();
/// More objects than this do not fit, however small.
pub(super) const MOST: usize = MOST_BYTES / (BESIDE + size_of::<Metadata>());

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
    /// About how many bytes of memory they take.
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
        let (key, mut object) = keyed(object);
        // What is known already stays itself: a list that is made again takes no second room.
        if let Some(known) = self.read().objects.get(&key).filter(|known| is_same(&***known, &*object)) {
            object = Arc::clone(known);
        }
        listed.bytes += taken(&*object);
        if let Some(replaced) = listed.objects.insert(key, object) {
            listed.bytes -= taken(&*replaced);
        }
        check::<R>(listed.bytes, listed.len(), selection)
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
        let (replaced, bytes, count) = {
            let objects = self.read();
            let replaced = objects.objects.get(&key).map_or(0, |known| taken(&**known));
            (replaced, objects.bytes, objects.len())
        };
        let bytes = bytes.saturating_sub(replaced) + taken(&*object);
        check::<R>(bytes, count, selection)?;
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
                objects.bytes = objects.bytes.saturating_sub(gone.as_ref().map_or(0, |gone| taken(&**gone)));
                gone
            },
            |observer, gone| gone.iter().for_each(|gone| observer.removed(gone)),
        );
    }
}

/// About how many bytes of memory an object takes where it is kept.
fn taken<R: Resource>(object: &R) -> usize {
    let metadata = object.metadata();
    BESIDE + of_text(&metadata.namespace) + of_text(&metadata.name) + object.size()
}

/// Whether objects may take so many bytes.
fn check<R: Resource>(bytes: usize, objects: usize, selection: &Selection) -> Result<(), KubernetesError> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(KubernetesError::TooMuch { what: selection.what(R::PLURAL), objects, limit: MOST_BYTES >> 20 })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{OwnerReference, ReplicaSet};

    fn replica_set(number: usize, label: &str) -> ReplicaSet {
        let name = format!("service-{number}-6c45f8d6f6");
        let uid = format!("8f3c1a52-7d0e-4b61-9a3f-{number:012}");
        let owner = OwnerReference { kind: "Deployment".to_owned(), name: name.clone(), uid: uid.clone() };
        ReplicaSet {
            metadata: Metadata {
                name,
                namespace: "shop".to_owned(),
                uid,
                resource_version: number.to_string(),
                labels: [("app".to_owned(), label.to_owned())].into(),
                owner_references: vec![owner],
                ..Metadata::default()
            },
        }
    }

    #[test]
    fn how_many_objects_there_are_does_not_matter() {
        let objects = Objects::<ReplicaSet>::new(Keep::default());
        let selection = Selection::default();
        let mut listed = Listed::default();
        for number in 0..150_000 {
            objects.list(&mut listed, replica_set(number, "dropped"), &selection).unwrap();
        }
        let bytes = listed.bytes;
        assert!(bytes / listed.len() < 1000, "{bytes}");
        objects.replace(listed);
        assert_eq!(objects.all().len(), 150_000);

        // What comes again is neither counted nor kept twice.
        let before = objects.get("shop", "service-7-6c45f8d6f6").unwrap();
        let mut again = Listed::default();
        for number in [7, 7, 8] {
            objects.list(&mut again, replica_set(number, ""), &selection).unwrap();
        }
        assert!(again.len() == 2 && again.bytes < 2000, "{}", again.bytes);
        objects.replace(again);
        assert!(Arc::ptr_eq(&before, &objects.get("shop", "service-7-6c45f8d6f6").unwrap()));
    }

    #[test]
    fn what_takes_too_much_memory_is_refused() {
        let keep = Keep { labels: crate::kubernetes::Wanted::all(), ..Keep::default() };
        let objects = Objects::<ReplicaSet>::new(keep);
        let selection = Selection::default();
        let mut listed = Listed::default();
        let label = "x".repeat(1 << 20);
        for number in 0..255 {
            objects.list(&mut listed, replica_set(number, &label), &selection).unwrap();
        }
        objects.replace(listed);
        let refused = objects.set(replica_set(255, &label), &selection).unwrap_err();
        assert_eq!(refused.reason(), "too_much");
        assert_eq!(
            refused.to_string(),
            "what is kept of replicasets of all namespaces takes more than 256 MiB of memory, with 255 objects; select \
             fewer, or extract fewer labels and annotations"
        );
        objects.set(replica_set(254, "changed"), &selection).unwrap();
        objects.set(replica_set(255, &label), &selection).unwrap();
        let gone = replica_set(0, "");
        objects.remove(&gone);
        objects.set(replica_set(256, &label), &selection).unwrap();
        assert_eq!(objects.all().len(), 256);
    }
}
