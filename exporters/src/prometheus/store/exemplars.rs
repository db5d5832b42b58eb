//! Exemplars: a few measurements kept beside what they are part of.

use crate::prometheus_model::bucket_of;

/// A measurement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exemplar {
    /// Its labels, as they stand between braces.
    pub(crate) labels: Box<str>,
    /// What was measured.
    pub(crate) value: f64,
    /// When, in nanoseconds since 1970; 0 if not known.
    pub(crate) time: u64,
}

/// How many exemplars a series has that are not each in a bucket of their own.
const MOST: usize = 10;

/// Where the exemplars of a series belong.
pub(super) enum Place<'a> {
    /// All in one: the newest stays.
    One,
    /// In the bucket of their value: the newest of each stays. Upper bounds, ascending.
    Bucket(&'a [f64]),
    /// Anywhere: the newest stay.
    Any,
}

/// Takes newer exemplars in. What is held is in the order of its values.
pub(super) fn merge(held: &mut Vec<Exemplar>, newer: Vec<Exemplar>, place: &Place<'_>) {
    for exemplar in newer {
        let rival = match place {
            Place::One => (!held.is_empty()).then_some(0),
            Place::Bucket(bounds) => {
                let bucket = bucket_of(bounds, exemplar.value);
                let at = held.partition_point(|other| bucket_of(bounds, other.value) < bucket);
                held.get(at).filter(|other| bucket_of(bounds, other.value) == bucket).map(|_| at)
            }
            Place::Any => held.iter().position(|other| *other == exemplar).or_else(|| {
                let oldest = held.iter().enumerate().min_by_key(|(_, other)| other.time);
                oldest.map(|(at, _)| at).filter(|_| held.len() >= MOST)
            }),
        };
        match rival.and_then(|at| held.get_mut(at)) {
            Some(rival) if rival.time <= exemplar.time => *rival = exemplar,
            Some(_) => continue,
            None => {
                let at = held.partition_point(|other| other.value < exemplar.value);
                held.insert(at, exemplar);
            }
        }
        if matches!(place, Place::Any) {
            held.sort_by(|one, other| one.value.total_cmp(&other.value));
        }
    }
    held.shrink_to_fit();
}
