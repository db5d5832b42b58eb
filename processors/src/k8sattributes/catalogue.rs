//! The pods that are known, by what resources are associated with them by.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use metrics::{counter, gauge};
use sluice_pipeline::{
    kubernetes::{
        DaemonSet, Deployment, Job, Metadata, Namespace, Node, Observer, Pod, ReplicaSet, StatefulSet,
    },
    telemetry::names,
};

use super::{
    association::{Associations, Identified},
    key::Key,
    pod::{self, Entry},
    related::{Kind, Relations},
    rules::Rules,
};

/// How many pods may have the same key, such as an address that was theirs one after the other.
const MOST_OF_A_KEY: usize = 16;
/// How many keys of pods that are gone are kept; beyond that the oldest go early.
const MOST_DEPARTING: usize = 100_000;

/// The pods that are known. Informers write it, processors read it.
pub(super) struct Catalogue {
    pub(super) rules: Rules,
    pub(super) associations: Associations,
    grace: Duration,
    state: RwLock<State>,
}

/// What a processor reads.
pub(super) struct State {
    /// By namespace and name.
    pods: HashMap<(String, String), Known>,
    /// One for each of [`Associations::tables`].
    tables: Vec<HashMap<Key, Slot>>,
    relations: Relations,
    departing: VecDeque<Departing>,
}

struct Known {
    pod: Arc<Pod>,
    entry: Arc<Entry>,
}

/// The pods with one key; the one that is meant first.
struct Slot {
    meant: Arc<Entry>,
    others: Vec<Arc<Entry>>,
}

/// A key that a pod no longer has.
struct Departing {
    at: Instant,
    table: usize,
    key: Key,
    identity: Box<str>,
}

impl Catalogue {
    pub(super) fn new(rules: Rules, associations: Associations, grace: Duration) -> Self {
        let tables = associations.tables().iter().map(|_| HashMap::new()).collect();
        let state = State {
            pods: HashMap::new(),
            tables,
            relations: Relations::default(),
            departing: VecDeque::new(),
        };
        Self { rules, associations, grace, state: RwLock::new(state) }
    }

    /// What is known now; nothing changes while this is held.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what has been gone long enough.
    pub(super) fn sweep(&self, now: Instant) {
        let state = &mut *self.write();
        while let Some(departing) = state.departing.front()
            && (departing.at <= now || state.departing.len() > MOST_DEPARTING)
            && let Some(departing) = state.departing.pop_front()
        {
            state.expire(&departing);
        }
        state.tell_size();
    }

    /// Goes through all pods again.
    pub(super) fn resync(&self) {
        let names: Vec<_> = self.read().pods.keys().cloned().collect();
        self.renew(&names);
    }

    /// Makes the entries of these pods anew. Readers are let in between.
    fn renew(&self, names: &[(String, String)]) {
        for name in names {
            let state = &mut *self.write();
            if let Some(pod) = state.pods.get(name).map(|known| Arc::clone(&known.pod)) {
                state.put(self, &pod);
            }
        }
    }

    fn relate(&self, kind: Kind, metadata: &Metadata) {
        self.write().relations.set(kind, metadata, &self.rules);
    }

    /// Brings the pods up to date with what they belong to and run on.
    fn settle(&self) {
        let changed = self.write().relations.take_changed();
        if changed.is_empty() {
            return;
        }
        let names: Vec<_> = {
            let state = self.read();
            let concerned =
                state.pods.iter().filter(|(_, known)| state.relations.concerns(&changed, &known.pod));
            concerned.map(|(name, _)| name.clone()).collect()
        };
        self.renew(&names);
    }
}

impl State {
    /// The pod that is meant.
    pub(super) fn pod(&self, identified: Identified, key: &[u8]) -> Option<&Entry> {
        self.tables.get(identified.table)?.get(key).map(|slot| &*slot.meant)
    }

    /// What an object gives to its pods, encoded.
    pub(super) fn related(&self, kind: Kind, key: &str) -> Option<&[u8]> {
        self.relations.get(kind, key).map(|related| &*related.block)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.pods.len(), self.tables.iter().map(HashMap::len).sum())
    }

    fn put(&mut self, catalogue: &Catalogue, pod: &Arc<Pod>) {
        let tables = catalogue.associations.tables();
        let entry = Arc::new(Entry::new(pod, &catalogue.rules, tables, &self.relations));
        let name = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let known = Known { pod: Arc::clone(pod), entry: Arc::clone(&entry) };
        if let Some(old) = self.pods.insert(name, known) {
            if old.entry.identity == entry.identity {
                self.outgrow(catalogue, &old.entry, &entry);
            } else {
                // Another pod of the same name, as stateful sets have them.
                self.depart(catalogue, &old.entry);
            }
        }
        for (table, key) in &entry.keys {
            if let Some(table) = self.tables.get_mut(*table) {
                match table.entry(key.clone()) {
                    hash_map::Entry::Occupied(mut slot) => slot.get_mut().put(&entry),
                    hash_map::Entry::Vacant(place) => drop(place.insert(Slot::of(&entry))),
                }
            }
        }
    }

    /// Keys that a pod no longer has, such as that of a container that ended, lead to it for a while.
    fn outgrow(&mut self, catalogue: &Catalogue, old: &Entry, new: &Arc<Entry>) {
        for (table, key) in old.keys.iter().filter(|(table, key)| !new.is_known_by(*table, key)) {
            if let Some(slot) = self.tables.get_mut(*table).and_then(|table| table.get_mut(key)) {
                slot.put(new);
            }
            self.leave(catalogue, *table, key, &new.identity);
        }
    }

    /// A pod that is gone is known for a while, unless its keys are another's.
    fn depart(&mut self, catalogue: &Catalogue, entry: &Entry) {
        entry.leave();
        for (table, key) in &entry.keys {
            if let Some(slot) = self.tables.get_mut(*table).and_then(|table| table.get_mut(key)) {
                slot.choose();
            }
            self.leave(catalogue, *table, key, &entry.identity);
        }
    }

    fn leave(&mut self, catalogue: &Catalogue, table: usize, key: &Key, identity: &str) {
        let at = Instant::now() + catalogue.grace;
        let departing = Departing { at, table, key: key.clone(), identity: identity.into() };
        if catalogue.grace.is_zero() {
            self.expire(&departing);
        } else {
            self.departing.push_back(departing);
        }
    }

    fn expire(&mut self, departing: &Departing) {
        let Some(table) = self.tables.get_mut(departing.table) else { return };
        let Some(slot) = table.get_mut(&departing.key) else { return };
        let is_over = |entry: &Entry| {
            entry.identity == departing.identity
                && (entry.is_gone() || !entry.is_known_by(departing.table, &departing.key))
        };
        slot.others.retain(|entry| !is_over(entry));
        if is_over(&slot.meant) {
            match slot.others.pop() {
                Some(other) => {
                    slot.meant = other;
                    slot.choose();
                }
                None => drop(table.remove(&departing.key)),
            }
        }
    }

    fn tell_size(&self) {
        let size: usize = self.tables.iter().map(HashMap::len).sum();
        gauge!(names::K8S_POD_TABLE_SIZE).set(size as f64);
    }
}

impl Slot {
    fn of(entry: &Arc<Entry>) -> Self {
        Self { meant: Arc::clone(entry), others: Vec::new() }
    }

    fn put(&mut self, entry: &Arc<Entry>) {
        if self.meant.identity == entry.identity {
            self.meant = Arc::clone(entry);
        } else if let Some(same) = self.others.iter_mut().find(|other| other.identity == entry.identity) {
            *same = Arc::clone(entry);
        } else {
            self.others.push(Arc::clone(entry));
        }
        self.choose();
    }

    /// Puts the one with the highest rank first.
    fn choose(&mut self) {
        for other in &mut self.others {
            if other.rank() > self.meant.rank() {
                std::mem::swap(other, &mut self.meant);
            }
        }
        if self.others.len() >= MOST_OF_A_KEY {
            let lowest = self.others.iter().enumerate().min_by_key(|(_, other)| other.rank());
            if let Some(place) = lowest.map(|(place, _)| place) {
                self.others.swap_remove(place);
            }
        }
    }
}

impl Observer<Pod> for Catalogue {
    fn set(&self, pod: &Arc<Pod>) {
        let state = &mut *self.write();
        let name = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let is_known = state.pods.get(&name).is_some_and(|known| known.entry.identity == pod::identity(pod));
        state.put(self, pod);
        let name = if is_known { names::K8S_POD_UPDATED } else { names::K8S_POD_ADDED };
        counter!(name).increment(1);
    }

    fn removed(&self, pod: &Arc<Pod>) {
        let state = &mut *self.write();
        let name = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        if let Some(known) = state.pods.remove(&name) {
            state.depart(self, &known.entry);
            counter!(names::K8S_POD_DELETED).increment(1);
        }
    }

    fn settled(&self) {
        self.read().tell_size();
    }
}

macro_rules! observe_related {
    ($($resource:ident),+) => {$(
        impl Observer<$resource> for Catalogue {
            fn set(&self, object: &Arc<$resource>) {
                self.relate(Kind::$resource, &object.metadata);
            }

            fn removed(&self, object: &Arc<$resource>) {
                self.write().relations.remove(Kind::$resource, &object.metadata);
            }

            fn settled(&self) {
                self.settle();
            }
        }
    )+};
}

observe_related!(Namespace, Node, ReplicaSet, Deployment, StatefulSet, DaemonSet, Job);
