//! When `target_info` was sent last, for each target: what its points make of it must not go back in time, and goes again
//! if it was not written.

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

/// What was sent last of each target.
#[derive(Debug, Default)]
pub(super) struct Targets {
    hasher: RandomState,
    last: Mutex<HashMap<Target, Sent>>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// In milliseconds.
    time: i64,
    /// The server is known to have it.
    written: bool,
}

impl Targets {
    /// The target with these labels, if it is to be sent for this time.
    pub(super) fn due(&self, labels: &[u8], time: i64) -> Option<Target> {
        let target = Target(self.hasher.hash_one(labels));
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |last: &Sent| last.time < time || (last.time == time && !last.written);
        last.get(&target).is_none_or(is_due).then_some(target)
    }

    /// The server has it for this time, or may have it: what it said of the whole request leaves that open.
    pub(super) fn sent(&self, target: Target, time: i64, written: bool) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST && !last.contains_key(&target) {
            last.clear();
        }
        let known = last.entry(target).or_insert(Sent { time, written });
        if known.time < time {
            *known = Sent { time, written };
        } else if known.time == time {
            known.written |= written;
        }
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
        targets.sent(one, 5, true);
        targets.sent(one, 4, true);
        assert_eq!((targets.due(b"one", 5), targets.due(b"one", 4)), (None, None));
        assert!(targets.due(b"two", 4).is_some() && targets.due(b"one", 6).is_some());
    }

    #[test]
    fn what_may_have_been_written_goes_again_and_not_back() {
        let targets = Targets::default();
        let one = targets.due(b"one", 5).unwrap();
        targets.sent(one, 5, false);
        assert_eq!((targets.due(b"one", 5), targets.due(b"one", 4)), (Some(one), None));
        targets.sent(one, 5, true);
        assert_eq!((targets.due(b"one", 5), targets.due(b"one", 6)), (None, Some(one)));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let targets = Targets::default();
        for target in 0..=MOST {
            let target = targets.due(&target.to_le_bytes(), 1).unwrap();
            targets.sent(target, 1, true);
        }
        assert_eq!(targets.last.lock().unwrap().len(), 1);
    }
}
