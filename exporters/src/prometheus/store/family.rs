//! One family: the series of one name, behind a lock of their own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sluice_pipeline::budget::{Budget, Charge};

use super::{Moment, Point, Refusal, Series};
use crate::prometheus_model::{Bounds, Kind, Value};

/// What is said of a family, by the first of its metrics.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its kind.
    pub(crate) kind: Kind,
    /// What it measures.
    pub(crate) help: Box<str>,
    /// The word for its unit, if its name ends in it.
    pub(crate) unit: Box<str>,
}

/// The series of one name.
pub(crate) struct Family {
    /// What is said of it.
    pub(crate) about: About,
    /// Series live in numbered places that they keep, so that a scrape can let go of the lock and find on.
    state: Mutex<State>,
}

struct State {
    places: Vec<Option<Series>>,
    free: Vec<u32>,
    by_labels: HashMap<Arc<str>, u32>,
    /// How many series there ever were.
    sequence: u64,
    /// What the series take, in bytes.
    bytes: u64,
    charge: Charge,
    /// Those of the series that came last; most have the same.
    bounds: Arc<Bounds>,
    /// It is no longer in the store.
    gone: bool,
}

/// How many series an exporter may have.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) most: usize,
    pub(super) taken: AtomicUsize,
}

/// What became of a point.
pub(super) enum Taken {
    /// The series has it.
    Yes,
    /// The family is no longer in the store: look it up again.
    Gone(Point),
    /// Why the series does not have it.
    Refused(Refusal),
}

/// Where a scrape is in a family.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    place: usize,
    /// Series that came later are not part of the scrape, so that none is there twice.
    end: Option<u64>,
}

impl Room {
    /// Takes the place of a series.
    pub(super) fn take(&self) -> Result<(), Refusal> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken >= self.most {
            self.give_back(1);
            return Err(Refusal::MaxSeries);
        }
        Ok(())
    }

    pub(super) fn give_back(&self, places: usize) {
        self.taken.fetch_sub(places, Ordering::Relaxed);
    }
}

impl Family {
    pub(super) fn new(about: About, budget: &Budget) -> Self {
        let state = State {
            places: Vec::new(),
            free: Vec::new(),
            by_labels: HashMap::new(),
            sequence: 0,
            bytes: 0,
            charge: budget.charge_anyway(0),
            bounds: Arc::default(),
            gone: false,
        };
        Self { about, state: Mutex::new(state) }
    }

    /// Gives a point to the series with these labels.
    pub(super) fn take(&self, labels: &str, point: Point, now: Moment, room: &Room) -> Taken {
        let mut state = self.state();
        if state.gone {
            return Taken::Gone(point);
        }
        let taken = match state.by_labels.get(labels).copied() {
            Some(place) => state.update(place, point, now),
            None => state.insert(labels, point, now, room),
        };
        taken.map_or_else(Taken::Refused, |()| Taken::Yes)
    }

    /// Ends the series with these labels, unless it has a newer point than this.
    pub(super) fn end(&self, labels: &str, time: u64, now: Moment, room: &Room) -> Result<(), Refusal> {
        let mut state = self.state();
        let Some(place) = state.by_labels.get(labels).copied() else { return Ok(()) };
        if !state.series(place).is_some_and(|series| series.is_due(time, now)) {
            return Err(Refusal::OutOfOrder);
        }
        state.remove(place);
        room.give_back(1);
        Ok(())
    }

    /// Drops the series that were last updated before `limit`; returns how many.
    pub(super) fn expire(&self, limit: u64, room: &Room) -> usize {
        let mut state = self.state();
        let old: Vec<u32> = (0..)
            .zip(&state.places)
            .filter(|(_, series)| series.as_ref().is_some_and(|series| series.updated < limit))
            .map(|(place, _)| place)
            .collect();
        for place in &old {
            state.remove(*place);
        }
        if !old.is_empty() && state.by_labels.len() < state.places.len() / 4 {
            state.compact();
        }
        room.give_back(old.len());
        old.len()
    }

    /// Lets nothing more in, if there is nothing in it.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.state();
        state.gone = state.by_labels.is_empty();
        state.gone
    }

    /// Bytes that its series take.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Shows the next series to `visit` until it wants no more or there are none; whether there are more. Series last
    /// updated before `limit` are left out.
    pub(crate) fn read(
        &self,
        cursor: &mut Cursor,
        limit: u64,
        mut visit: impl FnMut(&Series) -> bool,
    ) -> bool {
        let state = self.state();
        let end = *cursor.end.get_or_insert(state.sequence);
        while let Some(place) = state.places.get(cursor.place) {
            cursor.place += 1;
            if let Some(series) = place
                && series.sequence < end
                && series.updated >= limit
                && !visit(series)
            {
                return true;
            }
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn series(&self, place: u32) -> Option<&Series> {
        self.places.get(place as usize)?.as_ref()
    }

    fn update(&mut self, place: u32, mut point: Point, now: Moment) -> Result<(), Refusal> {
        let Some(Some(series)) = self.places.get_mut(place as usize) else { return Ok(()) };
        if let (Value::Histogram(new), Value::Histogram(held)) = (&mut point.value, &series.value)
            && new.bounds.values == held.bounds.values
        {
            new.bounds = Arc::clone(&held.bounds);
        }
        let plain = matches!(series.value, Value::Number(_)) && point.exemplars.is_empty();
        let before = if plain { 0 } else { series.bytes() };
        series.update(point, now)?;
        let after = if plain { 0 } else { series.bytes() };
        self.bytes = (self.bytes + after).saturating_sub(before);
        // A series that is there goes on, budget or not; what it took too much keeps others out.
        let missing = self.bytes.saturating_sub(self.charge.bytes());
        if missing > 0 {
            let _ = self.charge.grow(missing);
        }
        Ok(())
    }

    fn insert(&mut self, labels: &str, mut point: Point, now: Moment, room: &Room) -> Result<(), Refusal> {
        room.take()?;
        if let Value::Histogram(histogram) = &mut point.value {
            if histogram.bounds.values == self.bounds.values {
                histogram.bounds = Arc::clone(&self.bounds);
            } else {
                self.bounds = Arc::clone(&histogram.bounds);
            }
        }
        let labels: Arc<str> = labels.into();
        let series = Series::new(Arc::clone(&labels), self.sequence, point, now);
        let bytes = self.bytes + series.bytes();
        if self.charge.grow(bytes.saturating_sub(self.charge.bytes())).is_err() {
            room.give_back(1);
            return Err(Refusal::Memory);
        }
        self.bytes = bytes;
        self.sequence += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // As many as `max_series` at most.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(empty) = self.places.get_mut(place as usize) {
            *empty = Some(series);
            self.by_labels.insert(labels, place);
        }
        Ok(())
    }

    fn remove(&mut self, place: u32) {
        if let Some(series) = self.places.get_mut(place as usize).and_then(Option::take) {
            self.by_labels.remove(&series.labels);
            self.free.push(place);
            self.bytes = self.bytes.saturating_sub(series.bytes());
            self.charge.shrink_to(self.bytes);
        }
    }

    /// Gives memory back once most places are empty. A scrape under way may miss series this once.
    fn compact(&mut self) {
        self.places.retain(Option::is_some);
        self.places.shrink_to_fit();
        self.free = Vec::new();
        self.by_labels = (0..)
            .zip(self.places.iter().flatten())
            .map(|(place, series)| (Arc::clone(&series.labels), place))
            .collect();
    }
}
