//! Requests of remote write: segments in protobuf, cut where they grow too large.

mod split;
mod v1;
mod v2;

use sluice_pipeline::compression::{CompressError, Encoding, compress};
use sluice_protocols::protobuf::{write_bytes, write_double, write_message, write_varint};

use super::{
    config::ProtobufMessage,
    segment::{Exemplar, Native, Sample, Segment, Series},
    targets::Target,
};
use crate::prometheus_model::{Kind, ZERO_THRESHOLD, write_side, write_signed};

/// The header that says which version of remote write a request is.
pub(super) const VERSION_HEADER: &str = "x-prometheus-remote-write-version";

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The message, compressed as a block of Snappy.
    pub(super) body: bytes::Bytes,
    /// How many bytes it is before compression.
    pub(super) size: usize,
    pub(super) holds: Holds,
    /// Its series in order.
    pub(super) series: Vec<Held>,
    /// How many times it was halved.
    pub(super) depth: u32,
}

/// What a request holds of a series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// How many messages.
    messages: usize,
    holds: Holds,
    /// Whose `target_info` it is, and its last time in milliseconds.
    target: Option<(Target, i64)>,
}

/// How much a request or series holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
    /// Data points of OTLP.
    pub(super) points: u64,
}

/// What belongs to a series of a segment.
#[derive(Clone, Copy)]
struct Parts<'s> {
    series: &'s Series,
    samples: &'s [Sample<f64>],
    histograms: &'s [Sample<Native>],
    exemplars: &'s [Exemplar],
}

/// Writes series into messages.
trait Encoder {
    /// Writes a series; returns how many messages that made.
    fn series(&mut self, segment: &Segment, parts: Parts<'_>) -> usize;
    /// How many bytes are written.
    fn size(&self) -> usize;
    /// The message; begins another.
    fn finish(&mut self, segment: &Segment) -> Vec<u8>;
}

impl ProtobufMessage {
    /// What the content is.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The value of [`VERSION_HEADER`].
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }

    /// The number of the field that has the series.
    const fn series_field(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 5,
        }
    }
}

impl Holds {
    pub(super) fn add(&mut self, more: Self) {
        self.samples += more.samples;
        self.histograms += more.histograms;
        self.exemplars += more.exemplars;
        self.points += more.points;
    }

    /// What is missing of it where only this is there.
    pub(super) const fn without(self, less: Self) -> Self {
        Self {
            samples: self.samples.saturating_sub(less.samples),
            histograms: self.histograms.saturating_sub(less.histograms),
            exemplars: self.exemplars.saturating_sub(less.exemplars),
            points: 0,
        }
    }
}

/// The requests for a segment, each about as large as `size` bytes before compression.
pub(super) fn requests(
    segment: &Segment,
    message: ProtobufMessage,
    metadata: bool,
    size: usize,
) -> Result<Vec<Request>, CompressError> {
    match message {
        ProtobufMessage::V1 => cut(segment, v1::Writer::new(metadata), size),
        ProtobufMessage::V2 => cut(segment, v2::Writer::default(), size),
    }
}

fn cut(segment: &Segment, mut encoder: impl Encoder, size: usize) -> Result<Vec<Request>, CompressError> {
    let mut requests = Vec::new();
    let mut held = Vec::new();
    let (mut samples, mut histograms, mut exemplars) =
        (&*segment.samples, &*segment.histograms, &*segment.exemplars);
    for (index, series) in segment.series.iter().enumerate() {
        let parts = Parts {
            series,
            samples: split_off(&mut samples, |sample| sample.series == index),
            histograms: split_off(&mut histograms, |sample| sample.series == index),
            exemplars: split_off(&mut exemplars, |exemplar| exemplar.series == index),
        };
        let messages = encoder.series(segment, parts);
        held.push(Held { messages, holds: parts.holds(), target: parts.target() });
        if encoder.size() >= size {
            requests.push(Request::new(encoder.finish(segment), std::mem::take(&mut held), 0)?);
        }
    }
    if !held.is_empty() {
        requests.push(Request::new(encoder.finish(segment), held, 0)?);
    }
    Ok(requests)
}

/// Takes from the front what fits.
fn split_off<'s, T>(rest: &mut &'s [T], fits: impl Fn(&T) -> bool) -> &'s [T] {
    let end = rest.iter().position(|item| !fits(item)).unwrap_or(rest.len());
    let (front, back) = rest.split_at(end);
    *rest = back;
    front
}

impl Request {
    fn new(message: Vec<u8>, series: Vec<Held>, depth: u32) -> Result<Self, CompressError> {
        let size = message.len();
        let body = compress(Encoding::Snappy, None, &[message.into()])?.into();
        let mut holds = Holds::default();
        series.iter().for_each(|series| holds.add(series.holds));
        Ok(Self { body, size, holds, series, depth })
    }

    /// Whose `target_info` it has, with the last time of each.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Target, i64)> {
        self.series.iter().filter_map(|series| series.target)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.series.len() * size_of::<Held>()
    }
}

impl Parts<'_> {
    fn target(&self) -> Option<(Target, i64)> {
        Some((self.series.target?, self.samples.last()?.time))
    }

    fn holds(&self) -> Holds {
        Holds {
            samples: self.samples.len() as u64,
            histograms: self.histograms.len() as u64,
            exemplars: self.exemplars.len() as u64,
            points: self.series.points,
        }
    }
}

/// The number of a kind in `MetricType` of both versions.
const fn metric_type(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::Summary => 5,
    }
}

/// Writes a `Sample`. Only 2.0 has the start.
fn write_sample(sample: &Sample<f64>, with_start: bool, out: &mut Vec<u8>) {
    write_message(out, 2, |out| {
        write_double(out, 1, sample.value);
        write_varint(out, 2, sample.time.cast_unsigned());
        if with_start && sample.start > 0 {
            write_varint(out, 3, sample.start.cast_unsigned());
        }
    });
}

/// Writes a `Histogram`, in both versions the same but for the start and the field that it is.
fn write_histogram(sample: &Sample<Native>, field: u32, with_start: bool, out: &mut Vec<u8>) {
    write_message(out, field, |out| {
        match &sample.value {
            Some(histogram) => {
                write_varint(out, 1, histogram.count);
                write_double(out, 3, histogram.sum.unwrap_or_default());
                write_signed(out, 4, i64::from(histogram.scale));
                let threshold = histogram.zero_threshold;
                write_double(out, 5, if threshold > 0.0 { threshold } else { ZERO_THRESHOLD });
                write_varint(out, 6, histogram.zero_count);
                write_side(&histogram.negative, (8, 9), true, out);
                write_side(&histogram.positive, (11, 12), true, out);
            }
            // What says that the series has ended is the sum.
            None => {
                write_varint(out, 1, 0);
                write_double(out, 3, sluice_protocols::prometheus::STALE);
                write_varint(out, 6, 0);
            }
        }
        write_varint(out, 15, sample.time.cast_unsigned());
        if with_start && sample.start > 0 {
            write_varint(out, 17, sample.start.cast_unsigned());
        }
    });
}

fn write_text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        write_bytes(out, field, text.as_bytes());
    }
}
