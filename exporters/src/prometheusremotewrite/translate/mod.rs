//! From OTLP data points to series, a part of a batch at a time: what that takes is bounded, however many buckets and long
//! labels a batch has.

mod samples;

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use sluice_pipeline::{
    Batch,
    otlp::view::{Metric, MetricData, Resource, Temporality, Text, resource_groups},
};
use sluice_protocols::prometheus::{MetricKind, MetricNamer, Unit};

use self::samples::{Moment, Names, Target, write_series};
use super::{
    config::RemoteWriteKeys,
    refusal::Refusal,
    request::Request,
    segment::{Family, Segment, milliseconds},
    targets::Targets,
};
use crate::prometheus_model::{
    Kind, LabelRules, LabelWriter, Measured, NO_RECORDED_VALUE, PointReader, PointView, Shared, Value,
    measured, resolve_target,
};

/// How large a segment is about to be, in bytes.
const SEGMENT: usize = 16 << 20;
/// How long the labels of a series may be, in bytes.
const LONGEST_LABELS: usize = 64 << 10;
/// How long the labels of all series of a point may be, in bytes.
const LONGEST_POINT: usize = 8 << 20;
const TARGET_HELP: &str = "Target metadata";

/// Makes series of batches.
pub(super) struct Translator {
    rules: LabelRules,
    namer: MetricNamer,
    /// The name of `target_info`, if that is sent.
    target_info: Option<String>,
    created: bool,
    targets: Targets,
    segment: usize,
}

/// A part of a batch under way.
struct Taking<'a> {
    translator: &'a Translator,
    segment: Segment,
    refused: BTreeMap<Refusal, u64>,
    labels: LabelWriter<'a>,
    reader: PointReader,
    buffer: Vec<u8>,
    now: u64,
    /// How many points are still to be passed over.
    skip: usize,
    /// How many points were taken or refused.
    taken: usize,
}

/// What was made of a part of a batch.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) segment: Segment,
    /// Points that are not sent, and why.
    pub(super) refused: BTreeMap<Refusal, u64>,
    /// The number of the first point of the next part, if there is one.
    pub(super) next: Option<usize>,
}

impl Translator {
    pub(super) fn new(keys: &RemoteWriteKeys) -> Self {
        let namer = MetricNamer { namespace: keys.namespace.clone(), suffixes: keys.suffixes() };
        let plain = MetricNamer { suffixes: false, ..namer.clone() };
        Self {
            rules: keys.label_rules(),
            target_info: plain
                .name("target_info", "", MetricKind::Other)
                .filter(|_| keys.target_info.enabled),
            namer,
            created: keys.export_created_metric.enabled,
            targets: Targets::default(),
            segment: SEGMENT,
        }
    }

    /// The same with segments of another size.
    #[cfg(test)]
    pub(super) fn with_segments_of(mut self, bytes: usize) -> Self {
        self.segment = bytes;
        self
    }

    /// A request was sent, which the server is known to have or not.
    pub(super) fn sent(&self, request: &Request, written: bool) {
        request.targets().for_each(|(target, time)| self.targets.sent(target, time, written));
    }

    /// Makes series of the points of a batch from this number on, until a segment is full.
    pub(super) fn translate(&self, batch: &Batch, from: usize) -> Translated {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut taking = Taking {
            translator: self,
            segment: Segment::default(),
            refused: BTreeMap::new(),
            labels: LabelWriter::default(),
            reader: PointReader::default(),
            buffer: Vec::new(),
            now: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            skip: from,
            taken: 0,
        };
        let full = batch.chunks().iter().any(|chunk| taking.chunk(chunk.bytes()));
        let next = full.then_some(from + taking.taken);
        let lost = taking.segment.sort();
        if lost > 0 {
            *taking.refused.entry(Refusal::Duplicate).or_default() += lost;
        }
        Translated { segment: taking.segment, refused: taking.refused, next }
    }
}

impl<'a> Taking<'a> {
    /// Takes the points of a chunk; whether the segment is full.
    fn chunk(&mut self, data: &'a [u8]) -> bool {
        let translator = self.translator;
        for group in resource_groups(data) {
            let resource = group.resource();
            let of_resource = Shared::of_resource(&resource, &translator.rules);
            let mut newest = None;
            let mut full = false;
            'resource: for scope_group in group.scope_groups() {
                let shared = of_resource.with_scope(&scope_group, &translator.rules);
                for metric in scope_group.metrics() {
                    full = self.metric(&metric, &shared, &mut newest);
                    if full {
                        break 'resource;
                    }
                }
            }
            // Only of a target that has other series.
            if let Some(newest) = newest {
                self.target_info(&resource, newest);
            }
            if full {
                return true;
            }
        }
        false
    }

    fn metric(&mut self, metric: &Metric<'a>, shared: &Shared<'a>, newest: &mut Option<i64>) -> bool {
        match metric.data {
            MetricData::Empty => false,
            MetricData::Gauge(gauge) => self.points(metric, shared, gauge.data_points(), newest),
            MetricData::Sum(sum) => self.points(metric, shared, sum.data_points(), newest),
            MetricData::Histogram(data) => self.points(metric, shared, data.data_points(), newest),
            MetricData::ExponentialHistogram(data) => self.points(metric, shared, data.data_points(), newest),
            MetricData::Summary(summary) => self.points(metric, shared, summary.data_points(), newest),
        }
    }

    /// Takes points until the segment is full, which it returns. `newest` becomes the time of the newest that has a value.
    fn points<P: PointView<'a>>(
        &mut self,
        metric: &Metric<'a>,
        shared: &Shared<'a>,
        points: impl Iterator<Item = P> + Clone,
        newest: &mut Option<i64>,
    ) -> bool {
        if self.skip > 0 {
            let count = points.clone().count();
            if self.skip >= count {
                self.skip -= count;
                return false;
            }
        }
        // A metric without points takes no room, however many there are.
        if points.clone().next().is_none() {
            return false;
        }
        let target = self.target(metric, shared);
        for point in points.skip(std::mem::take(&mut self.skip)) {
            // A part has one point at least, however much is said of its metric.
            if self.taken > 0 && self.segment.bytes() >= self.translator.segment {
                return true;
            }
            self.taken += 1;
            let taken = match &target {
                Ok(target) => self.point(target, &point),
                Err(refusal) => Err(*refusal),
            };
            match taken {
                Ok(time) => *newest = time.max(*newest),
                Err(refusal) => *self.refused.entry(refusal).or_default() += 1,
            }
        }
        false
    }

    fn target<'s>(&mut self, metric: &Metric<'a>, shared: &'s Shared<'a>) -> Result<Target<'s, 'a>, Refusal> {
        let (kind, temporality) = Kind::of(&metric.data).ok_or(Refusal::Invalid)?;
        if temporality != Temporality::Cumulative {
            return Err(Refusal::Temporality);
        }
        let name = kind.name_of(metric, &self.translator.namer).ok_or(Refusal::Name)?;
        let names = Names::of(&name, kind);
        let unit = Unit::of(metric.unit.as_str()).main;
        let base = name.strip_suffix("_total").unwrap_or(&name);
        let unit = if base.ends_with(&unit) { unit } else { String::new() };
        let help = metric.description.as_str().to_owned();
        let family = self.segment.family(Family { name, kind, help, unit });
        Ok(Target { shared, family, kind, names })
    }

    /// Takes a point; returns its time unless its series has ended.
    fn point<P: PointView<'a>>(
        &mut self,
        target: &Target<'_, 'a>,
        point: &P,
    ) -> Result<Option<i64>, Refusal> {
        let head = point.head();
        let counts = target.kind != Kind::Gauge;
        let ended = head.flags & NO_RECORDED_VALUE != 0;
        let value =
            if ended { point.shape(&mut self.reader)? } else { point.value(&mut self.reader, counts)? };
        self.labels.resolve(target.shared, head.attributes, target.kind.reserved());
        let length: usize = self.labels.labels().map(|(name, value)| name.len() + value.len() + 8).sum();
        if length > LONGEST_LABELS || length.saturating_mul(value.series()) > LONGEST_POINT {
            return Err(Refusal::LabelsTooLong);
        }
        let time = if head.time == 0 { self.now } else { head.time };
        // A gauge counts nothing, so it is not counted from anywhere; nor does counting begin after its end.
        let start = if counts && !ended && head.start <= time { head.start } else { 0 };
        let moment = Moment { times: (milliseconds(start), milliseconds(time)), ended };
        let exemplars: Vec<Measured<'a>> =
            if counts && !ended { measured(head.exemplars).collect() } else { Vec::new() };
        match value {
            Value::Number(value) => self.number(target, moment, value, &exemplars),
            Value::Histogram(value) => self.histogram(target, moment, &value, &exemplars),
            Value::Exponential(value) => self.exponential(target, moment, value, &exemplars)?,
            Value::Summary(value) => self.summary(target, moment, &value),
        }
        if self.translator.created && start > 0 {
            let created = self.series(target, &target.names.created, None);
            let times = (0, moment.times.1);
            self.segment.push_sample(created, times, moment.times.0 as f64 / 1e3);
        }
        Ok((!ended).then_some(moment.times.1))
    }

    fn target_info(&mut self, resource: &Resource<'a>, newest: i64) {
        let translator = self.translator;
        let Some(name) = &translator.target_info else { return };
        // A point of a clock that is wrong must not hold back those that come after it.
        let newest = newest.min(milliseconds(self.now));
        if resolve_target(resource, &translator.rules, &mut self.labels).is_none() {
            return;
        }
        self.buffer.clear();
        write_series(name, None, self.labels.labels(), &mut self.buffer);
        if self.buffer.len() > LONGEST_LABELS {
            return;
        }
        let Some(target) = translator.targets.due(&self.buffer, newest) else { return };
        let (help, unit) = (TARGET_HELP.to_owned(), String::new());
        let family = self.segment.family(Family { name: name.clone(), kind: Kind::Gauge, help, unit });
        self.segment.push_target(target, family, &self.buffer, newest);
    }
}
