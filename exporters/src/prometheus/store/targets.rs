//! `target_info`: what is known of each target beside its name, once for each job and instance.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sluice_pipeline::budget::{Budget, Charge};

use super::{Moment, Refusal, family::Room};

/// The targets that telemetry came from.
pub(crate) struct Targets {
    state: Mutex<State>,
    bytes: AtomicU64,
}

struct State {
    by_identity: HashMap<Box<str>, Target>,
    charge: Charge,
}

/// A target as it is exposed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its labels, as they stand between braces.
    pub(crate) labels: Arc<str>,
    /// When it was heard of last, in nanoseconds since 1970.
    pub(crate) time: u64,
    updated: u64,
}

impl Targets {
    pub(super) fn new(budget: &Budget) -> Self {
        let state = State { by_identity: HashMap::new(), charge: budget.charge_anyway(0) };
        Self { state: Mutex::new(state), bytes: AtomicU64::new(0) }
    }

    /// Replaces what is known of a target.
    pub(super) fn update(
        &self,
        identity: String,
        labels: String,
        now: Moment,
        room: &Room,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        let known =
            state.by_identity.get(identity.as_str()).map_or(0, |target| cost(&identity, &target.labels));
        let bytes = self.bytes.load(Ordering::Relaxed) - known + cost(&identity, &labels);
        if known == 0 {
            room.take()?;
        }
        let missing = bytes.saturating_sub(state.charge.bytes());
        if state.charge.grow(missing).is_err() {
            if known == 0 {
                room.give_back(1);
            }
            return Err(Refusal::Memory);
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        let target = Target { labels: labels.into(), time: now.unix_nano, updated: now.elapsed };
        state.by_identity.insert(identity.into(), target);
        Ok(())
    }

    /// Forgets those last heard of before `limit`; returns how many.
    pub(super) fn expire(&self, limit: u64, room: &Room) -> usize {
        let mut state = self.state();
        let before = state.by_identity.len();
        state.by_identity.retain(|_, target| target.updated >= limit);
        let bytes = state.by_identity.iter().map(|(identity, target)| cost(identity, &target.labels)).sum();
        state.charge.shrink_to(bytes);
        self.bytes.store(bytes, Ordering::Relaxed);
        let expired = before - state.by_identity.len();
        room.give_back(expired);
        expired
    }

    /// Those heard of since `limit`, in the order of their labels.
    pub(crate) fn all(&self, limit: u64) -> Vec<Target> {
        let state = self.state();
        let mut all: Vec<Target> =
            state.by_identity.values().filter(|target| target.updated >= limit).cloned().collect();
        all.sort_by(|one, other| one.labels.cmp(&other.labels));
        all
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(identity: &str, labels: &str) -> u64 {
    const ENTRY: usize = 2 * size_of::<(Box<str>, Target)>() + 16;
    (ENTRY + identity.len() + labels.len()) as u64
}
