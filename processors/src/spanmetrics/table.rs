//! The series of one metric of one resource, bounded in number and in bytes.

use std::collections::HashMap;

use super::{dimensions::overflow_key, histogram::Histogram};
use crate::room::{Room, Rooms};

/// What a series takes besides its key, its buckets and its exemplars, in bytes.
const SERIES_BYTES: usize = size_of::<Series>() + 64;

/// The series of a metric by their keys.
pub(super) struct Table {
    series: HashMap<Box<[u8]>, Series>,
    limit: usize,
    exemplars: usize,
}

/// A series.
pub(super) struct Series {
    /// When it began, in nanoseconds since 1970.
    pub(super) begun: u64,
    /// When something was last added.
    pub(super) seen: u64,
    pub(super) tally: Tally,
    pub(super) exemplars: Vec<Exemplar>,
    /// What it takes; nothing for the series of what there is no room for.
    _room: Option<Room>,
}

/// What a series counts.
#[derive(Clone, Debug)]
pub(super) enum Tally {
    Count(u64),
    Durations(Histogram),
}

/// A span of which a series has the duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// When the span ended, in nanoseconds since 1970.
    pub(super) time: u64,
    pub(super) value: f64,
}

/// Where something was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// To its series.
    Here,
    /// To the series of what there is no room for, since there are as many series as there may be.
    OverLimit,
    /// The same, since nothing is left of the budget for what is held.
    OverBudget,
}

impl Table {
    /// Without series. There may be `limit` of them, or any number if that is 0, with so many exemplars each.
    pub(super) fn new(limit: usize, exemplars: usize) -> Self {
        Self { series: HashMap::new(), limit, exemplars }
    }

    /// Adds to the series of this key, which begins as `empty` if it is new.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        now: u64,
        rooms: &Rooms,
        empty: impl FnOnce() -> Tally,
        act: impl FnOnce(&mut Series),
    ) -> Added {
        if let Some(series) = self.series.get_mut(key) {
            series.seen = now;
            act(series);
            return Added::Here;
        }
        let tally = empty();
        let is_full = self.limit > 0 && self.series.len() >= self.limit;
        let room = if is_full { None } else { rooms.admit(self.cost(key, &tally)) };
        let added = match (is_full, &room) {
            (true, _) => Added::OverLimit,
            (false, None) => Added::OverBudget,
            (false, Some(_)) => Added::Here,
        };
        let key = if added == Added::Here { key.to_vec() } else { overflow_key() };
        let begin = || Series { begun: now, seen: now, tally, exemplars: Vec::new(), _room: room };
        let series = self.series.entry(key.into()).or_insert_with(begin);
        series.seen = now;
        act(series);
        added
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Series)> {
        self.series.iter().map(|(key, series)| (&**key, series))
    }

    /// Forgets what was not added to since this time.
    pub(super) fn expire(&mut self, before: u64) {
        self.series.retain(|_, series| series.seen >= before);
    }

    pub(super) fn forget_exemplars(&mut self) {
        self.series.values_mut().for_each(|series| series.exemplars.clear());
    }

    fn cost(&self, key: &[u8], tally: &Tally) -> usize {
        let room = match tally {
            Tally::Count(_) => 0,
            Tally::Durations(histogram) => {
                histogram.room() + self.exemplars.saturating_mul(size_of::<Exemplar>())
            }
        };
        SERIES_BYTES.saturating_add(key.len()).saturating_add(room)
    }
}
