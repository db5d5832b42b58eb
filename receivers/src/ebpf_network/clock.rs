//! The monotonic clock of the kernel side, and the time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::record::Clock;

/// Nanoseconds on the clock that the kernel side uses (`CLOCK_MONOTONIC`).
pub(super) fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Nanoseconds since the epoch.
pub(super) fn unix() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// The distance between the two now. It changes when the time of day is set, so it is read again every second.
pub(super) fn read() -> Clock {
    // Of a few readings the one with the least time between the two clocks counts.
    let reading = || {
        let before = monotonic();
        let day = unix();
        let after = monotonic();
        (after - before, day.saturating_sub(before + (after - before) / 2))
    };
    let offset = (0..3).map(|_| reading()).min_by_key(|(width, _)| *width).map_or(0, |(_, offset)| offset);
    Clock { offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_leads_from_one_clock_to_the_other() {
        let day = read().unix(monotonic());
        assert!(day.abs_diff(unix()) < 1_000_000_000);
    }
}
