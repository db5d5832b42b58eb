//! Profiles. Indices are looked up, where the Collector prints the dictionary and leaves that to the reader.

use std::borrow::Cow;

use sluice_pipeline::otlp::view::{Dictionary, Int32, Location, Numbers, Profile, Sample, Text, ValueType};

use super::{
    super::text::{Id, Time, Typed, line, missing},
    traces::property,
};

pub(super) fn profile((index, profile): (usize, Profile<'_>), dictionary: &Dictionary<'_>, out: &mut String) {
    line(out, format_args!("Profile #{index}"));
    property("Profile ID", Id(profile.profile_id), out);
    property("Start time", Time(profile.time_unix_nano), out);
    property("DurationNano", profile.duration_nano, out);
    property("Sample type", value_type(profile.sample_type(), dictionary), out);
    property("Period type", value_type(profile.period_type(), dictionary), out);
    property("Period", profile.period, out);
    property("Dropped attributes count", profile.dropped_attributes_count, out);
    attributes("    ", profile.attribute_indices(), dictionary, out);
    for (index, each) in profile.samples().enumerate() {
        line(out, format_args!("    Sample #{index}"));
        sample(each, dictionary, out);
    }
}

fn sample(sample: Sample<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    let values: Vec<i64> = sample.values().collect();
    line(out, format_args!("        Values: {values:?}"));
    for time in sample.timestamps_unix_nano() {
        line(out, format_args!("        Timestamp: {}", Time(time)));
    }
    if sample.link_index != 0
        && let Some(link) = dictionary.link(sample.link_index)
    {
        line(out, format_args!("        Trace ID: {}", Id(link.trace_id)));
        line(out, format_args!("        Span ID: {}", Id(link.span_id)));
    }
    attributes("        ", sample.attribute_indices(), dictionary, out);
    let Some(stack) = dictionary.stack(sample.stack_index) else {
        line(out, format_args!("        Stack: {}", missing(sample.stack_index)));
        return;
    };
    for (depth, index) in stack.location_indices().enumerate() {
        if depth == 0 {
            out.push_str("        Stack:\n");
        }
        match dictionary.location(index) {
            Some(location) => frames(location, dictionary, out),
            None => line(out, format_args!("             -> {}", missing(index))),
        }
    }
}

/// A line for each function at a place: inlined ones first.
fn frames(location: Location<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    let mut named = false;
    for each in location.lines() {
        named = true;
        let Some(function) = dictionary.function(each.function_index) else {
            line(out, format_args!("             -> {}", missing(each.function_index)));
            continue;
        };
        let name = string(function.name_strindex, dictionary);
        let file = string(function.filename_strindex, dictionary);
        match (file.is_empty(), each.line) {
            (true, _) => line(out, format_args!("             -> {name}")),
            (false, 0) => line(out, format_args!("             -> {name} ({file})")),
            (false, number) => line(out, format_args!("             -> {name} ({file}:{number})")),
        }
    }
    if !named {
        let file = dictionary
            .mapping(location.mapping_index)
            .map(|mapping| string(mapping.filename_strindex, dictionary))
            .unwrap_or_default();
        line(out, format_args!("             -> 0x{:x} {file}", location.address));
    }
}

fn attributes(indent: &str, indices: Numbers<'_, Int32>, dictionary: &Dictionary<'_>, out: &mut String) {
    for (place, index) in indices.enumerate() {
        if place == 0 {
            line(out, format_args!("{indent}Attributes:"));
        }
        match dictionary.attribute(index) {
            Some(pair) if pair.unit.is_empty() => {
                line(out, format_args!("{indent}     -> {}: {}", pair.key.as_str(), Typed(pair.value)));
            }
            Some(pair) => line(
                out,
                format_args!(
                    "{indent}     -> {}: {} {}",
                    pair.key.as_str(),
                    Typed(pair.value),
                    pair.unit.as_str()
                ),
            ),
            None => line(out, format_args!("{indent}     -> {}", missing(index))),
        }
    }
}

fn value_type(value_type: ValueType, dictionary: &Dictionary<'_>) -> String {
    let kind = string(value_type.type_strindex, dictionary);
    let unit = string(value_type.unit_strindex, dictionary);
    format!("{kind} {unit}").trim().to_owned()
}

fn string<'a>(index: i32, dictionary: &Dictionary<'a>) -> Cow<'a, str> {
    dictionary.string(index).map_or_else(|| missing(index), |text| Cow::Borrowed(text.as_str()))
}
