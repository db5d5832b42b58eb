//! Takes events out of the ring.

use std::{os::fd::AsFd, time::Duration};

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::event::Event;

/// Takes events out of the ring, for one thread of its own.
pub struct Reader {
    ring: RingBuf<MapData>,
    unreadable: u64,
}

impl Reader {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring, unreadable: 0 }
    }

    /// Waits until much is in the ring or `patience` is over. The kernel side wakes the reader only when much is waiting,
    /// so it has to look by itself every now and then.
    pub fn wait(&self, patience: Duration) {
        let timeout = Timespec::try_from(patience).ok();
        let ring = self.ring.as_fd();
        // A signal ends the wait early, which does no harm.
        let _ = poll(&mut [PollFd::new(&ring, PollFlags::IN)], timeout.as_ref());
    }

    /// Hands on what is in the ring, at most `limit` events; returns how many there were.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(Event<'_>)) -> usize {
        let mut taken = 0;
        while taken < limit
            && let Some(bytes) = self.ring.next()
        {
            match Event::read(&bytes) {
                Some(event) => take(event),
                None => self.unreadable += 1,
            }
            taken += 1;
        }
        taken
    }

    /// Events that were of no known kind, which means that objects and code are of different builds.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}
