//! The longest exchanges of each class and process pair in a window, as encoded records.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
    net::IpAddr,
};

use bytes::Bytes;

use super::Class;
use crate::ebpf_network::socket::{Ends, Role};

/// The most bytes that a window holds.
const MOST_BYTES: usize = 32 << 20;

/// What a record costs beside its bytes.
const ENTRY_COST: usize = 256;

/// The most buffers kept for the next window, and the most bytes of each.
const SPARE_BUFFERS: usize = 1_024;
const SPARE_CAPACITY: usize = 16 << 10;

/// Two processes that talk, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    process: u64,
    role: Role,
    peer: IpAddr,
    /// The server's, on either side: clients change theirs with every connection.
    port: u16,
}

/// The window.
#[derive(Debug)]
pub struct Top {
    keep: usize,
    heaps: HashMap<(Pair, Class), BinaryHeap<Held>>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

/// What became of a record that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is held.
    Held,
    /// It is held, and a shorter exchange is not any longer.
    Replaced,
    /// Enough longer exchanges are held.
    Shorter,
    /// The window holds all the bytes that it may.
    Full,
}

/// A record that is held.
#[derive(Debug)]
struct Held {
    duration: u64,
    process: u64,
    resource: Bytes,
    record: Vec<u8>,
}

impl Pair {
    /// The pair of a process and its peer.
    #[must_use]
    pub fn new(process: u64, role: Role, ends: &Ends) -> Self {
        let port = if role == Role::Server { ends.local.port() } else { ends.peer.port() };
        Self { process, role, peer: ends.peer.ip(), port }
    }
}

impl Top {
    /// A window that keeps this many of each class and pair.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self { keep, heaps: HashMap::new(), bytes: 0, spare: Vec::new() }
    }

    /// Holds the record that `write` appends to an empty buffer, if the exchange is among the longest.
    pub fn offer(
        &mut self,
        pair: Pair,
        class: Class,
        duration: u64,
        (process, resource): (u64, &Bytes),
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Offer {
        let shortest = self.heaps.get(&(pair, class)).filter(|heap| heap.len() >= self.keep);
        let full = shortest.is_some();
        if shortest.and_then(BinaryHeap::peek).is_some_and(|shortest| shortest.duration >= duration) {
            return Offer::Shorter;
        }
        if self.bytes >= MOST_BYTES && !full {
            return Offer::Full;
        }
        let heap = self.heaps.entry((pair, class)).or_default();
        let mut record = if full {
            let Some(shortest) = heap.pop() else { return Offer::Shorter };
            self.bytes -= shortest.cost();
            shortest.record
        } else {
            self.spare.pop().unwrap_or_default()
        };
        record.clear();
        write(&mut record);
        let held = Held { duration, process, resource: resource.clone(), record };
        self.bytes += held.cost();
        heap.push(held);
        if full { Offer::Replaced } else { Offer::Held }
    }

    /// Ends the window: `take` gets each record with its process and resource.
    pub fn drain(&mut self, mut take: impl FnMut(u64, &Bytes, &[u8])) {
        // What no exchange came for since the last window is forgotten.
        self.heaps.retain(|_, heap| !heap.is_empty());
        for heap in self.heaps.values_mut() {
            for held in heap.drain() {
                take(held.process, &held.resource, &held.record);
                if self.spare.len() < SPARE_BUFFERS && held.record.capacity() <= SPARE_CAPACITY {
                    self.spare.push(held.record);
                }
            }
        }
        self.bytes = 0;
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Held {
    fn cost(&self) -> usize {
        ENTRY_COST + self.record.len()
    }
}

/// The shortest is the greatest, so that it is on top of the heap.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        other.duration.cmp(&self.duration)
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.duration == other.duration
    }
}

impl Eq for Held {}
