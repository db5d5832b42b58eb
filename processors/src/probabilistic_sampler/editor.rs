//! Walks a batch, drops what is not sampled, and writes on the rest how it was.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    rewrite::{Editor, Part, Visit, value},
    view::{AnyValue, Attributes, LogRecord, Span, View},
};

use super::{
    carried::{Carried, RANDOMNESS_ATTRIBUTE, THRESHOLD_ATTRIBUTE},
    config::{AttributeSource, ProbabilisticSamplerConfig},
    metrics::Counts,
    number::Threshold,
    sampler::{Sampler, Subject},
};

/// The field of a span with its `tracestate`.
const TRACE_STATE: u32 = 3;
/// The attribute of a span that decides whatever the percentage (OpenTracing's semantic conventions).
const SPAN_PRIORITY: &[u8] = b"sampling.priority";

/// Samples spans.
pub(super) struct Spans<'a> {
    sampler: &'a Sampler,
    pub(super) counts: Counts,
}

/// Samples log records.
pub(super) struct Records<'a> {
    sampler: &'a Sampler,
    config: &'a ProbabilisticSamplerConfig,
    pub(super) counts: Counts,
}

impl<'a> Spans<'a> {
    pub(super) fn new(sampler: &'a Sampler) -> Self {
        Self { sampler, counts: Counts::default() }
    }
}

impl Editor for Spans<'_> {
    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        let span = Span::of(item.bytes());
        let verdict = self.sampler.decide(Subject {
            trace_id: span.trace_id,
            attribute: None,
            carried: Carried::of_trace_state(span.trace_state),
            priority: find(span.attributes(), SPAN_PRIORITY).and_then(span_priority),
        });
        self.counts.add(verdict.policy, verdict.kept);
        if !verdict.kept {
            return Visit::Drop;
        }
        if let Some(carries) = verdict.carries {
            let trace_state = carries.trace_state(span.trace_state);
            if trace_state != span.trace_state {
                item.set(TRACE_STATE, |writer| writer.bytes(TRACE_STATE, &trace_state));
            }
        }
        Visit::Keep
    }
}

impl<'a> Records<'a> {
    pub(super) fn new(sampler: &'a Sampler, config: &'a ProbabilisticSamplerConfig) -> Self {
        Self { sampler, config, counts: Counts::default() }
    }

    fn priority(&self, attributes: Attributes<'_>) -> Option<Threshold> {
        let key = self.config.sampling_priority.as_bytes();
        if key.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "beyond a hundred it makes no difference")]
        let percentage = match find(attributes, key)? {
            AnyValue::Int(number) => number as f64,
            AnyValue::Double(number) => number,
            _ => return None,
        };
        match percentage {
            0.0 => Some(Threshold::NEVER),
            100.0.. => Some(Threshold::ALWAYS),
            some => Threshold::of_probability(some / 100.0, self.config.sampling_precision),
        }
    }
}

impl Editor for Records<'_> {
    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        let record = LogRecord::of(item.bytes());
        let attributes = record.attributes();
        let source = find(attributes, self.config.from_attribute.as_bytes()).map(bytes);
        let by_trace = self.config.attribute_source == AttributeSource::TraceId;
        let verdict = self.sampler.decide(Subject {
            trace_id: if by_trace { record.trace_id } else { b"" },
            attribute: source.as_deref(),
            carried: Carried::of_texts(
                text(attributes, THRESHOLD_ATTRIBUTE),
                text(attributes, RANDOMNESS_ATTRIBUTE),
            ),
            priority: self.priority(attributes),
        });
        self.counts.add(verdict.policy, verdict.kept);
        if !verdict.kept {
            return Visit::Drop;
        }
        if let (Some(carries), Some(attributes)) = (verdict.carries, item.attributes()) {
            if let Some(threshold) = carries.threshold.and_then(Threshold::text) {
                attributes.upsert(THRESHOLD_ATTRIBUTE, &value::string(threshold.as_bytes()));
            }
            if let Some(randomness) = carries.randomness {
                attributes.upsert(RANDOMNESS_ATTRIBUTE, &value::string(randomness.text().as_bytes()));
            }
        }
        Visit::Keep
    }
}

fn find<'a>(mut attributes: Attributes<'a>, key: &[u8]) -> Option<AnyValue<'a>> {
    attributes.find(|pair| pair.key == key).map(|pair| pair.value)
}

fn text<'a>(attributes: Attributes<'a>, key: &[u8]) -> Option<&'a [u8]> {
    match find(attributes, key)? {
        AnyValue::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn bytes(value: AnyValue<'_>) -> Cow<'_, [u8]> {
    match value {
        AnyValue::Bytes(bytes) | AnyValue::String(bytes) => Cow::Borrowed(bytes),
        other => Cow::Owned(other.text().into_owned().into_bytes()),
    }
}

/// Above 0 it is kept, at 0 it is dropped, whatever type translations have left the number with.
fn span_priority(value: AnyValue<'_>) -> Option<Threshold> {
    #[expect(clippy::cast_precision_loss, reason = "only its sign matters")]
    let priority = match value {
        AnyValue::Int(number) => number as f64,
        AnyValue::Double(number) => number,
        AnyValue::String(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    match priority {
        0.0 => Some(Threshold::NEVER),
        priority if priority > 0.0 => Some(Threshold::ALWAYS),
        _ => None,
    }
}
