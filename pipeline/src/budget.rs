//! The byte budget: one limit for all telemetry that the process holds.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Part of the budget that queues and batches may never take, so that the door stays open.
const DOOR_SHARE: f64 = 0.25;
/// The most that a single queue may hold.
const QUEUE_SHARE: f64 = 0.5;

/// The process-wide limit on bytes of telemetry held. Cloning shares it.
///
/// Admission never waits: a body is charged in steps while it arrives and refused when the budget is gone.
/// Charges are tied to chunks, so what is held anywhere is counted once, from the socket to the answer.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: AtomicU64,
    limits: Mutex<Limits>,
    used: AtomicU64,
    queued: AtomicU64,
}

/// The limit without a limiter, and what the limiters ask for.
#[derive(Debug)]
struct Limits {
    own: u64,
    asked: Vec<u64>,
}

/// A limit that a `memory_limiter` asks for; it holds until this is dropped.
#[derive(Debug)]
pub struct Limit {
    budget: Budget,
    bytes: u64,
}

/// Bytes charged against the budget; dropping it gives them back.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: u64,
}

/// Bytes that queues and batches hold back; dropping it gives them back. Counted apart from [`Charge`], which the
/// held chunks carry anyway: this is what keeps the door's reserved share free.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: u64,
}

/// The budget is gone. Always retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory budget of {limit} bytes is used up ({used} in use); send again later, or raise memory_limiter.limit_mib"
)]
pub struct Exhausted {
    /// The limit in bytes.
    pub limit: u64,
    /// What was in use, in bytes.
    pub used: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit: AtomicU64::new(limit),
                limits: Mutex::new(Limits { own: limit, asked: Vec::new() }),
                used: AtomicU64::new(0),
                queued: AtomicU64::new(0),
            }),
        }
    }

    /// Asks for a limit of `bytes` instead of the budget's own. Of several the smallest holds. What is held already
    /// stays held.
    #[must_use]
    pub fn limit_to(&self, bytes: u64) -> Limit {
        self.change_limits(|limits| limits.asked.push(bytes));
        Limit { budget: self.clone(), bytes }
    }

    fn change_limits(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut limits);
        let limit = limits.asked.iter().min().copied().unwrap_or(limits.own);
        self.shared.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.shared.limit.load(Ordering::Relaxed)
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Bytes that queues and batches hold back.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.shared.queued.load(Ordering::Relaxed)
    }

    /// The most that one queue may hold, in bytes.
    #[must_use]
    pub fn queue_share(&self) -> u64 {
        share(self.limit(), QUEUE_SHARE)
    }

    /// Fails if the budget is gone already: asked at the headers, before a body is read.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn check(&self) -> Result<(), Exhausted> {
        let (limit, used) = (self.limit(), self.used());
        if used >= limit { Err(Exhausted { limit, used }) } else { Ok(()) }
    }

    /// Charges `bytes`.
    ///
    /// # Errors
    /// [`Exhausted`] if the budget would be exceeded.
    pub fn charge(&self, bytes: u64) -> Result<Charge, Exhausted> {
        let mut charge = Charge { budget: self.clone(), bytes: 0 };
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// Charges `bytes` even beyond the limit: for what a pipeline makes of admitted data.
    #[must_use]
    pub fn charge_anyway(&self, bytes: u64) -> Charge {
        self.shared.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { budget: self.clone(), bytes }
    }

    /// Counts `bytes` as held back by a queue that holds `queue_holds` so far.
    ///
    /// # Errors
    /// [`Exhausted`] if the queue's share, or the share of all queues together, would be exceeded. A queue that
    /// holds nothing is always granted, so that no batch is too large for ever.
    pub fn hold(&self, bytes: u64, queue_holds: u64) -> Result<Held, Exhausted> {
        let limit = self.limit();
        if queue_holds > 0 {
            let used = self.queued();
            let all_queues = share(limit, 1.0 - DOOR_SHARE);
            if queue_holds + bytes > self.queue_share() || used + bytes > all_queues {
                return Err(Exhausted { limit, used });
            }
        }
        self.shared.queued.fetch_add(bytes, Ordering::Relaxed);
        Ok(Held { budget: self.clone(), bytes })
    }
}

impl Default for Budget {
    /// Half of the memory that the process may use: the cgroup's limit, else the machine's memory.
    fn default() -> Self {
        Self::new(available_memory() / 2)
    }
}

impl Charge {
    /// Charges `bytes` more.
    ///
    /// # Errors
    /// [`Exhausted`]; what was charged before stays charged.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let shared = &self.budget.shared;
        let limit = shared.limit.load(Ordering::Relaxed);
        let before = shared.used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > limit {
            shared.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted { limit, used: before });
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.budget.shared.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }

    /// Bytes charged.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.budget.change_limits(|limits| {
            if let Some(place) = limits.asked.iter().position(|bytes| *bytes == self.bytes) {
                limits.asked.swap_remove(place);
            }
        });
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.shared.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.shared.queued.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a byte count needs no more precision than f64 has"
)]
fn share(limit: u64, part: f64) -> u64 {
    (limit as f64 * part) as u64
}

/// Memory that the process may use, in bytes: the smallest limit of its cgroups (v2, then v1), else the machine's.
#[must_use]
pub fn available_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
        .map_or(1 << 30, |kibibytes| kibibytes * 1024);
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .fold(machine, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_ends_with_its_guard() {
        let budget = Budget::new(100);
        let charge = budget.charge(60).unwrap();
        assert!(budget.charge(41).is_err(), "60 + 41 exceeds 100");
        assert_eq!(budget.used(), 60, "a refused charge leaves nothing behind");
        drop(charge);
        assert_eq!(budget.used(), 0);
        assert!(budget.charge(100).is_ok());
    }

    #[test]
    fn the_smallest_limit_holds_while_it_is_asked_for() {
        let budget = Budget::new(100);
        let large = budget.limit_to(300);
        assert_eq!(budget.limit(), 300, "a limiter may raise the limit");
        let small = budget.limit_to(50);
        assert_eq!(budget.limit(), 50);
        let same = budget.limit_to(50);
        drop(small);
        assert_eq!(budget.limit(), 50);
        drop(same);
        assert_eq!(budget.limit(), 300);
        drop(large);
        assert_eq!(budget.limit(), 100);
    }

    #[test]
    fn queues_leave_the_door_its_share() {
        let budget = Budget::new(1000);
        let one = budget.hold(499, 1).unwrap();
        assert!(budget.hold(300, 1).is_err(), "all queues together may hold 750");
        assert!(budget.hold(1, 500).is_err(), "one queue may hold 500");
        let _two = budget.hold(250, 1).unwrap();
        drop(one);
        assert_eq!(budget.queued(), 250);
    }

    #[test]
    fn an_empty_queue_takes_any_batch() {
        assert!(Budget::new(10).hold(1_000, 0).is_ok());
    }
}
