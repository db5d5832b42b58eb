//! The keys of `retry_on_failure`.

use std::time;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{component::Problem, config::types::Duration};

/// Whether and how failed requests are sent again.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryConfig {
    /// Whether requests that failed for a passing reason are sent again.
    pub enabled: bool,
    /// How long to wait after the first failure.
    pub initial_interval: Duration,
    /// By how much each wait may differ from the plan, as a share of it: 0 to 1.
    pub randomization_factor: f64,
    /// By how much each wait is longer than the one before.
    pub multiplier: f64,
    /// The longest wait. A destination may ask for more.
    pub max_interval: Duration,
    /// After how long a request is given up; 0 means never.
    pub max_elapsed_time: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let seconds = |count| time::Duration::from_secs(count).into();
        Self {
            enabled: true,
            initial_interval: seconds(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: seconds(30),
            max_elapsed_time: seconds(300),
        }
    }
}

impl RetryConfig {
    /// Everything wrong with the values; `key` is where the block stands below its component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.enabled {
            return problems;
        }
        let mut wrong =
            |name: &str, message: &str| problems.push(Problem::at(format!("{key}.{name}"), message));
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            wrong("randomization_factor", "must be between 0 and 1");
        }
        if !self.multiplier.is_finite() || self.multiplier < 0.0 {
            wrong("multiplier", "must not be negative; 1.5 makes each wait half as long again");
        }
        let (initial, longest, elapsed): (time::Duration, time::Duration, time::Duration) =
            (self.initial_interval.into(), self.max_interval.into(), self.max_elapsed_time.into());
        if !elapsed.is_zero() && elapsed < initial {
            wrong("max_elapsed_time", "must not be less than initial_interval; 0 means no limit");
        } else if !elapsed.is_zero() && elapsed < longest {
            wrong("max_elapsed_time", "must not be less than max_interval; 0 means no limit");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(RetryConfig::default().problems("retry_on_failure"), []);
    }

    #[test]
    fn each_bad_value_is_named() {
        let config = RetryConfig {
            randomization_factor: 1.1,
            multiplier: -1.0,
            max_elapsed_time: time::Duration::from_secs(1).into(),
            ..RetryConfig::default()
        };
        let keys: Vec<_> =
            config.problems("retry_on_failure").into_iter().map(|problem| problem.key).collect();
        let expected = ["randomization_factor", "multiplier", "max_elapsed_time"];
        assert_eq!(keys, expected.map(|name| format!("retry_on_failure.{name}")));
    }

    #[test]
    fn nothing_is_checked_when_retrying_is_off() {
        let config = RetryConfig { enabled: false, multiplier: -1.0, ..RetryConfig::default() };
        assert_eq!(config.problems("retry_on_failure"), []);
    }

    #[test]
    fn an_elapsed_time_between_the_intervals_is_refused() {
        let config =
            RetryConfig { max_elapsed_time: time::Duration::from_secs(10).into(), ..RetryConfig::default() };
        assert_eq!(config.problems("r")[0].key, "r.max_elapsed_time");
    }
}
