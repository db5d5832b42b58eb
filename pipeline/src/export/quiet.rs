//! Keeps a message that may repeat thousands of times a second from filling the log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::attempts::now;

/// How often the message may appear.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets a message through once in ten seconds.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    kept_back: u64,
}

impl Quiet {
    /// Whether to speak now; then, how many times the message was kept back since it last appeared.
    pub(super) fn speak(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.kept_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_back_is_told_later() {
        let quiet = Quiet::default();
        assert_eq!(quiet.speak(), Some(0));
        assert_eq!(quiet.speak(), None);
        assert_eq!(quiet.speak(), None);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(quiet.speak(), Some(2));
    }
}
