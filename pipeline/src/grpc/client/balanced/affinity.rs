//! Which destination the calls with a key go to: by a hash that moves few keys when destinations come and go, kept for a
//! while so that those few do not move all at once.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// How long calls with the same key go to the same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// How many keys are remembered; others go where the hash says.
    pub capacity: usize,
    /// How long a key stays where it was once put, though the hash would put it elsewhere since a destination came.
    pub lifetime: Duration,
}

/// Keys with their destinations. Of more keys than it may hold, those that were asked for last stay.
#[derive(Debug)]
pub(super) struct Remembered<D> {
    affinity: Affinity,
    young: HashMap<u64, (D, Instant)>,
    old: HashMap<u64, (D, Instant)>,
}

impl<D: Copy + Eq + Hash> Remembered<D> {
    pub(super) fn new(affinity: Affinity) -> Self {
        Self { affinity, young: HashMap::new(), old: HashMap::new() }
    }

    /// Where this key was put.
    pub(super) fn get(&mut self, key: u64, now: Instant) -> Option<D> {
        let entry = match self.young.get(&key) {
            Some(entry) => *entry,
            None => {
                let entry = self.old.remove(&key)?;
                self.put(key, entry);
                entry
            }
        };
        let (destination, since) = entry;
        (now.saturating_duration_since(since) < self.affinity.lifetime).then_some(destination)
    }

    /// Puts a key.
    pub(super) fn set(&mut self, key: u64, destination: D, now: Instant) {
        self.put(key, (destination, now));
    }

    fn put(&mut self, key: u64, entry: (D, Instant)) {
        let half = self.affinity.capacity / 2;
        if half == 0 {
            return;
        }
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

/// The place of a destination for a key; the one with the highest gets it (rendezvous hashing). Weights are shares.
pub(super) fn rank(key: u64, destination: u64, weight: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let share = ((mix(key ^ mix(destination)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / share.ln()
}

/// A hash that is the same in every process and every version (FNV-1a, with its bits mixed).
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// Every bit of the result depends on every bit of the number (SplitMix64).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(key: u64, destinations: &[(u64, u32)]) -> u64 {
        let ranked = destinations.iter().map(|(name, weight)| (rank(key, *name, *weight), *name));
        ranked.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap().1
    }

    fn keys() -> impl Iterator<Item = u64> {
        (0..10_000).map(|number| hash(format!("instance-{number}").as_bytes()))
    }

    #[test]
    fn a_destination_that_comes_takes_only_its_share() {
        let names: Vec<(u64, u32)> =
            (0..5).map(|number| (hash(format!("10.0.0.{number}:11800").as_bytes()), 1)).collect();
        let moved = keys().filter(|key| best(*key, &names[..4]) != best(*key, &names)).count();
        assert!((1_800..2_200).contains(&moved), "{moved} of 10,000 moved to the fifth of five");
        assert!(
            keys().all(|key| best(key, &names[..4]) == best(key, &names) || best(key, &names) == names[4].0),
            "none moves between those that stay"
        );
    }

    #[test]
    fn weights_are_shares() {
        let names = [(hash(b"one"), 3), (hash(b"other"), 1)];
        let first = keys().filter(|key| best(*key, &names) == names[0].0).count();
        assert!((7_300..7_700).contains(&first), "{first} of 10,000");
    }

    #[test]
    fn a_key_stays_for_its_time_and_the_latest_keys_are_kept() {
        let affinity = Affinity { capacity: 4, lifetime: Duration::from_secs(10) };
        let mut remembered = Remembered::new(affinity);
        let now = Instant::now();
        remembered.set(1, 'a', now);
        assert_eq!(remembered.get(1, now + Duration::from_secs(9)), Some('a'));
        assert_eq!(
            remembered.get(1, now + Duration::from_secs(10)),
            None,
            "its time is counted from when it was put"
        );
        for key in 2..100 {
            remembered.set(key, 'b', now);
            assert!(remembered.get(2, now).is_some() || key > 5 || remembered.young.len() <= 2);
        }
        assert!(remembered.young.len() + remembered.old.len() <= 4);
        assert_eq!(remembered.get(99, now), Some('b'));
        assert_eq!(remembered.get(1, now), None);
        let none = Affinity { capacity: 0, lifetime: Duration::from_secs(10) };
        let mut remembered = Remembered::new(none);
        remembered.set(1, 'a', now);
        assert_eq!(remembered.get(1, now), None);
    }
}
