//! Thins out repeated log lines.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tracing::Level;

use super::Sampling;

/// Messages counted at once; beyond that the counts start anew, so that memory stays bounded.
const MESSAGES: usize = 4096;

/// Counts lines by level and message within a window.
pub(super) struct Sampler {
    rule: Sampling,
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    counts: HashMap<(Level, String), u64>,
}

impl Sampler {
    pub(super) fn new(rule: Sampling) -> Self {
        Self { rule, window: Mutex::new(Window { began: Instant::now(), counts: HashMap::new() }) }
    }

    /// Whether the next line with this level and message is written.
    pub(super) fn admits(&self, level: Level, message: &str) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.elapsed() >= self.rule.tick || window.counts.len() >= MESSAGES {
            window.began = Instant::now();
            window.counts.clear();
        }
        let count = window.counts.entry((level, message.to_owned())).or_insert(0);
        *count += 1;
        let beyond = count.saturating_sub(self.rule.initial);
        beyond == 0 || (self.rule.thereafter > 0 && beyond.is_multiple_of(self.rule.thereafter))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_few_then_every_nth() {
        let rule = Sampling { tick: Duration::from_secs(3600), initial: 2, thereafter: 3 };
        let sampler = Sampler::new(rule);
        let written: Vec<bool> = (0..8).map(|_| sampler.admits(Level::INFO, "again")).collect();
        assert_eq!(written, [true, true, false, false, true, false, false, true]);
        assert!(sampler.admits(Level::INFO, "another message"));
        assert!(sampler.admits(Level::WARN, "again"), "another level counts for itself");
    }
}
