//! The samples and exemplars of a point, by its kind.

use sluice_protocols::prometheus::STALE;

use super::Taking;
use crate::{
    prometheus_model::{
        Exponential, Histogram, Kind, Measured, Shared, Summary, Value, bucket_of, number_text,
    },
    prometheusremotewrite::{refusal::Refusal, segment::write_labels},
};

/// What the points of a metric share.
pub(super) struct Target<'s, 'a> {
    pub(super) shared: &'s Shared<'a>,
    pub(super) family: usize,
    pub(super) kind: Kind,
    pub(super) names: Names,
}

/// What the series of a metric are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) plain: String,
    pub(super) bucket: String,
    pub(super) sum: String,
    pub(super) count: String,
    pub(super) created: String,
}

/// What the samples of a point share.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Start and time in milliseconds.
    pub(super) times: (i64, i64),
    /// The series has ended.
    pub(super) ended: bool,
}

impl<'a> Taking<'a> {
    pub(super) fn number(
        &mut self,
        target: &Target<'_, 'a>,
        moment: Moment,
        value: f64,
        exemplars: &[Measured<'a>],
    ) {
        let series = self.sample(target, moment, &target.names.plain, None, value);
        self.segment.count_point(series);
        for exemplar in exemplars {
            self.segment.push_exemplar(series, moment.times.1, exemplar);
        }
    }

    pub(super) fn histogram(
        &mut self,
        target: &Target<'_, 'a>,
        moment: Moment,
        histogram: &Histogram,
        exemplars: &[Measured<'a>],
    ) {
        let bounds = &histogram.bounds.values;
        let mut cumulative: u64 = 0;
        let finite = histogram.bounds.texts.iter().map(|text| &**text).zip(&histogram.counts);
        let infinite = std::iter::once(("+Inf", &histogram.count));
        let last = bounds.len();
        for (bucket, (bound, count)) in finite.chain(infinite).enumerate() {
            cumulative = if bucket == last { *count } else { cumulative.saturating_add(*count) };
            let le = Some(("le", bound));
            let series = self.sample(target, moment, &target.names.bucket, le, cumulative as f64);
            for exemplar in exemplars.iter().filter(|exemplar| bucket_of(bounds, exemplar.value) == bucket) {
                self.segment.push_exemplar(series, moment.times.1, exemplar);
            }
        }
        if histogram.sum.is_some() || moment.ended {
            self.sample(target, moment, &target.names.sum, None, histogram.sum.unwrap_or_default());
        }
        let count = self.sample(target, moment, &target.names.count, None, histogram.count as f64);
        self.segment.count_point(count);
    }

    pub(super) fn exponential(
        &mut self,
        target: &Target<'_, 'a>,
        moment: Moment,
        histogram: Box<Exponential>,
        exemplars: &[Measured<'a>],
    ) -> Result<(), Refusal> {
        let buckets = histogram.positive.counts.iter().chain(&histogram.negative.counts);
        let counted = buckets.fold(histogram.zero_count, |total, count| total.saturating_add(*count));
        // Prometheus takes fewer in buckets than in all only where not all were numbers.
        if counted != histogram.count && !histogram.sum.is_some_and(f64::is_nan) {
            return Err(Refusal::Invalid);
        }
        let series = self.series(target, &target.names.plain, None);
        let value = (!moment.ended).then_some(histogram);
        self.segment.push_histogram(series, moment.times, value);
        self.segment.count_point(series);
        for exemplar in exemplars {
            self.segment.push_exemplar(series, moment.times.1, exemplar);
        }
        Ok(())
    }

    pub(super) fn summary(&mut self, target: &Target<'_, 'a>, moment: Moment, summary: &Summary) {
        for (quantile, value) in &summary.quantiles {
            let quantile = number_text(*quantile);
            self.sample(target, moment, &target.names.plain, Some(("quantile", &quantile)), *value);
        }
        self.sample(target, moment, &target.names.sum, None, summary.sum);
        let count = self.sample(target, moment, &target.names.count, None, summary.count as f64);
        self.segment.count_point(count);
    }

    /// Adds a sample to the series of this name, with the labels of the point and this one.
    fn sample(
        &mut self,
        target: &Target<'_, 'a>,
        moment: Moment,
        name: &str,
        extra: Option<(&str, &str)>,
        value: f64,
    ) -> usize {
        let series = self.series(target, name, extra);
        self.segment.push_sample(series, moment.times, if moment.ended { STALE } else { value });
        series
    }

    pub(super) fn series(
        &mut self,
        target: &Target<'_, 'a>,
        name: &str,
        extra: Option<(&str, &str)>,
    ) -> usize {
        self.buffer.clear();
        write_series(name, extra, self.labels.labels(), &mut self.buffer);
        self.segment.series(target.family, &self.buffer)
    }
}

impl Names {
    pub(super) fn of(name: &str, kind: Kind) -> Self {
        let base = name.strip_suffix("_total").filter(|_| kind == Kind::Counter).unwrap_or(name);
        Self {
            plain: name.to_owned(),
            bucket: format!("{name}_bucket"),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
            created: format!("{base}_created"),
        }
    }
}

impl Value {
    /// How many series a point of this value is, roughly.
    pub(super) fn series(&self) -> usize {
        match self {
            Self::Number(_) | Self::Exponential(_) => 1,
            Self::Histogram(histogram) => histogram.bounds.values.len() + 3,
            Self::Summary(summary) => summary.quantiles.len() + 2,
        }
    }
}

/// Writes the labels of a series in the order of their names.
pub(super) fn write_series<'l>(
    name: &'l str,
    extra: Option<(&'l str, &'l str)>,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    out: &mut Vec<u8>,
) {
    let mut own = [Some(("__name__", name)), extra].into_iter().flatten().peekable();
    for label in labels {
        while let Some(before) = own.next_if(|before| before.0 < label.0) {
            write_labels([before], out);
        }
        write_labels([label], out);
    }
    write_labels(own, out);
}
