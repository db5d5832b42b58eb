//! Thins out what is printed: the first few of each second, then every n-th.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const TICK: Duration = Duration::from_secs(1);

/// Decides which batches are printed, as zap's sampler decides for log entries.
#[derive(Debug)]
pub(super) struct Sampler {
    initial: u64,
    thereafter: u64,
    second: Mutex<Second>,
}

#[derive(Debug, Default)]
struct Second {
    ends: Option<Instant>,
    seen: u64,
}

impl Sampler {
    pub(super) fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, second: Mutex::default() }
    }

    /// Whether the batch that comes at this moment is printed.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.ends.is_none_or(|ends| now >= ends) {
            *second = Second { ends: Some(now + TICK), seen: 0 };
        }
        second.seen += 1;
        let Some(beyond) = second.seen.checked_sub(self.initial).filter(|beyond| *beyond > 0) else {
            return true;
        };
        self.thereafter != 0 && beyond % self.thereafter == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(sampler: &Sampler, at: Instant, count: usize) -> Vec<usize> {
        (1..=count).filter(|_| sampler.admits(at)).collect::<Vec<_>>()
    }

    #[test]
    fn the_first_of_a_second_and_then_every_third() {
        let (sampler, now) = (Sampler::new(2, 3), Instant::now());
        assert_eq!(admitted(&sampler, now, 8), [1, 2, 5, 8]);
        assert_eq!(admitted(&sampler, now + TICK, 3), [1, 2], "the next second begins anew");
    }

    #[test]
    fn one_prints_all_and_zero_none() {
        let now = Instant::now();
        assert_eq!(admitted(&Sampler::new(2, 1), now, 5).len(), 5);
        assert_eq!(admitted(&Sampler::new(1, 0), now, 5), [1]);
    }
}
