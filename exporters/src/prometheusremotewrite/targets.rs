//! When `target_info` was sent last, for each target: what its points make of it must not go back in time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

/// How many targets are known. Beyond that all are forgotten, and a server may refuse a `target_info` as too late.
const MOST: usize = 65_536;

/// The last times of targets, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Targets {
    hasher: RandomState,
    last: Mutex<HashMap<u64, i64>>,
}

impl Targets {
    /// Whether a target with these labels is to be sent for this time, which is then its last.
    pub(super) fn is_due(&self, labels: &[u8], time: i64) -> bool {
        let key = self.hasher.hash_one(labels);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST && !last.contains_key(&key) {
            last.clear();
        }
        let known = last.entry(key).or_insert(i64::MIN);
        let due = *known < time;
        *known = time.max(*known);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_target_never_goes_back() {
        let targets = Targets::default();
        assert!(targets.is_due(b"one", 5));
        assert!(!targets.is_due(b"one", 5) && !targets.is_due(b"one", 4));
        assert!(targets.is_due(b"two", 4) && targets.is_due(b"one", 6));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let targets = Targets::default();
        for target in 0..=MOST {
            assert!(targets.is_due(&target.to_le_bytes(), 1));
        }
        assert_eq!(targets.last.lock().unwrap().len(), 1);
    }
}
