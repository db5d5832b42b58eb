//! `io.prometheus.write.v2.Request` of remote write 2.0. Source: its specification, and `types.proto` of Prometheus.
//!
//! When counting began is said twice: of each sample, as the specification has it now, and of the series, as servers
//! before that read it. So a series whose counting began anew is several messages.

use std::collections::HashMap;

use sluice_protocols::protobuf::{
    Fields, Value, write_bytes, write_double, write_message, write_raw_varint, write_varint,
};

use super::{Encoder, Parts, metric_type, write_histogram, write_sample};
use crate::prometheusremotewrite::segment::{Exemplar, Sample, Segment};

/// Writes messages.
#[derive(Debug, Default)]
pub(super) struct Writer {
    symbols: Symbols,
    out: Vec<u8>,
}

/// The texts of a message, each once. The first is empty.
#[derive(Debug, Default)]
struct Symbols {
    known: HashMap<Box<[u8]>, u64>,
    out: Vec<u8>,
}

/// A message of a series without its samples.
struct Head {
    refs: Vec<u8>,
    metadata: Vec<u8>,
}

impl Encoder for Writer {
    fn series(&mut self, segment: &Segment, parts: Parts<'_>) -> usize {
        let head = Head {
            refs: self.symbols.labels(segment.labels(parts.series)),
            metadata: self.metadata(segment, parts.series.family),
        };
        let mut exemplars = parts.exemplars;
        let mut messages = 0;
        // Either samples or histograms, and each with one start.
        for samples in runs(parts.samples) {
            self.message(&head, samples, std::mem::take(&mut exemplars), |sample, out| {
                write_sample(sample, true, out);
            });
            messages += 1;
        }
        for histograms in runs(parts.histograms) {
            self.message(&head, histograms, std::mem::take(&mut exemplars), |sample, out| {
                write_histogram(sample, 3, true, out);
            });
            messages += 1;
        }
        messages
    }

    fn size(&self) -> usize {
        self.symbols.out.len() + self.out.len()
    }

    fn finish(&mut self, _segment: &Segment) -> Vec<u8> {
        let mut message = std::mem::take(&mut self.symbols).out;
        message.append(&mut self.out);
        message
    }
}

impl Writer {
    fn message<V>(
        &mut self,
        head: &Head,
        samples: &[Sample<V>],
        exemplars: &[Exemplar],
        write: impl Fn(&Sample<V>, &mut Vec<u8>),
    ) {
        let symbols = &mut self.symbols;
        write_message(&mut self.out, 5, |out| {
            write_bytes(out, 1, &head.refs);
            samples.iter().for_each(|sample| write(sample, out));
            for exemplar in exemplars {
                let refs = symbols.labels(&exemplar.labels);
                write_message(out, 4, |out| {
                    if !refs.is_empty() {
                        write_bytes(out, 1, &refs);
                    }
                    write_double(out, 2, exemplar.value);
                    write_varint(out, 3, exemplar.time.cast_unsigned());
                });
            }
            write_bytes(out, 5, &head.metadata);
            if let Some(start) = samples.first().map(|sample| sample.start).filter(|start| *start > 0) {
                write_varint(out, 6, start.cast_unsigned());
            }
        });
    }

    fn metadata(&mut self, segment: &Segment, family: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(family) = segment.families.get(family) {
            write_varint(&mut out, 1, metric_type(family.kind));
            for (field, text) in [(3, &family.help), (4, &family.unit)] {
                if !text.is_empty() {
                    write_varint(&mut out, field, self.symbols.reference(text.as_bytes()));
                }
            }
        }
        out
    }
}

impl Symbols {
    /// The number of a text.
    fn reference(&mut self, text: &[u8]) -> u64 {
        if self.known.is_empty() {
            self.add(&[]);
        }
        match self.known.get(text) {
            Some(number) => *number,
            None => self.add(text),
        }
    }

    fn add(&mut self, text: &[u8]) -> u64 {
        let number = self.known.len() as u64;
        self.known.insert(text.into(), number);
        write_bytes(&mut self.out, 4, text);
        number
    }

    /// The numbers of names and values of labels (see [`Segment::labels`]), packed.
    fn labels(&mut self, labels: &[u8]) -> Vec<u8> {
        let mut refs = Vec::new();
        let texts = |message| Fields::of(message).filter_map(|field| field.ok());
        for (_, label) in texts(labels) {
            let Value::Bytes(label) = label else { continue };
            for (_, text) in texts(label) {
                if let Value::Bytes(text) = text {
                    write_raw_varint(&mut refs, self.reference(text));
                }
            }
        }
        refs
    }
}

/// Samples that follow each other and have the same start.
fn runs<V>(samples: &[Sample<V>]) -> impl Iterator<Item = &[Sample<V>]> {
    samples.chunk_by(|one, other| one.start == other.start)
}
