//! What the programs are told before they are loaded.

use std::time::Duration;

/// The most bytes that are captured from the start of a message on.
pub const MAX_CAPTURE: u32 = 16_384;

/// The most ports that connections can be chosen by.
pub const MAX_PORTS: usize = 64;

/// What the programs are told before they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which tier to load.
    pub tier: TierChoice,
    /// Whether processes are chosen by the verdicts given to [`crate::Verdicts`].
    pub filter_processes: bool,
    /// Only connections with one of these ports at either end; empty means all. At most [`MAX_PORTS`].
    pub ports: Vec<u16>,
    /// Bytes captured from the start of a message on, in each direction; at most [`MAX_CAPTURE`], 0 for none.
    pub capture: u32,
    /// Whether it is noted when calls begin, at about 0.1 microseconds for every system call on the host.
    pub time_calls: bool,
    /// If given, HTTP exchanges that succeed (2xx, 3xx) in less time are counted and not told, as far as the kernel side is
    /// sure of that: a request without a body in one call, of at most 1.5 KiB, a response in another, of at most 2 KiB, and
    /// then the next request or the end. What is held takes 4 KiB of the kernel's memory for a connection. Only in tier A.
    pub remarkable_after: Option<Duration>,
    /// Size of the ring between kernel and user space in bytes, rounded up to a power of two.
    pub ring_bytes: u32,
}

/// Which tier to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The best that the kernel takes.
    #[default]
    Best,
    /// Tier A or nothing.
    A,
    /// Tier B or nothing.
    B,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tier: TierChoice::Best,
            filter_processes: false,
            ports: Vec::new(),
            capture: 4_096,
            time_calls: false,
            remarkable_after: None,
            ring_bytes: 8 << 20,
        }
    }
}

impl Settings {
    /// The ring's size as the kernel takes it: a power of two, at least 256 KiB, which is twice what may wait.
    pub(crate) fn ring_size(&self) -> u32 {
        self.ring_bytes.clamp(256 << 10, 1 << 30).next_power_of_two()
    }

    /// Bytes that may wait in the ring until the reader is woken, a power of two: few enough that it comes in time, and many,
    /// since under a hypervisor to wake it may take as long as to tell of a hundred transfers.
    pub(crate) fn wake_up_at(&self) -> u32 {
        (self.ring_size() / 8).clamp(128 << 10, 1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_smallest_ring_may_wait_and_a_mebibyte_of_large_ones() {
        let both = |ring_bytes| {
            let settings = Settings { ring_bytes, ..Settings::default() };
            (settings.ring_size(), settings.wake_up_at())
        };
        assert_eq!(both(0), (256 << 10, 128 << 10));
        assert_eq!(both(2 << 20), (2 << 20, 256 << 10));
        assert_eq!(both(8 << 20), (8 << 20, 1 << 20));
        assert_eq!(both(u32::MAX), (1 << 30, 1 << 20));
    }
}
