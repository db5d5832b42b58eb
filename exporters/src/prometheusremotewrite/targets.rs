//! When `target_info` was written last, for each target: what its points make of it must not go back in time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

/// How many targets are known. Beyond that all are forgotten, and a server may refuse a `target_info` as too late.
const MOST: usize = 65_536;

/// A target by its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target(u64);

/// The last times of targets, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Targets {
    hasher: RandomState,
    last: Mutex<HashMap<Target, i64>>,
}

impl Targets {
    /// The target with these labels, if it is to be sent for this time.
    pub(super) fn due(&self, labels: &[u8], time: i64) -> Option<Target> {
        let target = Target(self.hasher.hash_one(labels));
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&target).is_none_or(|last| *last < time).then_some(target)
    }

    /// The server has it for this time.
    pub(super) fn written(&self, target: Target, time: i64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST && !last.contains_key(&target) {
            last.clear();
        }
        let known = last.entry(target).or_insert(time);
        *known = time.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_target_never_goes_back() {
        let targets = Targets::default();
        let one = targets.due(b"one", 5).unwrap();
        assert_eq!(targets.due(b"one", 5), Some(one), "it was not written");
        targets.written(one, 5);
        targets.written(one, 4);
        assert_eq!((targets.due(b"one", 5), targets.due(b"one", 4)), (None, None));
        assert!(targets.due(b"two", 4).is_some() && targets.due(b"one", 6).is_some());
    }

    #[test]
    fn what_is_known_is_bounded() {
        let targets = Targets::default();
        for target in 0..=MOST {
            let target = targets.due(&target.to_le_bytes(), 1).unwrap();
            targets.written(target, 1);
        }
        assert_eq!(targets.last.lock().unwrap().len(), 1);
    }
}
