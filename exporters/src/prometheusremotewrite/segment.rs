//! A part of a batch as series with their samples.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    ops::Range,
};

use sluice_protocols::protobuf::{write_bytes, write_message};

use super::targets::Target;
use crate::prometheus_model::{Exponential, Kind, Measured};

/// What is said of the series of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Its name.
    pub(super) name: String,
    /// Its kind.
    pub(super) kind: Kind,
    /// What it measures.
    pub(super) help: String,
    /// The word for its unit, if its name ends in it.
    pub(super) unit: String,
}

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    labels: Range<usize>,
    /// Which of the families it belongs to.
    pub(super) family: usize,
    /// How many data points are lost if it is: each counts with one of its series.
    pub(super) points: u64,
    /// Whose `target_info` it is.
    pub(super) target: Option<Target>,
    /// The series before it whose labels have the same hash.
    before: Option<usize>,
}

/// A value of a series at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<V> {
    pub(super) series: usize,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    /// When counting began, in milliseconds since 1970; 0 if not known, or nothing is counted.
    pub(super) start: i64,
    pub(super) value: V,
}

/// A measurement beside the samples of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) series: usize,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    pub(super) value: f64,
    /// As [`Segment::labels`].
    pub(super) labels: Box<[u8]>,
}

/// A histogram, or nothing for a series that has ended.
pub(super) type Native = Option<Box<Exponential>>;

/// A part of a batch as series with their samples, each series once.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) families: Vec<Family>,
    pub(super) series: Vec<Series>,
    pub(super) samples: Vec<Sample<f64>>,
    pub(super) histograms: Vec<Sample<Native>>,
    pub(super) exemplars: Vec<Exemplar>,
    labels: Vec<u8>,
    /// The last family of each name.
    by_name: HashMap<String, usize>,
    by_hash: HashMap<u64, usize>,
    hasher: RandomState,
    /// What families, histograms and exemplars take on the heap, in bytes.
    heap: usize,
}

impl Segment {
    /// The labels of a series as protobuf: fields 1, a message of name (1) and value (2) each, in the order of the names.
    pub(super) fn labels(&self, series: &Series) -> &[u8] {
        self.labels.get(series.labels.clone()).unwrap_or_default()
    }

    /// The number of a family; added if it is not known.
    pub(super) fn family(&mut self, family: Family) -> usize {
        let known = self.by_name.get(&family.name).copied();
        if let Some(known) = known.filter(|known| self.families.get(*known) == Some(&family)) {
            return known;
        }
        self.heap += 2 * family.name.len() + family.help.len() + family.unit.len() + 2 * size_of::<Family>();
        self.by_name.insert(family.name.clone(), self.families.len());
        self.families.push(family);
        self.families.len() - 1
    }

    /// The series with these labels; made if there is none.
    pub(super) fn series(&mut self, family: usize, labels: &[u8]) -> usize {
        let hash = self.hasher.hash_one(labels);
        let first = self.by_hash.get(&hash).copied();
        let mut candidate = first;
        while let Some((index, series)) = candidate.and_then(|index| Some((index, self.series.get(index)?))) {
            if self.labels(series) == labels {
                return index;
            }
            candidate = series.before;
        }
        let index = self.series.len();
        let start = self.labels.len();
        self.labels.extend_from_slice(labels);
        let labels = start..self.labels.len();
        self.series.push(Series { labels, family, points: 0, target: None, before: first });
        self.by_hash.insert(hash, index);
        index
    }

    /// Notes that a data point is part of a series.
    pub(super) fn count_point(&mut self, series: usize) {
        if let Some(series) = self.series.get_mut(series) {
            series.points += 1;
        }
    }

    /// Adds `target_info`.
    pub(super) fn push_target(&mut self, target: Target, family: usize, labels: &[u8], time: i64) {
        let series = self.series(family, labels);
        if let Some(series) = self.series.get_mut(series) {
            series.target = Some(target);
        }
        self.push_sample(series, (0, time), 1.0);
    }

    pub(super) fn push_sample(&mut self, series: usize, (start, time): (i64, i64), value: f64) {
        self.samples.push(Sample { series, time, start, value });
    }

    pub(super) fn push_histogram(&mut self, series: usize, (start, time): (i64, i64), value: Native) {
        let buckets =
            value.as_ref().map_or(0, |value| value.positive.counts.len() + value.negative.counts.len());
        self.heap += size_of::<Exponential>() + buckets * 8;
        self.histograms.push(Sample { series, time, start, value });
    }

    /// Keeps a measurement, of `time` if it has none of its own.
    pub(super) fn push_exemplar(&mut self, series: usize, time: i64, measured: &Measured<'_>) {
        let mut pairs: Vec<(&str, &str)> =
            measured.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        pairs.sort_unstable();
        let mut labels = Vec::new();
        write_labels(pairs, &mut labels);
        let time = if measured.time == 0 { time } else { milliseconds(measured.time) };
        self.heap += labels.len();
        self.exemplars.push(Exemplar { series, time, value: measured.value, labels: labels.into() });
    }

    /// Bytes that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.labels.len()
            + self.heap
            + self.series.len() * (size_of::<Series>() + 2 * size_of::<(u64, usize)>())
            + self.samples.len() * size_of::<Sample<f64>>()
            + self.histograms.len() * size_of::<Sample<Native>>()
            + self.exemplars.len() * size_of::<Exemplar>()
    }

    /// Brings the samples of each series into the order of their times. Of those of one time the last stays; returns how
    /// many data points with another value went.
    pub(super) fn sort(&mut self) -> u64 {
        let equal = |one: &f64, other: &f64| one.to_bits() == other.to_bits();
        let series = &mut self.series;
        let lost = sort(&mut self.samples, series, equal) + sort(&mut self.histograms, series, PartialEq::eq);
        self.exemplars.sort_by_key(|exemplar| (exemplar.series, exemplar.time));
        self.exemplars.dedup();
        lost
    }
}

fn sort<V>(samples: &mut Vec<Sample<V>>, series: &mut [Series], equal: impl Fn(&V, &V) -> bool) -> u64 {
    // Stable: of one time the last comes last.
    samples.sort_by_key(|sample| (sample.series, sample.time));
    let mut lost = 0;
    samples.dedup_by(|later, earlier| {
        let same = (later.series, later.time) == (earlier.series, earlier.time);
        if same {
            let counts = series.get_mut(later.series).filter(|series| series.points > 0);
            if let Some(counts) = counts.filter(|_| !equal(&later.value, &earlier.value)) {
                counts.points -= 1;
                lost += 1;
            }
            std::mem::swap(later, earlier);
        }
        same
    });
    lost
}

/// Writes labels as [`Segment::labels`] has them.
pub(super) fn write_labels<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    for (name, value) in labels {
        write_message(out, 1, |label| {
            write_bytes(label, 1, name.as_bytes());
            write_bytes(label, 2, value.as_bytes());
        });
    }
}

/// A time in nanoseconds as milliseconds.
pub(super) fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX)
}
