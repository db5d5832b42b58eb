//! Verbosity `normal`: a line for each item, below lines for resource and scope.

use std::fmt::Write;

use sluice_pipeline::{
    Signal,
    otlp::view::{
        AnyValue, Attributes, Dictionary, ExponentialHistogramDataPoint, HistogramDataPoint, LogRecord,
        Metric, MetricData, Number, NumberDataPoint, Profile, ScopeGroup, Span, SummaryDataPoint, Text,
        resource_groups,
    },
};

use super::{
    buckets::bounds,
    text::{Id, line, missing, resolved},
};

/// Prints one encoded message of the signal.
pub(super) fn print(signal: Signal, message: &[u8], out: &mut String) {
    let dictionary = match signal {
        Signal::Profiles => Dictionary::of_profiles_data(message),
        _ => Dictionary::default(),
    };
    let (resource_name, scope_name) = match signal {
        Signal::Traces => ("ResourceTraces", "ScopeTraces"),
        Signal::Metrics => ("ResourceMetrics", "ScopeMetrics"),
        Signal::Logs => ("ResourceLog", "ScopeLog"),
        Signal::Profiles => ("ResourceProfiles", "ScopeProfiles"),
    };
    for (index, group) in resource_groups(message).enumerate() {
        let attributes = pairs(group.resource().attributes(), &dictionary, " ");
        let schema = bracketed(group.schema_url().as_str());
        line(out, format_args!("{resource_name} #{index}{}", spaced(&[&schema, &attributes])));
        for (index, group) in group.scope_groups().enumerate() {
            let scope = group.scope();
            let mut name = scope.name.as_str().to_owned();
            if !scope.version.is_empty() {
                name = format!("{name}@{}", scope.version.as_str());
            }
            let schema = bracketed(group.schema_url().as_str());
            let attributes = pairs(scope.attributes(), &dictionary, " ");
            line(out, format_args!("{scope_name} #{index}{}", spaced(&[&name, &schema, &attributes])));
            items(signal, group, &dictionary, out);
        }
    }
}

fn items(signal: Signal, group: ScopeGroup<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    match signal {
        Signal::Traces => group.spans().for_each(|item| span(item, out)),
        Signal::Metrics => group.metrics().for_each(|item| metric(item, out)),
        Signal::Logs => group.log_records().for_each(|item| log_record(item, out)),
        Signal::Profiles => group.profiles().for_each(|item| profile(item, dictionary, out)),
    }
}

fn span(span: Span<'_>, out: &mut String) {
    let attributes = plain_pairs(span.attributes(), " ");
    line(out, format_args!("{} {} {} {attributes}", span.name.as_str(), Id(span.trace_id), Id(span.span_id)));
}

fn log_record(record: LogRecord<'_>, out: &mut String) {
    let body = record.body().unwrap_or_default();
    line(out, format_args!("{} {}", body.text(), plain_pairs(record.attributes(), " ")));
}

fn profile(profile: Profile<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    let mut attributes = String::new();
    for index in profile.attribute_indices() {
        attributes.push(' ');
        match dictionary.attribute(index) {
            Some(attribute) => pair(attribute.key.as_str(), attribute.value, &mut attributes),
            None => attributes.push_str(&missing(index)),
        }
    }
    let samples = profile.samples().count();
    line(out, format_args!("{} samples={samples}{attributes}", Id(profile.profile_id)));
}

fn metric(metric: Metric<'_>, out: &mut String) {
    let mut point = |attributes: Attributes<'_>, value: String| {
        let attributes = plain_pairs(attributes, ",");
        line(out, format_args!("{}{{{attributes}}} {value}", metric.name.as_str()));
    };
    match metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|each| point(each.attributes(), number(each)))
        }
        MetricData::Sum(sum) => sum.data_points().for_each(|each| point(each.attributes(), number(each))),
        MetricData::Histogram(data) => {
            data.data_points().for_each(|each| point(each.attributes(), histogram(each)));
        }
        MetricData::ExponentialHistogram(data) => {
            data.data_points().for_each(|each| point(each.attributes(), exponential_histogram(each)));
        }
        MetricData::Summary(data) => {
            data.data_points().for_each(|each| point(each.attributes(), summary(each)))
        }
    }
}

fn number(point: NumberDataPoint<'_>) -> String {
    match point.value {
        Some(Number::Int(value)) => value.to_string(),
        Some(Number::Double(value)) => value.to_string(),
        None => String::new(),
    }
}

fn histogram(point: HistogramDataPoint<'_>) -> String {
    let mut text = totals(point.count, point.sum, point.min, point.max);
    let mut bounds = point.explicit_bounds();
    for count in point.bucket_counts() {
        let _ = match bounds.next() {
            Some(bound) => write!(text, " le{bound}={count}"),
            None => write!(text, " {count}"),
        };
    }
    text
}

fn exponential_histogram(point: ExponentialHistogramDataPoint<'_>) -> String {
    let mut text = totals(point.count, point.sum, point.min, point.max);
    let mut negative: Vec<_> = bounds(point.scale, point.negative()).collect();
    negative.reverse();
    for (lower, _, count) in negative {
        let _ = write!(text, " le{}={count}", -lower);
    }
    if point.zero_count != 0 {
        let _ = write!(text, " le{}={}", point.zero_threshold, point.zero_count);
    }
    for (_, upper, count) in bounds(point.scale, point.positive()) {
        let _ = write!(text, " le{upper}={count}");
    }
    text
}

fn summary(point: SummaryDataPoint<'_>) -> String {
    let mut text = format!("count={} sum={}", point.count, point.sum);
    for pair in point.quantile_values() {
        let _ = write!(text, " q{}={}", pair.quantile, pair.value);
    }
    text
}

fn totals(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut text = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

fn bracketed(schema_url: &str) -> String {
    if schema_url.is_empty() { String::new() } else { format!("[{schema_url}]") }
}

/// What is there, a space before each.
fn spaced(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).fold(String::new(), |text, part| text + " " + part)
}

fn plain_pairs(attributes: Attributes<'_>, separator: &str) -> String {
    pairs(attributes, &Dictionary::default(), separator)
}

fn pairs(attributes: Attributes<'_>, dictionary: &Dictionary<'_>, separator: &str) -> String {
    let mut text = String::new();
    for (index, (key, value)) in resolved(attributes, dictionary).enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        pair(&key, value, &mut text);
    }
    text
}

fn pair(key: &str, value: AnyValue<'_>, out: &mut String) {
    let _ = write!(out, "{key}={}", value.text());
}
