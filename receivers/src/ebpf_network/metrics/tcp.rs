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

/// The places of the counters among the cells; histograms follow them.
mod cell {
    pub(super) const OPENED: usize = 0;
    pub(super) const ACCEPTED: usize = 1;
    pub(super) const CLOSED: usize = 2;
    /// By [`super::ConnectError`].
    pub(super) const FAILED: usize = 3;
    pub(super) const RETRANSMITS: usize = 7;
    /// By direction, and below.
    pub(super) const RESETS: usize = 8;
    pub(super) const BYTES: usize = 10;
    pub(super) const OPERATIONS: usize = 12;
    pub(super) const HISTOGRAMS: usize = 14;
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
        let cells = cell::HISTOGRAMS + histogram::COUNT * times.cells();
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
        let Some((counters, histograms)) = self.table.touch(place).split_at_mut_checked(cell::HISTOGRAMS)
        else {
            return;
        };
        let mut add = |cell: usize, value: u64| {
            if let Some(count) = counters.get_mut(cell) {
                *count = count.saturating_add(value);
            }
        };
        let mut time = |number: usize, nanoseconds: u64| {
            let from = number * times.cells();
            if let Some(cells) = histograms.get_mut(from..from + times.cells()).filter(|_| nanoseconds > 0) {
                times.record(cells, nanoseconds);
            }
        };
        match observation {
            TcpObservation::Io { direction, bytes, duration, round_trip, retransmits } => {
                let direction = place_of(direction);
                add(cell::BYTES + direction, bytes);
                add(cell::OPERATIONS + direction, 1);
                add(cell::RETRANSMITS, u64::from(retransmits));
                time(histogram::IO + direction, duration);
                time(histogram::RTT, u64::from(round_trip) * 1_000);
            }
            TcpObservation::Opened { duration } => {
                add(cell::OPENED, 1);
                time(histogram::CONNECT, duration);
            }
            TcpObservation::Accepted => add(cell::ACCEPTED, 1),
            TcpObservation::Closed => add(cell::CLOSED, 1),
            TcpObservation::Failed(error) => add(cell::FAILED + place_of_error(error), 1),
            TcpObservation::Retransmitted { segments } => add(cell::RETRANSMITS, u64::from(segments)),
            TcpObservation::Reset(direction) => add(cell::RESETS + place_of(direction), 1),
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
        let time = |number: usize| {
            let from = cell::HISTOGRAMS + number * self.times.cells();
            series.cells.get(from..from + self.times.cells()).unwrap_or_default()
        };
        match metric {
            0 => points.number(stamp, counter(cell::OPENED)),
            1 => points.number(stamp, counter(cell::ACCEPTED)),
            2 => points.number(stamp, counter(cell::CLOSED)),
            3 => each(stamp, record::ERROR, &ERRORS, |place, stamp| {
                points.number(stamp, counter(cell::FAILED + place));
            }),
            4 => points.histogram(stamp, &self.times, time(histogram::CONNECT)),
            5 => each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::BYTES + place))),
            6 => {
                each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::OPERATIONS + place)))
            }
            7 => each_direction(stamp, |place, stamp| {
                points.histogram(stamp, &self.times, time(histogram::IO + place));
            }),
            8 => points.histogram(stamp, &self.times, time(histogram::RTT)),
            9 => points.number(stamp, counter(cell::RETRANSMITS)),
            10 => each_direction(stamp, |place, stamp| points.number(stamp, counter(cell::RESETS + place))),
            _ => {}
        }
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
