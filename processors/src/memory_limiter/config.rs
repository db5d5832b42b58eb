//! The keys of the `memory_limiter` processor.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::Duration,
};

/// A mebibyte.
const MEBIBYTE: u64 = 1 << 20;

/// The keys of the `memory_limiter` processor.
///
/// Sluice counts every byte of telemetry as it is taken, so nothing is polled and nothing collected: the intervals
/// are accepted and checked as in the Collector, and have no further effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemoryLimiterConfig {
    /// How often the Collector measures memory; required, as there. Sluice needs no interval.
    pub check_interval: Duration,
    /// The most telemetry that the process holds, in MiB.
    pub limit_mib: u64,
    /// How far below the limit data is refused, in MiB; a fifth of the limit if 0.
    pub spike_limit_mib: u64,
    /// The limit as a percentage of the memory that the process may use; if `limit_mib` is 0.
    pub limit_percentage: u64,
    /// How far below the limit data is refused, as a percentage of that memory; a fifth of the limit if 0.
    pub spike_limit_percentage: u64,
    /// Of the Collector's garbage collector; no effect.
    pub min_gc_interval_when_soft_limited: Duration,
    /// Of the Collector's garbage collector; no effect.
    pub min_gc_interval_when_hard_limited: Duration,
    /// Of the Collector's garbage collector; no effect.
    pub max_gc_interval_when_soft_limited: Duration,
    /// Of the Collector's garbage collector; no effect.
    pub max_gc_interval_when_hard_limited: Duration,
}

/// The limits in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// From here on the door takes nothing.
    pub(super) hard: u64,
    /// From here on this processor refuses.
    pub(super) soft: u64,
}

impl Default for MemoryLimiterConfig {
    fn default() -> Self {
        Self {
            check_interval: Duration::ZERO,
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
            min_gc_interval_when_soft_limited: Duration::from_secs(10),
            min_gc_interval_when_hard_limited: Duration::ZERO,
            max_gc_interval_when_soft_limited: Duration::from_secs(30),
            max_gc_interval_when_hard_limited: Duration::from_secs(30),
        }
    }
}

impl MemoryLimiterConfig {
    /// The limits of a process that may use `available` bytes.
    pub(super) fn limits(&self, available: u64) -> Limits {
        let share = |percentage: u64| available / 100 * percentage;
        let (hard, spike) = if self.limit_mib > 0 {
            (self.limit_mib.saturating_mul(MEBIBYTE), self.spike_limit_mib.saturating_mul(MEBIBYTE))
        } else {
            (share(self.limit_percentage), share(self.spike_limit_percentage))
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        Limits { hard, soft: hard.saturating_sub(spike) }
    }
}

impl ComponentConfig for MemoryLimiterConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: &str| problems.push(Problem::at(key, message));
        if self.check_interval.is_zero() {
            wrong(
                "check_interval",
                "must be greater than zero, as in the Collector; write check_interval: 1s",
            );
        }
        if self.min_gc_interval_when_soft_limited < self.min_gc_interval_when_hard_limited {
            wrong(
                "min_gc_interval_when_soft_limited",
                "must not be less than min_gc_interval_when_hard_limited",
            );
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            wrong("", "limit_mib or limit_percentage must be greater than zero; write limit_percentage: 80");
        }
        if self.limit_percentage > 100 {
            wrong("limit_percentage", "must not exceed 100");
        }
        if self.spike_limit_percentage > 100 {
            wrong("spike_limit_percentage", "must not exceed 100");
        }
        if self.limit_mib > 0 && self.spike_limit_mib >= self.limit_mib {
            wrong("spike_limit_mib", "must be smaller than limit_mib");
        }
        if self.limit_percentage > 0 && self.spike_limit_percentage >= self.limit_percentage {
            wrong("spike_limit_percentage", "must be smaller than limit_percentage");
        }
        problems
    }
}
