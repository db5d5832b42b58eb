//! From OTLP data points to series.

use std::{collections::BTreeMap, sync::Arc};

use sluice_pipeline::{
    Batch, Reply,
    otlp::view::{
        Attributes, Exemplar as ExemplarView, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
        MetricData, Number, NumberDataPoint, Repeated, SummaryDataPoint, Temporality, Text, resource_groups,
    },
};
use sluice_protocols::prometheus::{MetricKind, MetricNamer, Unit};

use super::{
    config::PrometheusKeys,
    expose::number,
    labels::{self, LabelWriter, Shared},
    store::{
        About, Bounds, Exemplar, Exponential, Family, Histogram, Kind, Moment, Point, Refusal, Store,
        Summary, Value,
    },
};

/// `DataPointFlags`: no value was recorded, the series has ended.
const NO_RECORDED_VALUE: u32 = 1;
/// How long the labels of a series may be, in bytes.
const LONGEST_LABELS: usize = 64 << 10;
/// How many buckets a histogram, and quantiles a summary, may have.
const MOST_BUCKETS: usize = 2_048;
/// How many exemplars of a point are looked at.
const MOST_EXEMPLARS: usize = 1_024;

/// Gives points to their series.
pub(super) struct Intake {
    keys: PrometheusKeys,
    namer: MetricNamer,
    store: Arc<Store>,
}

/// One batch under way.
struct Taking<'a> {
    intake: &'a Intake,
    now: Moment,
    refused: BTreeMap<Refusal, u64>,
    labels: LabelWriter<'a>,
    /// Those of the histogram before.
    bounds: Arc<Bounds>,
}

/// What the points of a metric share.
struct Target<'s, 'a> {
    family: Arc<Family>,
    shared: &'s Shared<'a>,
    reserved: &'static str,
    delta: bool,
    /// Whether only growth makes sense.
    monotonic: bool,
}

/// A point before its value is read.
struct Head<'a> {
    start: u64,
    time: u64,
    flags: u32,
    attributes: Attributes<'a>,
    exemplars: Repeated<'a, ExemplarView<'a>>,
}

impl Intake {
    pub(super) fn new(keys: PrometheusKeys, store: Arc<Store>) -> Self {
        let namer = MetricNamer { namespace: keys.namespace.clone(), suffixes: keys.suffixes() };
        Self { keys, namer, store }
    }

    /// Takes what it can of a batch; the answer says how many points it refused, and why.
    pub(super) fn take(&self, batch: &Batch) -> Reply {
        let now = self.store.now();
        self.store.sweep_if_due(now);
        let mut taking = Taking {
            intake: self,
            now,
            refused: BTreeMap::new(),
            labels: LabelWriter::default(),
            bounds: Arc::default(),
        };
        for chunk in batch.chunks() {
            taking.chunk(chunk.bytes());
        }
        taking.reply()
    }
}

impl<'a> Taking<'a> {
    fn chunk(&mut self, data: &'a [u8]) {
        let intake = self.intake;
        for group in resource_groups(data) {
            let resource = group.resource();
            let of_resource = Shared::of_resource(&resource, &intake.keys);
            let mut taken = false;
            for scope_group in group.scope_groups() {
                let shared = of_resource.with_scope(&scope_group, &intake.keys);
                for metric in scope_group.metrics() {
                    taken |= self.metric(&metric, &shared);
                }
            }
            // Only of a target that has other series.
            if taken && let Some((identity, labels)) = labels::target(&resource, &intake.keys) {
                intake.store.target(identity, labels, self.now);
            }
        }
    }

    /// Takes the points of a metric; whether any was taken.
    fn metric(&mut self, metric: &Metric<'a>, shared: &Shared<'a>) -> bool {
        use MetricData as Data;
        let refused: u64 = self.refused.values().sum();
        let points = match metric.data {
            Data::Empty => 0,
            Data::Gauge(gauge) => {
                let points = gauge.data_points();
                self.points(metric, Kind::Gauge, Temporality::Cumulative, shared, points, Self::number)
            }
            Data::Sum(sum) => {
                let kind = if sum.is_monotonic { Kind::Counter } else { Kind::Gauge };
                self.points(metric, kind, sum.temporality, shared, sum.data_points(), Self::number)
            }
            Data::Histogram(histogram) => {
                let points = histogram.data_points();
                self.points(metric, Kind::Histogram, histogram.temporality, shared, points, Self::histogram)
            }
            Data::ExponentialHistogram(histogram) => {
                let points = histogram.data_points();
                self.points(metric, Kind::Histogram, histogram.temporality, shared, points, Self::exponential)
            }
            Data::Summary(summary) => {
                let points = summary.data_points();
                self.points(metric, Kind::Summary, Temporality::Cumulative, shared, points, Self::summary)
            }
        };
        points > self.refused.values().sum::<u64>() - refused
    }

    /// Takes each of the points; returns how many there were.
    fn points<P: PointView<'a>>(
        &mut self,
        metric: &Metric<'a>,
        kind: Kind,
        temporality: Temporality,
        shared: &Shared<'a>,
        points: impl Iterator<Item = P>,
        read: impl Fn(&mut Self, &P, bool) -> Result<Value, Refusal>,
    ) -> u64 {
        let mut target = self.target(metric, kind, temporality, shared);
        let mut count = 0;
        for point in points {
            count += 1;
            let taken = match &mut target {
                Ok(target) => self.point(target, &point, &read),
                Err(refusal) => Err(*refusal),
            };
            if let Err(refusal) = taken {
                *self.refused.entry(refusal).or_default() += 1;
            }
        }
        count
    }

    fn target<'s>(
        &self,
        metric: &Metric<'a>,
        kind: Kind,
        temporality: Temporality,
        shared: &'s Shared<'a>,
    ) -> Result<Target<'s, 'a>, Refusal> {
        let delta = temporality == Temporality::Delta;
        if temporality == Temporality::Unspecified || (delta && kind == Kind::Gauge) {
            return Err(Refusal::Temporality);
        }
        let (unit, named) = (
            metric.unit.as_str(),
            match kind {
                Kind::Counter => MetricKind::Counter,
                // A sum that goes down is no ratio, whatever its unit.
                Kind::Gauge if matches!(metric.data, MetricData::Gauge(_)) => MetricKind::Gauge,
                _ => MetricKind::Other,
            },
        );
        let intake = self.intake;
        let name = intake.namer.name(metric.name.as_str(), unit, named).ok_or(Refusal::Name)?;
        let about = About {
            name: name.into(),
            kind,
            help: metric.description.as_str().into(),
            unit: Unit::of(unit).main.into(),
        };
        let reserved = match kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            Kind::Counter | Kind::Gauge => "",
        };
        let family = intake.store.family(&about)?;
        Ok(Target { family, shared, reserved, delta, monotonic: kind != Kind::Gauge })
    }

    fn point<P: PointView<'a>>(
        &mut self,
        target: &mut Target<'_, 'a>,
        point: &P,
        read: &impl Fn(&mut Self, &P, bool) -> Result<Value, Refusal>,
    ) -> Result<(), Refusal> {
        let head = point.head();
        let (now, store) = (self.now, &self.intake.store);
        let time = if head.time == 0 { now.unix_nano } else { head.time };
        if head.flags & NO_RECORDED_VALUE != 0 {
            let labels = self.labels.write(target.shared, head.attributes, target.reserved);
            return store.end(&target.family, labels, time, now);
        }
        let value = read(self, point, target.monotonic)?;
        let labels = self.labels.write(target.shared, head.attributes, target.reserved);
        if labels.len() > LONGEST_LABELS {
            return Err(Refusal::LabelsTooLong);
        }
        // A gauge counts nothing, so it is not counted from anywhere; nor does counting begin after its end.
        let start = if target.monotonic && head.start <= time { head.start } else { 0 };
        let exemplars = if target.monotonic { exemplars(head.exemplars) } else { Vec::new() };
        store.take(
            &mut target.family,
            labels,
            Point { start, time, delta: target.delta, value, exemplars },
            now,
        )
    }

    fn number(&mut self, point: &NumberDataPoint<'a>, monotonic: bool) -> Result<Value, Refusal> {
        let value = point.value.map(as_double).ok_or(Refusal::Invalid)?;
        if monotonic && (value.is_nan() || value < 0.0) {
            return Err(Refusal::Invalid);
        }
        Ok(Value::Number(value))
    }

    fn histogram(&mut self, point: &HistogramDataPoint<'a>, _monotonic: bool) -> Result<Value, Refusal> {
        let mut bounds: Vec<f64> = point.explicit_bounds().take(MOST_BUCKETS + 1).collect();
        let mut counts: Vec<u64> = point.bucket_counts().take(MOST_BUCKETS + 2).collect();
        if bounds.len() > MOST_BUCKETS {
            return Err(Refusal::TooManyBuckets);
        }
        let ascending = bounds.windows(2).all(|pair| matches!(pair, [one, other] if one < other));
        let numbered = bounds.iter().all(|bound| *bound > f64::NEG_INFINITY);
        let counted = counts.iter().fold(0, |total: u64, count| total.saturating_add(*count));
        let matching = counts.len() == bounds.len() + 1 || counts.is_empty() && bounds.is_empty();
        if !ascending || !numbered || !matching || counted > point.count {
            return Err(Refusal::Invalid);
        }
        // A bound of infinity is that of the last bucket already.
        if bounds.last() == Some(&f64::INFINITY) {
            bounds.pop();
            if let Some(beyond) = counts.pop()
                && let Some(last) = counts.last_mut()
            {
                *last = last.saturating_add(beyond);
            }
        }
        if *self.bounds.values != *bounds {
            let texts = bounds.iter().map(|bound| number::text(*bound).into()).collect();
            self.bounds = Arc::new(Bounds { values: bounds.into(), texts });
        }
        Ok(Value::Histogram(Box::new(Histogram {
            bounds: Arc::clone(&self.bounds),
            counts: counts.into(),
            count: point.count,
            sum: point.sum,
        })))
    }

    fn exponential(
        &mut self,
        point: &ExponentialHistogramDataPoint<'a>,
        _monotonic: bool,
    ) -> Result<Value, Refusal> {
        let (positive, negative) =
            (point.positive().unwrap_or_default(), point.negative().unwrap_or_default());
        let buckets = Exponential {
            zero_threshold: point.zero_threshold,
            zero_count: point.zero_count,
            count: point.count,
            sum: point.sum,
            ..Exponential::default()
        };
        let buckets = buckets.with_buckets(
            point.scale,
            (positive.offset, positive.bucket_counts()),
            (negative.offset, negative.bucket_counts()),
        )?;
        Ok(Value::Exponential(Box::new(buckets)))
    }

    fn summary(&mut self, point: &SummaryDataPoint<'a>, _monotonic: bool) -> Result<Value, Refusal> {
        let mut quantiles: Vec<(f64, f64)> = point
            .quantile_values()
            .take(MOST_BUCKETS + 1)
            .map(|quantile| (quantile.quantile, quantile.value))
            .collect();
        if quantiles.len() > MOST_BUCKETS {
            return Err(Refusal::TooManyBuckets);
        }
        if quantiles.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile)) {
            return Err(Refusal::Invalid);
        }
        quantiles.sort_by(|one, other| one.0.total_cmp(&other.0));
        quantiles.dedup_by(|later, earlier| later.0 == earlier.0);
        let quantiles = quantiles.into();
        Ok(Value::Summary(Box::new(Summary { quantiles, count: point.count, sum: point.sum })))
    }

    fn reply(self) -> Reply {
        if self.refused.is_empty() {
            return Reply::Delivered;
        }
        let mut parts = Vec::new();
        for (refusal, points) in &self.refused {
            self.intake.store.counters.refused(*refusal, *points);
            parts.push(format!("{points} {}", refusal.explanation()));
        }
        Reply::Rejected {
            items: self.refused.values().sum(),
            message: format!("data points that Prometheus is not given: {}", parts.join("; ")),
        }
    }
}

/// What the points of every kind of metric have.
trait PointView<'a> {
    /// All but the value.
    fn head(&self) -> Head<'a>;
}

macro_rules! points {
    ($($point:ident)*) => {$(
        impl<'a> PointView<'a> for $point<'a> {
            fn head(&self) -> Head<'a> {
                Head {
                    start: self.start_time_unix_nano,
                    time: self.time_unix_nano,
                    flags: self.flags,
                    attributes: self.attributes(),
                    exemplars: self.exemplars(),
                }
            }
        }
    )*};
}

points! { NumberDataPoint HistogramDataPoint ExponentialHistogramDataPoint }

impl<'a> PointView<'a> for SummaryDataPoint<'a> {
    fn head(&self) -> Head<'a> {
        Head {
            start: self.start_time_unix_nano,
            time: self.time_unix_nano,
            flags: self.flags,
            attributes: self.attributes(),
            exemplars: Repeated::default(),
        }
    }
}

fn as_double(number: Number) -> f64 {
    match number {
        Number::Double(number) => number,
        Number::Int(number) => number as f64,
    }
}

fn exemplars<'a>(exemplars: Repeated<'a, ExemplarView<'a>>) -> Vec<Exemplar> {
    let with_value = exemplars.take(MOST_EXEMPLARS).filter_map(|exemplar| Some((exemplar, exemplar.value?)));
    with_value
        .map(|(exemplar, value)| Exemplar {
            labels: labels::exemplar(&exemplar).into(),
            value: as_double(value),
            time: exemplar.time_unix_nano,
        })
        .filter(|exemplar| !exemplar.value.is_nan())
        .collect()
}
