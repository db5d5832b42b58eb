//! `prometheus.WriteRequest` of remote write 1.0. Source: `remote.proto` and `types.proto` of Prometheus.

use std::collections::BTreeSet;

use sluice_protocols::protobuf::{write_double, write_message, write_varint};

use super::{Encoder, Parts, metric_type, write_histogram, write_sample, write_text};
use crate::prometheusremotewrite::segment::{Exemplar, Segment};

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// The families of the series, if they are told of.
    families: Option<BTreeSet<usize>>,
}

impl Writer {
    pub(super) fn new(metadata: bool) -> Self {
        Self { out: Vec::new(), families: metadata.then(BTreeSet::new) }
    }
}

impl Encoder for Writer {
    fn series(&mut self, segment: &Segment, parts: Parts<'_>) -> usize {
        if let Some(families) = &mut self.families {
            families.insert(parts.series.family);
        }
        write_message(&mut self.out, 1, |out| {
            out.extend_from_slice(segment.labels(parts.series));
            parts.samples.iter().for_each(|sample| write_sample(sample, false, out));
            parts.exemplars.iter().for_each(|exemplar| write_exemplar(exemplar, out));
            parts.histograms.iter().for_each(|sample| write_histogram(sample, 4, false, out));
        });
        1
    }

    fn size(&self) -> usize {
        self.out.len()
    }

    fn finish(&mut self, segment: &Segment) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        for family in self.families.as_mut().map(std::mem::take).into_iter().flatten() {
            let Some(family) = segment.families.get(family) else { continue };
            write_message(&mut out, 3, |out| {
                write_varint(out, 1, metric_type(family.kind));
                write_text(out, 2, &family.name);
                write_text(out, 4, &family.help);
                write_text(out, 5, &family.unit);
            });
        }
        out
    }
}

fn write_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    write_message(out, 3, |out| {
        out.extend_from_slice(&exemplar.labels);
        write_double(out, 2, exemplar.value);
        write_varint(out, 3, exemplar.time.cast_unsigned());
    });
}
