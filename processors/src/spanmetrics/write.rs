//! Writes series as OTLP metrics.

use sluice_pipeline::{Chunk, budget::Budget, otlp::write::Writer};

use super::{
    dimensions::write_key,
    histogram::{Buckets, Exponential, Histogram},
    table::{Exemplar, Series, Table, Tally},
};

/// The name of the instrumentation scope, as the Collector's.
const SCOPE: &str = "spanmetricsconnector";
/// How many data points a metric has before the next one of its name begins.
const POINTS: usize = 500;
/// How many bytes a chunk has before the next one begins.
const CHUNK: usize = 256 << 10;
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// Metrics that are being written.
#[derive(Default)]
pub(super) struct Document {
    bytes: Vec<u8>,
    points: usize,
    finished: Vec<(Vec<u8>, usize)>,
}

/// The times of data points, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Since when deltas count; without it values count from the begin of their series.
    pub(super) since: Option<u64>,
    pub(super) now: u64,
}

impl Document {
    /// Adds a metric of a resource, if it has series; `bounds` are those of explicit histograms.
    pub(super) fn metric(
        &mut self,
        resource: &[u8],
        name: &str,
        unit: &str,
        table: &Table,
        times: Times,
        bounds: &[f64],
    ) {
        let mut series: Vec<(&[u8], &Series)> = Vec::with_capacity(POINTS.min(table.len()));
        let mut all = table.iter();
        loop {
            series.clear();
            series.extend(all.by_ref().take(POINTS));
            if series.is_empty() {
                return;
            }
            write(&mut self.bytes, resource, (name, unit), &series, times, bounds);
            self.points += series.len();
            if self.bytes.len() >= CHUNK {
                self.cut();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points == 0 && self.finished.is_empty()
    }

    /// Whether there is enough to be sent.
    pub(super) fn is_full(&self) -> bool {
        !self.finished.is_empty()
    }

    /// What is enough to be sent.
    pub(super) fn take(&mut self, budget: &Budget) -> Vec<Chunk> {
        let chunks = std::mem::take(&mut self.finished).into_iter().map(|(bytes, points)| {
            let charge = budget.charge_anyway(bytes.len() as u64);
            Chunk::new(bytes.into(), points).with_charge(charge)
        });
        chunks.collect()
    }

    /// All that is there.
    pub(super) fn take_all(&mut self, budget: &Budget) -> Vec<Chunk> {
        self.cut();
        self.take(budget)
    }

    fn cut(&mut self) {
        if self.points > 0 {
            self.finished.push((std::mem::take(&mut self.bytes), std::mem::take(&mut self.points)));
        }
    }
}

fn write(
    bytes: &mut Vec<u8>,
    resource: &[u8],
    (name, unit): (&str, &str),
    series: &[(&[u8], &Series)],
    times: Times,
    bounds: &[f64],
) {
    let temporality = if times.since.is_some() { DELTA } else { CUMULATIVE };
    Writer::new(bytes).message(1, |group| {
        group.bytes(1, resource);
        group.message(2, |scope_group| {
            scope_group.message(1, |scope| scope.bytes(1, SCOPE.as_bytes()));
            scope_group.message(2, |metric| {
                metric.bytes(1, name.as_bytes());
                if !unit.is_empty() {
                    metric.bytes(3, unit.as_bytes());
                }
                let number = match series.first().map(|(_, series)| &series.tally) {
                    Some(Tally::Durations(Histogram { buckets: Buckets::Explicit(_), .. })) => 9,
                    Some(Tally::Durations(_)) => 10,
                    Some(Tally::Count(_)) | None => 7,
                };
                metric.message(number, |data| {
                    for (key, series) in series {
                        data.message(1, |point| write_point(point, key, series, times, bounds));
                    }
                    data.varint(2, temporality);
                    if number == 7 {
                        data.varint(3, 1);
                    }
                });
            });
        });
    });
}

fn write_point(point: &mut Writer<'_>, key: &[u8], series: &Series, times: Times, bounds: &[f64]) {
    point.fixed64(2, times.since.unwrap_or(series.begun));
    point.fixed64(3, times.now);
    match &series.tally {
        Tally::Count(count) => {
            point.fixed64(6, *count);
            write_key(key, 7, point);
        }
        Tally::Durations(histogram) => {
            point.fixed64(4, histogram.count);
            point.double(5, histogram.sum);
            match &histogram.buckets {
                Buckets::Explicit(counts) => {
                    point.bytes(6, &packed(counts.iter().map(|count| count.to_le_bytes())));
                    point.bytes(7, &packed(bounds.iter().map(|bound| bound.to_le_bytes())));
                    series.exemplars.iter().for_each(|exemplar| write_exemplar(point, 8, exemplar));
                    write_key(key, 9, point);
                }
                Buckets::Exponential(buckets) => {
                    write_key(key, 1, point);
                    write_exponential(point, buckets);
                    series.exemplars.iter().for_each(|exemplar| write_exemplar(point, 11, exemplar));
                }
            }
        }
    }
}

fn write_exponential(point: &mut Writer<'_>, buckets: &Exponential) {
    point.zigzag(6, buckets.scale.into());
    point.fixed64(7, buckets.zeros);
    if !buckets.counts.is_empty() {
        point.message(8, |positive| {
            positive.zigzag(1, buckets.offset.into());
            let mut counts = Vec::with_capacity(buckets.counts.len());
            for count in &buckets.counts {
                sluice_pipeline::otlp::write::varint(&mut counts, *count);
            }
            positive.bytes(2, &counts);
        });
    }
}

fn write_exemplar(point: &mut Writer<'_>, number: u32, exemplar: &Exemplar) {
    point.message(number, |writer| {
        writer.fixed64(2, exemplar.time);
        writer.double(3, exemplar.value);
        writer.bytes(4, &exemplar.span_id);
        writer.bytes(5, &exemplar.trace_id);
    });
}

fn packed(numbers: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    numbers.flatten().collect()
}
