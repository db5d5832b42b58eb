//! How exponential histograms add up.

use crate::prometheus_model::{COARSEST, Exponential, MOST_BUCKETS, Side};

impl Exponential {
    /// Adds another distribution, at the coarser scale of both, or a coarser one yet if there are too many buckets.
    pub(super) fn add(&mut self, mut more: Self) {
        let scale = self.scale.min(more.scale);
        self.coarsen_to(scale);
        more.coarsen_to(scale);
        while self.positive.width_with(&more.positive).max(self.negative.width_with(&more.negative))
            > MOST_BUCKETS
            && self.scale > COARSEST
        {
            self.coarsen(1);
            more.coarsen(1);
        }
        self.positive.add(&more.positive);
        self.negative.add(&more.negative);
        self.zero_count = self.zero_count.saturating_add(more.zero_count);
        self.count = self.count.saturating_add(more.count);
        self.sum = self.sum.zip(more.sum).map(|(total, more)| total + more);
    }

    /// Bytes on the heap, roughly.
    pub(super) fn heap(&self) -> usize {
        size_of::<Self>() + (self.positive.counts.len() + self.negative.counts.len()) * 8
    }

    fn coarsen_to(&mut self, scale: i32) {
        self.coarsen(u32::try_from(self.scale - scale).unwrap_or(0));
    }
}

impl Side {
    /// How many buckets both have together, with what lies between them.
    fn width_with(&self, other: &Self) -> usize {
        if self.counts.is_empty() || other.counts.is_empty() {
            return self.counts.len().max(other.counts.len());
        }
        let (first, end) = (self.offset.min(other.offset), self.end().max(other.end()));
        usize::try_from(end - i64::from(first)).unwrap_or(usize::MAX)
    }

    fn end(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64
    }

    fn add(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        let width = self.width_with(other);
        let before = usize::try_from(self.offset - self.offset.min(other.offset)).unwrap_or(0);
        if before > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.offset = other.offset;
        }
        self.counts.resize(width, 0);
        let at = usize::try_from(other.offset - self.offset).unwrap_or(0);
        for (total, more) in self.counts.iter_mut().skip(at).zip(&other.counts) {
            *total = total.saturating_add(*more);
        }
    }
}
