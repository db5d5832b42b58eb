//! The text formats: Prometheus 0.0.4 and OpenMetrics 1.0.0.

use std::fmt::Write;

use sluice_protocols::prometheus::escape;

use super::{
    Style,
    number::{write_canonical, write_seconds},
};
use crate::{
    prometheus::store::{About, Exemplar, Series, Target},
    prometheus_model::{Exponential, Histogram, Kind, Summary, Value, bucket_of, number_text, write_number},
};

/// Writes one of the two formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextWriter {
    pub(super) style: Style,
    /// OpenMetrics rather than 0.0.4.
    pub(super) open_metrics: bool,
}

impl TextWriter {
    /// What stands before the samples of a family.
    pub(super) fn family(self, about: &About, out: &mut String) {
        let name = if self.open_metrics { about.base() } else { &about.name };
        self.head(name, about.kind.name(), &about.help, out);
        let unit = &*about.unit;
        let ends_in_unit =
            !unit.is_empty() && name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if self.open_metrics && ends_in_unit {
            // Writing into a string does not fail.
            let _ = writeln!(out, "# UNIT {name} {unit}");
        }
    }

    /// What stands before the targets.
    pub(super) fn targets(self, name: &str, out: &mut String) {
        let help = super::TARGET_HELP;
        match name.strip_suffix("_info").filter(|_| self.open_metrics) {
            Some(base) => self.head(base, "info", help, out),
            None => self.head(name, "gauge", help, out),
        }
    }

    /// A target.
    pub(super) fn target(self, name: &str, target: &Target, out: &mut String) {
        let sample = Sample { name, suffix: "", labels: &target.labels, extra: None };
        self.sample(sample, "1", target.time, None, out);
    }

    /// The samples of a series.
    pub(super) fn series(self, about: &About, series: &Series, out: &mut String) {
        let name = if self.open_metrics { about.base() } else { &about.name };
        let sample = |suffix| Sample { name, suffix, labels: &series.labels, extra: None };
        match &series.value {
            Value::Number(value) => {
                let counted = self.open_metrics && about.kind == Kind::Counter;
                let exemplar = series.exemplars.first().filter(|_| counted);
                let suffix = if counted { "_total" } else { "" };
                self.sample(sample(suffix), &number_text(*value), series.time, exemplar, out);
            }
            Value::Histogram(histogram) => self.histogram(name, series, histogram, out),
            Value::Exponential(histogram) => self.exponential(name, series, histogram, out),
            Value::Summary(summary) => self.summary(name, series, summary, out),
        }
        if self.open_metrics && about.kind != Kind::Gauge && series.start > 0 {
            let mut created = String::new();
            write_seconds(&mut created, series.start);
            self.sample(sample("_created"), &created, series.time, None, out);
        }
    }

    fn histogram(self, name: &str, series: &Series, histogram: &Histogram, out: &mut String) {
        let bounds = &histogram.bounds;
        let mut exemplars = series.exemplars.iter().peekable();
        // They stand in the order of their buckets.
        let mut exemplar_of =
            |bucket: usize| exemplars.next_if(|exemplar| bucket_of(&bounds.values, exemplar.value) == bucket);
        let mut cumulative: u64 = 0;
        for (bucket, (text, count)) in bounds.texts.iter().zip(&histogram.counts).enumerate() {
            cumulative = cumulative.saturating_add(*count);
            self.bucket(name, series, text, cumulative, exemplar_of(bucket), out);
        }
        self.bucket(name, series, "+Inf", histogram.count, exemplar_of(bounds.texts.len()), out);
        self.sum_and_count(name, series, histogram.sum, histogram.count, out);
    }

    /// The formats have no exponential buckets: what is left is one bucket for all.
    fn exponential(self, name: &str, series: &Series, histogram: &Exponential, out: &mut String) {
        let newest = series.exemplars.iter().max_by_key(|exemplar| exemplar.time);
        self.bucket(name, series, "+Inf", histogram.count, newest, out);
        self.sum_and_count(name, series, histogram.sum, histogram.count, out);
    }

    fn bucket(
        self,
        name: &str,
        series: &Series,
        bound: &str,
        count: u64,
        exemplar: Option<&Exemplar>,
        out: &mut String,
    ) {
        let sample = Sample { name, suffix: "_bucket", labels: &series.labels, extra: Some(("le", bound)) };
        let exemplar = exemplar.filter(|_| self.open_metrics);
        self.sample(sample, &integer(count), series.time, exemplar, out);
    }

    fn summary(self, name: &str, series: &Series, summary: &Summary, out: &mut String) {
        for (quantile, value) in &summary.quantiles {
            let quantile = number_text(*quantile);
            let extra = Some(("quantile", quantile.as_str()));
            let sample = Sample { name, suffix: "", labels: &series.labels, extra };
            self.sample(sample, &number_text(*value), series.time, None, out);
        }
        self.sum_and_count(name, series, Some(summary.sum), summary.count, out);
    }

    fn sum_and_count(self, name: &str, series: &Series, sum: Option<f64>, count: u64, out: &mut String) {
        let sample = |suffix| Sample { name, suffix, labels: &series.labels, extra: None };
        if let Some(sum) = sum {
            self.sample(sample("_sum"), &number_text(sum), series.time, None, out);
        }
        self.sample(sample("_count"), &integer(count), series.time, None, out);
    }

    fn head(self, name: &str, kind: &str, help: &str, out: &mut String) {
        out.push_str("# HELP ");
        out.push_str(name);
        out.push(' ');
        if self.open_metrics {
            escape(help, out);
        } else {
            out.push_str(&help.replace('\\', "\\\\").replace('\n', "\\n"));
        }
        out.push_str("\n# TYPE ");
        out.push_str(name);
        out.push(' ');
        out.push_str(kind);
        out.push('\n');
    }

    fn sample(
        self,
        sample: Sample<'_>,
        value: &str,
        time: u64,
        exemplar: Option<&Exemplar>,
        out: &mut String,
    ) {
        sample.write(self.open_metrics, out);
        out.push(' ');
        out.push_str(value);
        if self.style.timestamps {
            out.push(' ');
            if self.open_metrics {
                write_seconds(out, time);
            } else {
                out.push_str(&integer(time / 1_000_000));
            }
        }
        if let Some(exemplar) = exemplar {
            out.push_str(" # {");
            out.push_str(&exemplar.labels);
            out.push_str("} ");
            write_number(out, exemplar.value);
            if exemplar.time > 0 {
                out.push(' ');
                write_seconds(out, exemplar.time);
            }
        }
        out.push('\n');
    }
}

/// The name and labels of a sample.
struct Sample<'a> {
    name: &'a str,
    suffix: &'a str,
    labels: &'a str,
    extra: Option<(&'a str, &'a str)>,
}

impl Sample<'_> {
    fn write(&self, open_metrics: bool, out: &mut String) {
        out.push_str(self.name);
        out.push_str(self.suffix);
        if self.labels.is_empty() && self.extra.is_none() {
            return;
        }
        out.push('{');
        out.push_str(self.labels);
        if let Some((name, value)) = self.extra {
            if !self.labels.is_empty() {
                out.push(',');
            }
            out.push_str(name);
            out.push_str("=\"");
            if open_metrics {
                write_canonical(out, value);
            } else {
                out.push_str(value);
            }
            out.push('"');
        }
        out.push('}');
    }
}

/// Digits on the way into a sample.
fn integer(number: u64) -> String {
    number.to_string()
}
