//! Exponential histograms as Prometheus's native histograms can hold them.
//!
//! Bucket `i` of scale `s` covers values above `base^i` up to `base^(i+1)`, where `base` is 2 to the power of 2 to the
//! power of `-s` (OpenTelemetry data model). Prometheus knows scales -4 to 8 and numbers buckets by their upper bound, so
//! that its indices are higher by one.

use super::Unfit;

/// The coarsest scale that Prometheus knows.
pub(crate) const COARSEST: i32 = -4;
/// The finest scale that Prometheus knows.
const FINEST: i32 = 8;
/// How many buckets may be between the first and the last of a side. What has more is held in coarser ones.
pub(crate) const MOST_BUCKETS: usize = 1024;
/// How many buckets a side may arrive with.
const MOST_SENT: usize = 16 * 1024;

/// A distribution over exponential buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exponential {
    /// -4 to 8.
    pub(crate) scale: i32,
    /// Values up to this, either sign, count as zero.
    pub(crate) zero_threshold: f64,
    /// How many those are.
    pub(crate) zero_count: u64,
    /// The buckets of values above zero.
    pub(crate) positive: Side,
    /// The buckets of values below zero, by their magnitude.
    pub(crate) negative: Side,
    /// How many values.
    pub(crate) count: u64,
    /// Their sum, if it means something.
    pub(crate) sum: Option<f64>,
}

/// Buckets without gaps; neither the first nor the last is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    /// The index of the first bucket, as OpenTelemetry counts.
    pub(crate) offset: i32,
    /// How many values each bucket has.
    pub(crate) counts: Vec<u64>,
}

impl Exponential {
    /// Takes the buckets of a point: at most as fine as Prometheus's, and at most as many as are held.
    ///
    /// # Errors
    /// A scale below -4; buckets beyond what a number can be; too many of them; fewer values than buckets have.
    pub(crate) fn with_buckets(
        mut self,
        scale: i32,
        positive: (i32, impl Iterator<Item = u64>),
        negative: (i32, impl Iterator<Item = u64>),
    ) -> Result<Self, Unfit> {
        if scale < COARSEST {
            return Err(Unfit::Scale);
        }
        self.scale = scale.min(FINEST);
        let shift = u32::try_from(scale - self.scale).unwrap_or(0);
        self.positive = Side::read(positive.0, positive.1, self.scale, shift)?;
        self.negative = Side::read(negative.0, negative.1, self.scale, shift)?;
        let buckets = self.positive.counts.iter().chain(&self.negative.counts);
        let counted = buckets.fold(self.zero_count, |total, count| total.saturating_add(*count));
        if counted > self.count || !(self.zero_threshold >= 0.0 && self.zero_threshold.is_finite()) {
            return Err(Unfit::Invalid);
        }
        while self.positive.counts.len().max(self.negative.counts.len()) > MOST_BUCKETS
            && self.scale > COARSEST
        {
            self.coarsen(1);
        }
        Ok(self)
    }

    /// Halves the number of buckets this many times.
    pub(crate) fn coarsen(&mut self, by: u32) {
        self.scale -= by.cast_signed();
        self.positive = self.positive.coarser(by);
        self.negative = self.negative.coarser(by);
    }
}

impl Side {
    fn read(offset: i32, counts: impl Iterator<Item = u64>, scale: i32, shift: u32) -> Result<Self, Unfit> {
        let sent: Vec<u64> = counts.take(MOST_SENT + 1).collect();
        if sent.len() > MOST_SENT {
            return Err(Unfit::TooManyBuckets);
        }
        let Some(first) = sent.iter().position(|count| *count > 0) else { return Ok(Self::default()) };
        let last = sent.iter().rposition(|count| *count > 0).unwrap_or(first);
        let offset = i64::from(offset) + first as i64;
        let range = possible(scale);
        let last_index = (offset + (last - first) as i64) >> shift.min(63);
        if offset >> shift.min(63) < range.0 || last_index > range.1 {
            return Err(Unfit::Invalid);
        }
        let counts = sent.get(first..=last).unwrap_or_default();
        Ok(fold(offset, counts, shift))
    }

    fn coarser(&self, by: u32) -> Self {
        if by == 0 { self.clone() } else { fold(i64::from(self.offset), &self.counts, by) }
    }
}

/// Buckets of a scale that is coarser by `shift`.
fn fold(offset: i64, counts: &[u64], shift: u32) -> Side {
    let shift = shift.min(63);
    let first = offset >> shift;
    let mut side = Side { offset: i32::try_from(first).unwrap_or(0), counts: Vec::new() };
    for (index, count) in (offset..).zip(counts) {
        let at = usize::try_from((index >> shift) - first).unwrap_or(0);
        if at >= side.counts.len() {
            side.counts.resize(at + 1, 0);
        }
        if let Some(total) = side.counts.get_mut(at) {
            *total = total.saturating_add(*count);
        }
    }
    side.counts.shrink_to_fit();
    side
}

/// The first and the last index of a bucket that holds a number of 64 bits.
fn possible(scale: i32) -> (i64, i64) {
    const EXPONENTS: (i64, i64) = (-1075, 1024);
    match u32::try_from(scale) {
        Ok(finer) => (EXPONENTS.0 << finer, EXPONENTS.1 << finer),
        Err(_) => ((EXPONENTS.0 >> scale.unsigned_abs()) - 1, (EXPONENTS.1 >> scale.unsigned_abs()) + 1),
    }
}
