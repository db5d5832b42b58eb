//! Latencies in buckets of constant relative width: any quantile within 1.6 %, in 30 KiB.

use std::time::Duration;

/// Buckets to each doubling.
const STEPS: u64 = 64;

/// Counts durations by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0, largest: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.largest = self.largest.max(nanos);
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    /// The duration that this share (0 to 1) of all stayed within; zero if none was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return Duration::from_nanos(upper_bound(index).min(self.largest));
            }
        }
        Duration::ZERO
    }
}

/// Values below [`STEPS`] have a bucket each; above, each doubling has that many.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - 6 - 1).saturating_sub(value.leading_zeros());
    #[expect(clippy::cast_possible_truncation, reason = "at most 59 * 64")]
    let index = (u64::from(shift) * STEPS + (value >> shift)) as usize;
    index
}

fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let step = index - shift * STEPS;
    (u128::from(step + 1) << shift).try_into().map_or(u64::MAX, |bound: u64| bound - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_upper_bound() {
        for value in (0..64).map(|bit| 1u64 << bit).flat_map(|power| [power - 1, power, power + power / 3]) {
            let bound = upper_bound(bucket(value));
            assert!(bound >= value && bound - value <= value / 32, "{value} {bound}");
            assert_eq!(bucket(bound), bucket(value));
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let mut even = Histogram::default();
        let mut odd = Histogram::default();
        for micros in 1..=10_000 {
            let half = if micros % 2 == 0 { &mut even } else { &mut odd };
            half.record(Duration::from_micros(micros));
        }
        even.merge(&odd);
        for (share, micros) in [(0.5, 5_000.0), (0.99, 9_900.0), (0.999, 9_990.0), (1.0, 10_000.0)] {
            let found = even.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0f64).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
