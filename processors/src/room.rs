//! How many bytes are held, against a bound and the share of the budget that the process leaves to what is held.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sluice_pipeline::budget::{Budget, Held};

/// The bytes that things of one kind may take.
#[derive(Clone)]
pub(crate) struct Rooms(Arc<Shared>);

struct Shared {
    most: u64,
    budget: Budget,
    used: AtomicU64,
}

/// Bytes admitted; dropping it gives them back.
pub(crate) struct Room {
    bytes: u64,
    rooms: Rooms,
    held: Option<Held>,
}

impl Rooms {
    pub(crate) fn new(most: u64, budget: Budget) -> Self {
        Self(Arc::new(Shared { most, budget, used: AtomicU64::new(0) }))
    }

    /// Room for so many bytes, if there is.
    pub(crate) fn admit(&self, bytes: usize) -> Option<Room> {
        let bytes = bytes as u64;
        let used = self.used();
        if used.saturating_add(bytes) > self.0.most {
            return None;
        }
        // Not as a queue that holds nothing, which is granted anything: this may always be refused.
        let held = self.0.budget.hold(bytes, used.max(1)).ok()?;
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Some(Room { bytes, rooms: self.clone(), held: Some(held) })
    }

    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }
}

impl Room {
    /// Gives back all but so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let bytes = (bytes as u64).min(self.bytes);
        self.rooms.0.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        // Given back first, so that there is room for the rest unless others were quicker.
        self.held = None;
        self.held = self.rooms.0.budget.hold(bytes, self.rooms.used().max(1)).ok();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.rooms.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
