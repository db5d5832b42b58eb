//! Who talks to whom: the part of a series' identity that all its metrics share.

use std::{
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    net::{IpAddr, Ipv6Addr},
};

use super::process::{PeerId, ProcessHandle};
use crate::ebpf_network::socket::{Ends, Role};

/// A process, what it is on a connection, and its peer. Made by [`super::Aggregator::pair`], once for a connection.
///
/// It holds the address of the peer and the port of the server, never the port of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub(super) process: ProcessHandle,
    pub(super) peer: PeerId,
    pub(super) address: u128,
    /// 0 if it is not known which end is the server.
    pub(super) server_port: u16,
    pub(super) role: Role,
    hash: u64,
}

/// What tells a series from others: the pair, and what else its attributes say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) pair: Pair,
    pub(super) labels: u64,
    hash: u64,
}

/// Numbers that peers cannot know, so that they cannot choose addresses whose hashes collide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed([u64; 4]);

/// The map of series by [`Key`], which brings its hash along.
pub(super) type ByKey = std::collections::HashMap<Key, u32, BuildHasherDefault<Ready>>;

/// Hands on the hash that a key brings along.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready(u64);

impl Pair {
    pub(super) fn new(process: ProcessHandle, role: Role, ends: &Ends, peer: PeerId, seed: &Seed) -> Self {
        let server_port = match role {
            Role::Client => ends.peer.port(),
            Role::Server => ends.local.port(),
            Role::Unknown => 0,
        };
        let address = match ends.peer.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self { process, peer, address: address.to_bits(), server_port, role, hash: 0 }.hashed(seed)
    }

    /// The same with a peer of which only the address is known.
    pub(super) fn without_peer_process(self, seed: &Seed) -> Self {
        Self { peer: PeerId::NONE, ..self }.hashed(seed)
    }

    fn hashed(self, seed: &Seed) -> Self {
        let Seed([first, second, third, _]) = *seed;
        let [low, high] = [self.address as u64, (self.address >> 64) as u64];
        let ends = u64::from(self.peer.0) << 32 | u64::from(self.server_port) << 8 | self.role as u64;
        let hash = fold(fold(low ^ first, high ^ second) ^ self.process.bits(), fold(ends ^ third, second));
        Self { hash, ..self }
    }

    /// The key of the series of this pair with these further labels.
    #[inline]
    pub(super) fn key(&self, labels: u64, seed: &Seed) -> Key {
        Key { pair: *self, labels, hash: fold(self.hash ^ labels, seed.0[3]) }
    }

    /// The address of the peer, of IPv4 as such also where the socket is of IPv6.
    pub(super) fn peer_address(&self) -> IpAddr {
        Ipv6Addr::from_bits(self.address).to_canonical()
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels && self.pair == other.pair
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Seed {
    pub(super) fn random() -> Self {
        let state = RandomState::new();
        Self([1u8, 2, 3, 4].map(|number| state.hash_one(number) | 1))
    }
}

impl Hasher for Ready {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = fold(self.0 ^ u64::from(*byte), 0x9e37_79b9_7f4a_7c15);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Mixes two words: both halves of their product.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}
