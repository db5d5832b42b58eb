//! From OTLP data points to series.

use std::{collections::BTreeMap, sync::Arc};

use sluice_pipeline::{
    Batch, Reply,
    otlp::view::{Metric, MetricData, Temporality, Text, resource_groups},
};
use sluice_protocols::prometheus::{MetricNamer, Unit};

use super::{
    config::PrometheusKeys,
    labels,
    store::{About, Exemplar, Family, Moment, Point, Refusal, Store},
};
use crate::prometheus_model::{
    Kind, LabelRules, LabelWriter, NO_RECORDED_VALUE, PointReader, PointView, Shared, measured,
    resolve_target,
};

/// How long the labels of a series may be, in bytes.
const LONGEST_LABELS: usize = 64 << 10;

/// Gives points to their series.
pub(super) struct Intake {
    rules: LabelRules,
    namer: MetricNamer,
    store: Arc<Store>,
}

/// One batch under way.
struct Taking<'a> {
    intake: &'a Intake,
    now: Moment,
    refused: BTreeMap<Refusal, u64>,
    labels: LabelWriter<'a>,
    text: String,
    reader: PointReader,
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

impl Intake {
    pub(super) fn new(keys: PrometheusKeys, store: Arc<Store>) -> Self {
        let namer = MetricNamer { namespace: keys.namespace.clone(), suffixes: keys.suffixes() };
        Self { rules: keys.label_rules(), namer, store }
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
            text: String::new(),
            reader: PointReader::default(),
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
            let of_resource = Shared::of_resource(&resource, &intake.rules);
            let mut taken = false;
            for scope_group in group.scope_groups() {
                let shared = of_resource.with_scope(&scope_group, &intake.rules);
                for metric in scope_group.metrics() {
                    taken |= self.metric(&metric, &shared);
                }
            }
            // Only of a target that has other series.
            if taken && let Some(identity) = resolve_target(&resource, &intake.rules, &mut self.labels) {
                labels::write(self.labels.labels(), &mut self.text);
                intake.store.target(identity, self.text.clone(), self.now);
            }
        }
    }

    /// Takes the points of a metric; whether any was taken.
    fn metric(&mut self, metric: &Metric<'a>, shared: &Shared<'a>) -> bool {
        use MetricData as Data;
        let refused: u64 = self.refused.values().sum();
        let points = match metric.data {
            Data::Empty => 0,
            Data::Gauge(gauge) => self.points(metric, shared, gauge.data_points()),
            Data::Sum(sum) => self.points(metric, shared, sum.data_points()),
            Data::Histogram(histogram) => self.points(metric, shared, histogram.data_points()),
            Data::ExponentialHistogram(histogram) => self.points(metric, shared, histogram.data_points()),
            Data::Summary(summary) => self.points(metric, shared, summary.data_points()),
        };
        points > self.refused.values().sum::<u64>() - refused
    }

    /// Takes each of the points; returns how many there were.
    fn points<P: PointView<'a>>(
        &mut self,
        metric: &Metric<'a>,
        shared: &Shared<'a>,
        points: impl Iterator<Item = P>,
    ) -> u64 {
        let mut target = self.target(metric, shared);
        let mut count = 0;
        for point in points {
            count += 1;
            let taken = match &mut target {
                Ok(target) => self.point(target, &point),
                Err(refusal) => Err(*refusal),
            };
            if let Err(refusal) = taken {
                *self.refused.entry(refusal).or_default() += 1;
            }
        }
        count
    }

    fn target<'s>(&self, metric: &Metric<'a>, shared: &'s Shared<'a>) -> Result<Target<'s, 'a>, Refusal> {
        let (kind, temporality) = Kind::of(&metric.data).ok_or(Refusal::Invalid)?;
        let delta = temporality == Temporality::Delta;
        if temporality == Temporality::Unspecified || (delta && kind == Kind::Gauge) {
            return Err(Refusal::Temporality);
        }
        let intake = self.intake;
        let name = kind.name_of(metric, &intake.namer).ok_or(Refusal::Name)?;
        let about = About {
            name: name.into(),
            kind,
            help: metric.description.as_str().into(),
            unit: Unit::of(metric.unit.as_str()).main.into(),
        };
        let family = intake.store.family(&about)?;
        Ok(Target { family, shared, reserved: kind.reserved(), delta, monotonic: kind != Kind::Gauge })
    }

    fn point<P: PointView<'a>>(&mut self, target: &mut Target<'_, 'a>, point: &P) -> Result<(), Refusal> {
        let head = point.head();
        let (now, store) = (self.now, &self.intake.store);
        let time = if head.time == 0 { now.unix_nano } else { head.time };
        let ended = head.flags & NO_RECORDED_VALUE != 0;
        let value = if ended { None } else { Some(point.value(&mut self.reader, target.monotonic)?) };
        self.labels.resolve(target.shared, head.attributes, target.reserved);
        labels::write(self.labels.labels(), &mut self.text);
        let Some(value) = value else { return store.end(&target.family, &self.text, time, now) };
        if self.text.len() > LONGEST_LABELS {
            return Err(Refusal::LabelsTooLong);
        }
        // A gauge counts nothing, so it is not counted from anywhere; nor does counting begin after its end.
        let start = if target.monotonic && head.start <= time { head.start } else { 0 };
        let mut exemplars = Vec::new();
        if target.monotonic {
            exemplars.extend(measured(head.exemplars).map(|measured| {
                let mut labels = String::new();
                let pairs = measured.labels.iter().map(|(name, value)| (&**name, &**value));
                labels::write(pairs, &mut labels);
                Exemplar { labels: labels.into(), value: measured.value, time: measured.time }
            }));
        }
        let point = Point { start, time, delta: target.delta, value, exemplars };
        store.take(&mut target.family, &self.text, point, now)
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
