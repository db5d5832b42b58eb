//! One series: which points it takes, and what they make of its value.

use std::sync::Arc;

use super::{
    Refusal,
    exemplars::{Exemplar, Place, merge},
};
use crate::prometheus_model::Value;

/// How far ahead of the clock a point's time counts, in nanoseconds: as far as Prometheus takes samples. So a sender
/// whose clock was ahead cannot shut its series for longer once it is set right.
const AHEAD: u64 = 600_000_000_000;
/// How many of the last delta intervals a series remembers, to know a point that comes again.
const INTERVALS: usize = 4;

/// A data point on its way into a series.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// When counting began, in nanoseconds since 1970; 0 if not known, or nothing is counted.
    pub(crate) start: u64,
    /// When it was measured.
    pub(crate) time: u64,
    /// Whether it adds to what came before rather than replaces it.
    pub(crate) delta: bool,
    /// Its value.
    pub(crate) value: Value,
    /// Measurements kept beside it.
    pub(crate) exemplars: Vec<Exemplar>,
}

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970.
    pub(crate) unix_nano: u64,
    /// Milliseconds since the exporter started, on a clock that is never set.
    pub(crate) elapsed: u64,
}

/// A series with its latest value.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its labels, as they stand between braces.
    pub(crate) labels: Arc<str>,
    /// Its number among those that its family ever had.
    pub(super) sequence: u64,
    /// When counting began, in nanoseconds since 1970; 0 if not known.
    pub(crate) start: u64,
    /// When its value was measured.
    pub(crate) time: u64,
    /// When it was updated last, in milliseconds since the exporter started.
    pub(super) updated: u64,
    /// Its value.
    pub(crate) value: Value,
    /// Measurements kept beside it, ascending.
    pub(crate) exemplars: Vec<Exemplar>,
    /// Of a series that delta points add up to.
    intervals: Option<Box<Intervals>>,
}

/// The starts and times of the last delta points, in a ring.
#[derive(Debug, Default)]
struct Intervals {
    last: [(u64, u64); INTERVALS],
    next: usize,
}

impl Series {
    pub(super) fn new(labels: Arc<str>, sequence: u64, point: Point, now: Moment) -> Self {
        let mut series = Self {
            labels,
            sequence,
            start: point.start,
            time: time(point.time, now),
            updated: now.elapsed,
            intervals: point.delta.then(Box::default),
            value: point.value,
            exemplars: Vec::new(),
        };
        if let Some(intervals) = &mut series.intervals {
            intervals.note((point.start, point.time));
            if series.start == 0 {
                series.start = series.time;
            }
        }
        series.take_exemplars(point.exemplars);
        series
    }

    /// Takes a point.
    pub(super) fn update(&mut self, point: Point, now: Moment) -> Result<(), Refusal> {
        if point.delta != self.intervals.is_some() {
            return Err(Refusal::Temporality);
        }
        let exemplars = if point.delta { self.add(point, now)? } else { self.replace(point, now)? };
        self.updated = now.elapsed;
        self.take_exemplars(exemplars);
        Ok(())
    }

    /// Whether a point of this time is not older than what the series has.
    pub(super) fn is_due(&self, point_time: u64, now: Moment) -> bool {
        time(point_time, now) >= self.time
    }

    fn replace(&mut self, point: Point, now: Moment) -> Result<Vec<Exemplar>, Refusal> {
        if point.start != 0 && point.start < self.start {
            return Err(Refusal::OlderSender);
        }
        if !self.is_due(point.time, now) {
            return Err(Refusal::OutOfOrder);
        }
        // Exemplars are of one count and in its buckets.
        if point.start > self.start || !self.value.is_like(&point.value) {
            self.exemplars.clear();
        }
        self.start = self.start.max(point.start);
        self.time = time(point.time, now);
        self.value = point.value;
        Ok(point.exemplars)
    }

    fn add(&mut self, point: Point, now: Moment) -> Result<Vec<Exemplar>, Refusal> {
        let interval = (point.start, point.time);
        let intervals = self.intervals.get_or_insert_default();
        if intervals.last.contains(&interval) {
            return Err(Refusal::Duplicate);
        }
        intervals.note(interval);
        let at = time(point.time, now);
        if !self.value.add(point.value) {
            self.start = if point.start == 0 { at } else { point.start };
            self.exemplars.clear();
        }
        self.time = self.time.max(at);
        Ok(point.exemplars)
    }

    fn take_exemplars(&mut self, newer: Vec<Exemplar>) {
        if newer.is_empty() {
            return;
        }
        let place = match &self.value {
            Value::Histogram(histogram) => Place::Bucket(&histogram.bounds.values),
            Value::Exponential(_) => Place::Any,
            Value::Number(_) | Value::Summary(_) => Place::One,
        };
        merge(&mut self.exemplars, newer, &place);
    }

    /// Bytes that it takes, roughly: with its key in the table of its family.
    pub(super) fn bytes(&self) -> u64 {
        const ENTRY: usize = size_of::<Option<Series>>() + 2 * (size_of::<(Arc<str>, u32)>() + 1) + 16;
        let exemplars: usize =
            self.exemplars.iter().map(|exemplar| size_of::<Exemplar>() + exemplar.labels.len()).sum();
        let intervals = self.intervals.as_ref().map_or(0, |_| size_of::<Intervals>());
        (ENTRY + self.labels.len() + self.value.heap() + exemplars + intervals) as u64
    }
}

impl Intervals {
    fn note(&mut self, interval: (u64, u64)) {
        if let Some(oldest) = self.last.get_mut(self.next % INTERVALS) {
            *oldest = interval;
        }
        self.next = (self.next + 1) % INTERVALS;
    }
}

fn time(point: u64, now: Moment) -> u64 {
    point.min(now.unix_nano.saturating_add(AHEAD))
}
