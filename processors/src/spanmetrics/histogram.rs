//! Counts durations in buckets, explicit or exponential.

/// What durations add up to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) buckets: Buckets,
}

/// How many durations fell where.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Buckets {
    /// Up to each bound, and above the last.
    Explicit(Box<[u64]>),
    Exponential(Exponential),
}

/// Buckets whose bounds are powers of 2^(2^-scale) (OTLP's `ExponentialHistogram`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exponential {
    pub(super) scale: i32,
    pub(super) zeros: u64,
    /// The index of the first bucket.
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
    most: usize,
}

/// The finest scale; its factor is 1.0000007.
const FINEST: i32 = 20;

impl Histogram {
    pub(super) fn explicit(bounds: usize) -> Self {
        Self { count: 0, sum: 0.0, buckets: Buckets::Explicit(vec![0; bounds + 1].into()) }
    }

    pub(super) fn exponential(most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let buckets = Exponential { scale: FINEST, zeros: 0, offset: 0, counts: Vec::new(), most };
        Self { count: 0, sum: 0.0, buckets: Buckets::Exponential(buckets) }
    }

    /// The most bytes that it takes beyond its own size.
    pub(super) fn room(&self) -> usize {
        size_of::<u64>()
            * match &self.buckets {
                Buckets::Explicit(counts) => counts.len(),
                Buckets::Exponential(buckets) => buckets.most,
            }
    }

    /// Adds a duration, never negative; `bounds` are those of an explicit histogram.
    pub(super) fn add(&mut self, value: f64, bounds: &[f64]) {
        self.count += 1;
        self.sum += value;
        match &mut self.buckets {
            Buckets::Explicit(counts) => {
                // A value at a bound belongs to the bucket below it.
                let bucket = bounds.partition_point(|bound| *bound < value);
                if let Some(count) = counts.get_mut(bucket) {
                    *count += 1;
                }
            }
            Buckets::Exponential(buckets) => buckets.add(value),
        }
    }
}

impl Exponential {
    fn add(&mut self, value: f64) {
        if value <= 0.0 || !value.is_finite() {
            self.zeros += 1;
            return;
        }
        let mut index = self.index(value);
        loop {
            let (low, high) = self.range(index);
            let width = i64::from(high) - i64::from(low);
            if usize::try_from(width).is_ok_and(|width| width < self.most) {
                self.make_room(low, high);
                break;
            }
            self.coarsen();
            index = self.index(value);
        }
        let place = usize::try_from(i64::from(index) - i64::from(self.offset)).unwrap_or(usize::MAX);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    /// The bucket of a value: (factor^index, factor^(index + 1)].
    #[expect(clippy::cast_possible_truncation, reason = "logarithms of doubles times 2^20 fit")]
    fn index(&self, value: f64) -> i32 {
        let position = value.log2() * 2.0_f64.powi(self.scale);
        (position.ceil() as i32).saturating_sub(1)
    }

    /// The indices of the first and last bucket once there is one with this index.
    fn range(&self, index: i32) -> (i32, i32) {
        let Some(last) = self.counts.len().checked_sub(1) else { return (index, index) };
        let last = self.offset.saturating_add(i32::try_from(last).unwrap_or(i32::MAX));
        (self.offset.min(index), last.max(index))
    }

    fn make_room(&mut self, low: i32, high: i32) {
        if self.counts.is_empty() {
            self.offset = low;
        }
        let before = usize::try_from(self.offset.saturating_sub(low)).unwrap_or_default();
        if before > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.offset = low;
        }
        let length = usize::try_from(high.saturating_sub(low)).unwrap_or_default() + 1;
        if length > self.counts.len() {
            self.counts.resize(length, 0);
        }
    }

    /// Halves the resolution: two neighbours become one.
    fn coarsen(&mut self) {
        self.scale -= 1;
        let offset = self.offset >> 1;
        let mut counts: Vec<u64> = Vec::with_capacity(self.counts.len() / 2 + 1);
        for (index, count) in (self.offset..).zip(&self.counts) {
            let place = usize::try_from((index >> 1) - offset).unwrap_or_default();
            if place >= counts.len() {
                counts.resize(place + 1, 0);
            }
            counts[place] += count;
        }
        (self.offset, self.counts) = (offset, counts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_at_a_bound_belongs_below_it() {
        let mut histogram = Histogram::explicit(2);
        for value in [0.0, 2.0, 2.1, 4.0, 5.0] {
            histogram.add(value, &[2.0, 4.0]);
        }
        assert_eq!(histogram.buckets, Buckets::Explicit(vec![2, 2, 1].into()));
        assert_eq!((histogram.count, histogram.sum), (5, 13.1));
    }

    proptest! {
        #[test]
        fn exponential_buckets_have_every_value_within_their_bounds(
            values in prop::collection::vec(1e-6_f64..1e9, 1..200), most in 2_u32..200,
        ) {
            let mut histogram = Histogram::exponential(most);
            values.iter().for_each(|value| histogram.add(*value, &[]));
            histogram.add(0.0, &[]);
            let Buckets::Exponential(buckets) = &histogram.buckets else { panic!("another kind") };
            prop_assert_eq!(buckets.zeros, 1);
            prop_assert!(buckets.counts.len() <= most as usize);
            let factor = 2.0_f64.powf(2.0_f64.powi(-buckets.scale));
            let mut expected = vec![0; buckets.counts.len()];
            for value in &values {
                let index = (value.ln() / factor.ln()).ceil() as i64 - 1 - i64::from(buckets.offset);
                // Where rounding decides, either neighbour will do.
                let exact = value.ln() / factor.ln();
                if (exact - exact.round()).abs() < 1e-6 { return Ok(()); }
                expected[usize::try_from(index).unwrap()] += 1;
            }
            prop_assert_eq!(&buckets.counts, &expected);
            // As fine as so many buckets allow: one step finer would need more of them.
            let (low, high) = values.iter().fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
            let finer = |value: f64| (value.log2() * 2.0_f64.powi(buckets.scale + 1)).ceil();
            if buckets.scale < FINEST {
                prop_assert!(finer(high) - finer(low) + 1.0 > f64::from(most));
            }
        }
    }
}
