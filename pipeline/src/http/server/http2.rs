//! HTTP/2 settings that follow from the byte budget: what peers may send before anything of it is charged.

use std::time::Duration;

use crate::budget::Budget;

const SMALLEST_FRAME: u64 = 16 << 10;
const LARGEST_FRAME: u64 = 1 << 20;
/// How many frames a stream, and all streams of a connection together, may have unread.
const STREAM_FRAMES: u32 = 4;
const CONNECTION_FRAMES: u32 = 8;

/// How many requests a connection may carry at once, unless configured. Clients keep further ones back by themselves.
const MOST_STREAMS: u32 = 1000;

/// The HTTP/2 settings of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Settings {
    /// The largest frame, in bytes.
    pub max_frame_size: u32,
    /// Unread bytes that a stream may have.
    pub stream_window: u32,
    /// Unread bytes that all streams of a connection may have.
    pub connection_window: u32,
    /// How many requests a connection may carry at once.
    pub max_concurrent_streams: u32,
    /// How long a connection may be silent before it is pinged; `None` never pings.
    pub keep_alive_interval: Option<Duration>,
    /// How long the answer to a ping may take.
    pub keep_alive_timeout: Duration,
}

impl Http2Settings {
    /// Settings for a budget. Large frames cost less CPU a byte; small budgets get small ones.
    #[must_use]
    pub fn for_budget(budget: &Budget) -> Self {
        let frame = (budget.limit() / 2048).clamp(SMALLEST_FRAME, LARGEST_FRAME);
        let frame = u32::try_from(frame).unwrap_or(1 << 20);
        Self {
            max_frame_size: frame,
            // HTTP/2 windows start at 64 KiB, and frames of one window would stall at every frame.
            stream_window: frame * STREAM_FRAMES,
            connection_window: frame * CONNECTION_FRAMES,
            max_concurrent_streams: MOST_STREAMS,
            keep_alive_interval: None,
            keep_alive_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_the_budget_within_bounds() {
        let frame = |limit| Http2Settings::for_budget(&Budget::new(limit)).max_frame_size;
        assert_eq!(frame(1 << 20), 16 << 10);
        assert_eq!(frame(64 << 20), 32 << 10);
        assert_eq!(frame(64 << 30), 1 << 20);
    }
}
