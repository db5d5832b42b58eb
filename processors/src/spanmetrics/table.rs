//! The series of one metric of one resource, bounded in number and in bytes.

use std::collections::HashMap;

use sluice_pipeline::budget::{Budget, Charge};

use super::{dimensions::overflow_key, histogram::Histogram};

/// What a series takes besides its key and its buckets, in bytes.
const SERIES_BYTES: usize = size_of::<Series>() + 64;

/// The series of a metric by their keys.
pub(super) struct Table {
    series: HashMap<Box<[u8]>, Series>,
    limit: usize,
    charge: Charge,
}

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    /// When it began, in nanoseconds since 1970.
    pub(super) begun: u64,
    /// When something was last added.
    pub(super) seen: u64,
    pub(super) tally: Tally,
    pub(super) exemplars: Vec<Exemplar>,
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
    /// The same, since the byte budget is used up.
    OverBudget,
}

impl Table {
    /// Without series; 0 sets no limit to their number.
    pub(super) fn new(limit: usize, budget: &Budget) -> Self {
        Self { series: HashMap::new(), limit, charge: budget.charge_anyway(0) }
    }

    /// Adds to the series of this key, which begins as `empty` if it is new.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        now: u64,
        empty: impl FnOnce() -> Tally,
        act: impl FnOnce(&mut Series),
    ) -> Added {
        if let Some(series) = self.series.get_mut(key) {
            series.seen = now;
            act(series);
            return Added::Here;
        }
        let tally = empty();
        let added = self.room_for(key, &tally);
        let key = if added == Added::Here { key.to_vec() } else { overflow_key() };
        let begin = || Series { begun: now, seen: now, tally, exemplars: Vec::new() };
        let series = self.series.entry(key.into()).or_insert_with(begin);
        series.seen = now;
        act(series);
        added
    }

    /// Takes room for one more.
    fn room_for(&mut self, key: &[u8], tally: &Tally) -> Added {
        if self.limit > 0 && self.series.len() >= self.limit {
            return Added::OverLimit;
        }
        match self.charge.grow(cost(key, tally)) {
            Ok(()) => Added::Here,
            Err(_) => Added::OverBudget,
        }
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
        let bytes = self.series.iter().map(|(key, series)| cost(key, &series.tally)).sum();
        self.charge.shrink_to(bytes);
    }

    pub(super) fn forget_exemplars(&mut self) {
        self.series.values_mut().for_each(|series| series.exemplars.clear());
    }
}

fn cost(key: &[u8], tally: &Tally) -> u64 {
    let room = match tally {
        Tally::Count(_) => 0,
        Tally::Durations(histogram) => histogram.room(),
    };
    (SERIES_BYTES + key.len() + room) as u64
}
