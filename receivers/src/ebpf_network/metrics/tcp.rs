//! The series of connections: the cells that an observation is added to.

use sluice_pipeline::exchange::record;

use super::{
    bounds::Bounds,
    catalogue::{IO_DIRECTION, OTHER, RECEIVE, TRANSMIT},
    config::MetricsConfig,
    observation::{ConnectError, TcpObservation},
    point::{Points, Stamp},
    table::{Series, Table},
};
use crate::ebpf_network::socket::{Direction, Role};

/// The places of counters and sums among the cells. What most observations touch comes first, so that it shares a cache
/// line; the buckets of the histograms follow.
mod cell {
    /// By direction.
    pub(super) const BYTES: usize = 0;
    /// By direction.
    pub(super) const OPERATIONS: usize = 2;
    /// Of the histograms.
    pub(super) const SUMS: usize = 4;
    pub(super) const RETRANSMITS: usize = 8;
    pub(super) const OPENED: usize = 9;
    pub(super) const ACCEPTED: usize = 10;
    pub(super) const CLOSED: usize = 11;
    /// By [`super::ConnectError`].
    pub(super) const FAILED: usize = 12;
    /// By direction.
    pub(super) const RESETS: usize = 16;
    pub(super) const BUCKETS: usize = 18;
}

/// The places of the histograms, in order.
mod histogram {
    pub(super) const CONNECT: usize = 0;
    pub(super) const RTT: usize = 1;
    /// By direction.
    pub(super) const IO: usize = 2;
    pub(super) const COUNT: usize = 4;
}

const ERRORS: [&str; 4] = ["connection_refused", "timed_out", "unreachable", OTHER];
const DIRECTIONS: [&str; 2] = [RECEIVE, TRANSMIT];

/// The most reasons that are told apart.
const MAX_REASONS: usize = 512;
/// The longest name of a reason, in bytes.
const MAX_REASON_LENGTH: usize = 64;

/// The series of connections.
#[derive(Debug)]
pub(super) struct Tcp {
    pub(super) table: Table,
    /// By reason, with one cell each.
    pub(super) drops: Table,
    reasons: Vec<Box<str>>,
    times: Bounds,
}

/// Why the kernel dropped a packet. Made by [`super::Aggregator::drop_reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DropReason(pub(super) u16);

impl Tcp {
    pub(super) fn new(config: &MetricsConfig, start: u64) -> Self {
        let times = Bounds::new(
            config
                .buckets
                .tcp_duration
                .iter()
                .map(|bound| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)),
            1e9,
        );
        let cells = cell::BUCKETS + histogram::COUNT * times.buckets();
        Self {
            table: Table::new(cells, &[Role::Unknown], start),
            drops: Table::new(1, &[Role::Unknown], start),
            reasons: vec![OTHER.into()],
            times,
        }
    }

    /// The number of a reason with this name; that of `_OTHER` once there are too many.
    pub(super) fn reason(&mut self, name: &str) -> DropReason {
        let known = self.reasons.iter().position(|known| **known == *name);
        let place = known.unwrap_or_else(|| {
            if self.reasons.len() >= MAX_REASONS || name.is_empty() || name.len() > MAX_REASON_LENGTH {
                return 0;
            }
            self.reasons.push(name.into());
            self.reasons.len() - 1
        });
        DropReason(u16::try_from(place).unwrap_or(0))
    }

    /// The name of the reason that a series of drops is for.
    pub(super) fn reason_name(&self, reason: DropReason) -> &str {
        self.reasons.get(usize::from(reason.0)).map_or(OTHER, AsRef::as_ref)
    }

    /// Adds an observation, other than of a drop, to the series at this place.
    #[inline]
    pub(super) fn record(&mut self, place: usize, observation: TcpObservation) {
        let times = &self.times;
        let Some((head, buckets)) = self.table.touch(place).split_at_mut_checked(cell::BUCKETS) else {
            return;
        };
        let mut time = |head: &mut [u64], number: usize, nanoseconds: u64| {
            if nanoseconds > 0 {
                let first = number * times.buckets();
                let buckets = buckets.get_mut(first..first + times.buckets());
                times.record(head.get_mut(cell::SUMS + number), buckets, nanoseconds);
            }
        };
        match observation {
            TcpObservation::Io { direction, bytes, duration, round_trip, retransmits } => {
                let direction = place_of(direction);
                add(head, cell::BYTES + direction, bytes);
                add(head, cell::OPERATIONS + direction, 1);
                if retransmits > 0 {
                    add(head, cell::RETRANSMITS, u64::from(retransmits));
                }
                time(head, histogram::IO + direction, duration);
                time(head, histogram::RTT, u64::from(round_trip) * 1_000);
            }
            TcpObservation::Opened { duration } => {
                add(head, cell::OPENED, 1);
                time(head, histogram::CONNECT, duration);
            }
            TcpObservation::Accepted => add(head, cell::ACCEPTED, 1),
            TcpObservation::Closed => add(head, cell::CLOSED, 1),
            TcpObservation::Failed(error) => add(head, cell::FAILED + place_of_error(error), 1),
            TcpObservation::Retransmitted { segments } => add(head, cell::RETRANSMITS, u64::from(segments)),
            TcpObservation::Reset(direction) => add(head, cell::RESETS + place_of(direction), 1),
            TcpObservation::Dropped(_) => {}
        }
    }

    /// Adds a drop to the series of its reason at this place.
    pub(super) fn record_drop(&mut self, place: usize) {
        if let Some(count) = self.drops.touch(place).first_mut() {
            *count += 1;
        }
    }

    /// Adds the points of a series to those of the metric at this place of the catalogue.
    pub(super) fn points(&self, metric: usize, series: &Series, stamp: &Stamp<'_>, points: &mut Points) {
        let counter = |place: usize| series.cells.get(place).copied().unwrap_or(0);
        let time = |number: usize, stamp: &Stamp<'_>, points: &mut Points| {
            let first = cell::BUCKETS + number * self.times.buckets();
            let buckets = series.cells.get(first..first + self.times.buckets()).unwrap_or_default();
            points.histogram(stamp, &self.times, counter(cell::SUMS + number), buckets);
        };
        match metric {
            0 => points.number(stamp, counter(cell::OPENED)),
            1 => points.number(stamp, counter(cell::ACCEPTED)),
            2 => points.number(stamp, counter(cell::CLOSED)),
            3 => each(stamp, record::ERROR, &ERRORS, |place, stamp| {
                points.number(stamp, counter(cell::FAILED + place));
            }),
            4 => time(histogram::CONNECT, stamp, points),
            5 => each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::BYTES + place))),
            6 => {
                each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::OPERATIONS + place)))
            }
            7 => each_direction(stamp, |place, stamp| {
                time(histogram::IO + place, stamp, points);
            }),
            8 => time(histogram::RTT, stamp, points),
            9 => points.number(stamp, counter(cell::RETRANSMITS)),
            10 => each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::RESETS + place))),
            _ => {}
        }
    }
}

#[inline]
fn add(cells: &mut [u64], place: usize, value: u64) {
    if let Some(count) = cells.get_mut(place) {
        *count = count.saturating_add(value);
    }
}

fn each_direction(stamp: &Stamp<'_>, add: impl FnMut(usize, &Stamp<'_>)) {
    each(stamp, IO_DIRECTION, &DIRECTIONS, add);
}

/// Calls `add` for each value of an attribute.
fn each(stamp: &Stamp<'_>, key: &str, values: &[&str], mut add: impl FnMut(usize, &Stamp<'_>)) {
    for (place, value) in values.iter().enumerate() {
        add(place, &Stamp { own: Some((key, value)), ..*stamp });
    }
}

const fn place_of(direction: Direction) -> usize {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

const fn place_of_error(error: ConnectError) -> usize {
    match error {
        ConnectError::Refused => 0,
        ConnectError::TimedOut => 1,
        ConnectError::Unreachable => 2,
        ConnectError::Other => 3,
    }
}
