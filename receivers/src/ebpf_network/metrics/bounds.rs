//! Boundaries of histogram buckets, and the bucket of a value.

/// The upper boundaries of buckets, in order; values above the last have a bucket of their own.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// With one more that no value is above.
    upper: Box<[u64]>,
    /// By the bit length of a value, how many boundaries are below every such value.
    certain: [u8; 65],
    /// The most boundaries that values of one bit length lie between.
    steps: usize,
    /// As `HistogramDataPoint.explicit_bounds` has them, packed.
    encoded: Box<[u8]>,
    per_unit: f64,
}

impl Bounds {
    /// Boundaries of which `per_unit` make one unit of the metric. The configuration has checked that they rise.
    pub(super) fn new(upper: impl IntoIterator<Item = u64>, per_unit: f64) -> Self {
        let mut upper: Vec<u64> = upper.into_iter().take(super::config::MAX_BUCKETS).collect();
        let encoded = upper.iter().flat_map(|bound| (*bound as f64 / per_unit).to_le_bytes()).collect();
        let mut certain = [0; 65];
        let mut steps = 0;
        for (bits, count) in certain.iter_mut().enumerate() {
            let most = if bits == 0 { 0 } else { u64::MAX >> (64 - bits) };
            let least = most - most / 2;
            let below = upper.partition_point(|bound| *bound < least);
            *count = u8::try_from(below).unwrap_or(u8::MAX);
            steps = steps.max(upper.partition_point(|bound| *bound < most) - below);
        }
        upper.push(u64::MAX);
        Self { upper: upper.into(), certain, steps, encoded, per_unit }
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.upper.len()
    }

    /// Adds a value to a histogram: to its sum, and to one of its [`Bounds::buckets`].
    #[inline]
    pub(super) fn record(&self, sum: Option<&mut u64>, buckets: Option<&mut [u64]>, value: u64) {
        if let (Some(sum), Some(count)) =
            (sum, buckets.and_then(|buckets| buckets.get_mut(self.bucket(value))))
        {
            *sum = sum.saturating_add(value);
            *count += 1;
        }
    }

    /// The place of the first boundary that is not below the value.
    #[inline]
    fn bucket(&self, value: u64) -> usize {
        let bits = (64 - value.leading_zeros()) as usize;
        let mut place = usize::from(self.certain[bits]);
        // Always as many steps, so that no branch has to be guessed.
        for _ in 0..self.steps {
            place += usize::from(self.upper.get(place).is_some_and(|bound| *bound < value));
        }
        place
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// A sum of values in the unit of the metric.
    pub(super) fn in_unit(&self, sum: u64) -> f64 {
        sum as f64 / self.per_unit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_boundary_belongs_to_the_bucket_below_it() {
        let bounds = Bounds::new([0, 5, 10], 1.0);
        let buckets = [0, 1, 5, 6, 10, 11, u64::MAX].map(|value| bounds.bucket(value));
        assert_eq!(buckets, [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(Bounds::new([], 1.0).bucket(7), 0);
    }

    #[test]
    fn boundaries_are_the_nearest_doubles() {
        let bounds = Bounds::new([5_000_000, 10_000_000_000], 1e9);
        assert_eq!(bounds.encoded(), [0.005f64.to_le_bytes(), 10f64.to_le_bytes()].concat());
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_a_search(
            upper in proptest::collection::btree_set(prop_oneof![any::<u64>(), 0u64..3000], 0..64),
            values in proptest::collection::vec(prop_oneof![any::<u64>(), 0u64..3000], 100),
        ) {
            let upper: Vec<u64> = upper.into_iter().collect();
            let bounds = Bounds::new(upper.iter().copied(), 1.0);
            for value in values.into_iter().chain(upper.iter().copied()) {
                prop_assert_eq!(bounds.bucket(value), upper.iter().filter(|bound| **bound < value).count());
            }
        }
    }
}
