//! Joins and splits batches while they wait: the core that the sending queue and the `batch` processor share.
//!
//! [`Batcher`] decides what leaves when; it neither sleeps nor sends. [`Ticket`] carries each caller's answer back.

mod batcher;
mod merged;
mod ticket;

pub use batcher::{Batcher, Next, Rules, TooManyPartitions};
pub use merged::{Merged, Trigger};
pub use ticket::Ticket;

use std::time::Instant;

/// When a batch that arrives now must be on its way to be answered by `deadline`: half the time is for delivery.
#[must_use]
pub fn send_by(now: Instant, deadline: Option<Instant>) -> Option<Instant> {
    deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2)
}

#[cfg(test)]
mod tests;
