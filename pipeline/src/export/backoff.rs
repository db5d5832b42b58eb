//! How long to wait before the next attempt: exponential, with jitter.

use std::time::Duration;

use super::RetryConfig;

/// The longest wait that a destination can ask for; one that asks for more is tried sooner.
const LONGEST_HINT: Duration = Duration::from_secs(3600);
/// The shortest wait, so that an interval of 0 does not spin.
const SHORTEST: Duration = Duration::from_millis(1);

/// The waits between the attempts of one batch.
#[derive(Debug)]
pub(super) struct Backoff {
    interval: Duration,
    longest: Duration,
    multiplier: f64,
    randomization: f64,
}

impl Backoff {
    pub(super) fn new(config: &RetryConfig) -> Self {
        Self {
            interval: config.initial_interval.into(),
            longest: config.max_interval.into(),
            multiplier: config.multiplier,
            randomization: config.randomization_factor,
        }
    }

    /// The next wait: the planned interval with jitter, or what the destination asked for if that is longer.
    pub(super) fn next(&mut self, hint: Duration) -> Duration {
        let jitter = 1.0 + self.randomization * (2.0 * fastrand::f64() - 1.0);
        let delay = scale(self.interval, jitter).unwrap_or(self.interval);
        self.interval = scale(self.interval, self.multiplier).unwrap_or(self.longest).min(self.longest);
        delay.max(hint.min(LONGEST_HINT)).max(SHORTEST)
    }
}

/// `None` if the product is no duration.
fn scale(duration: Duration, factor: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(randomization_factor: f64) -> RetryConfig {
        RetryConfig { randomization_factor, ..RetryConfig::default() }
    }

    fn seconds(value: f64) -> Duration {
        Duration::from_secs_f64(value)
    }

    #[test]
    fn the_interval_grows_to_its_maximum() {
        let mut backoff = Backoff::new(&config(0.0));
        let waits: Vec<_> = (0..7).map(|_| backoff.next(Duration::ZERO)).collect();
        let expected = [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0].map(seconds);
        assert_eq!(waits, expected);
    }

    #[test]
    fn jitter_stays_within_its_factor() {
        let mut shortest = Duration::MAX;
        let mut longest = Duration::ZERO;
        for _ in 0..1000 {
            let wait = Backoff::new(&config(0.5)).next(Duration::ZERO);
            shortest = shortest.min(wait);
            longest = longest.max(wait);
        }
        assert!(shortest >= seconds(2.5) && longest <= seconds(7.5), "{shortest:?} to {longest:?}");
        assert!(longest - shortest > seconds(3.0), "1000 draws spread over the range");
    }

    #[test]
    fn the_destination_can_only_ask_for_more() {
        assert_eq!(Backoff::new(&config(0.0)).next(seconds(1.0)), seconds(5.0));
        assert_eq!(Backoff::new(&config(0.0)).next(seconds(40.0)), seconds(40.0), "beyond max_interval too");
        assert_eq!(Backoff::new(&config(0.0)).next(Duration::MAX), LONGEST_HINT);
    }

    #[test]
    fn extreme_values_neither_panic_nor_spin() {
        let extreme =
            RetryConfig { initial_interval: Duration::ZERO.into(), multiplier: f64::MAX, ..config(1.0) };
        let mut backoff = Backoff::new(&extreme);
        for _ in 0..5 {
            assert!(backoff.next(Duration::ZERO) >= SHORTEST);
        }
    }
}
