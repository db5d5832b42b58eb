//! Series of one shape, found by their key.

use sluice_pipeline::otlp::write::Writer;

use super::pair::{ByKey, Key};
use crate::ebpf_network::socket::Role;

/// The numbers of a series, and what they belong to.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) cells: Box<[u64]>,
    /// Whether there were observations since the last collection.
    pub(super) touched: bool,
    /// For how many collections there were none.
    pub(super) idle: u32,
    /// The place of its process.
    pub(super) process: u32,
    pub(super) role: Role,
    /// When it began, nanoseconds since the epoch.
    pub(super) start: u64,
    /// `None` for the overflow series, which stay.
    pub(super) key: Option<Key>,
    /// Encoded `KeyValue`s, each with the tag of a field 1.
    pub(super) attributes: Box<[u8]>,
}

/// Series that have the same cells. The first are the overflow series.
#[derive(Debug)]
pub(super) struct Table {
    places: ByKey,
    series: Vec<Series>,
    cells: usize,
    overflow: usize,
    attribute_bytes: usize,
}

impl Table {
    /// A table of series with so many cells, and an overflow series for each of these roles; the first is also that of
    /// all others.
    pub(super) fn new(cells: usize, roles: &[Role], start: u64) -> Self {
        let series = roles.iter().map(|role| Series {
            cells: vec![0; cells].into(),
            touched: false,
            idle: 0,
            process: 0,
            role: *role,
            start,
            key: None,
            attributes: overflow_attributes(),
        });
        Self {
            places: ByKey::default(),
            series: series.collect(),
            cells,
            overflow: roles.len(),
            attribute_bytes: 0,
        }
    }

    #[inline]
    pub(super) fn place(&self, key: &Key) -> Option<usize> {
        self.places.get(key).map(|place| *place as usize)
    }

    /// The cells at this place, which get an observation.
    #[inline]
    pub(super) fn touch(&mut self, place: usize) -> &mut [u64] {
        match self.series.get_mut(place) {
            Some(series) => {
                series.touched = true;
                &mut series.cells
            }
            None => &mut [],
        }
    }

    pub(super) fn overflow_place(&self, role: Role) -> usize {
        let reserved = self.series.iter().take(self.overflow);
        reserved.map(|series| series.role).position(|reserved| reserved == role).unwrap_or(0)
    }

    pub(super) fn insert(&mut self, key: Key, start: u64, attributes: Box<[u8]>) -> usize {
        let place = self.series.len();
        self.attribute_bytes += attributes.len();
        self.places.insert(key, u32::try_from(place).unwrap_or(u32::MAX));
        self.series.push(Series {
            cells: vec![0; self.cells].into(),
            touched: false,
            idle: 0,
            process: key.pair.process.index(),
            role: key.pair.role,
            start,
            key: Some(key),
            attributes,
        });
        place
    }

    /// All series with their places, overflow series too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Series)> {
        self.series.iter().enumerate()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Series> {
        self.series.get(place)
    }

    /// How many series there are, overflow series not counted.
    pub(super) fn len(&self) -> usize {
        self.series.len() - self.overflow
    }

    /// Changes each series; those for which `keep` says no are dropped, and their keys handed to `dropped`.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Series) -> bool, mut dropped: impl FnMut(Key)) {
        let mut place = self.series.len();
        while place > 0 {
            place -= 1;
            let Some(series) = self.series.get_mut(place) else { continue };
            let keeps = keep(series);
            let Some(key) = series.key.filter(|_| !keeps) else { continue };
            self.attribute_bytes -= series.attributes.len();
            self.places.remove(&key);
            self.series.swap_remove(place);
            if let Some(moved) = self.series.get(place).and_then(|series| series.key)
                && let Some(to) = self.places.get_mut(&moved)
            {
                *to = u32::try_from(place).unwrap_or(u32::MAX);
            }
            dropped(key);
        }
        if self.series.len() < self.series.capacity() / 4 {
            self.series.shrink_to(2 * self.series.len());
            self.places.shrink_to(2 * self.places.len());
        }
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let entry = size_of::<Key>() + size_of::<u32>() + 1;
        // Maps are at most seven eighths full, and have a power of two of places.
        let places = (self.places.capacity() * 8 / 7).next_power_of_two();
        self.series.len() * self.cells * size_of::<u64>()
            + self.series.capacity() * size_of::<Series>()
            + self.attribute_bytes
            + if self.places.capacity() == 0 { 0 } else { places * entry }
    }
}

/// OpenTelemetry's metrics SDK specification, "Overflow attribute": this one stands in for all others.
fn overflow_attributes() -> Box<[u8]> {
    let mut attributes = Vec::new();
    Writer::new(&mut attributes).message(1, |writer| {
        writer.bytes(1, b"otel.metric.overflow");
        writer.message(2, |writer| writer.varint(2, 1));
    });
    attributes.into()
}
