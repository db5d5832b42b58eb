//! Verbosity `detailed`: everything that is known of each item, in blocks as the Collector prints them.

mod logs;
mod metrics;
mod profiles;
mod traces;

use std::borrow::Cow;

use sluice_pipeline::{
    Signal,
    otlp::{
        view::{AnyValue, Attributes, Dictionary, Resource, Scope, Text, resource_groups},
        wire::Fields,
    },
};

use super::text::{Typed, line, resolved};

/// How deep a list of attributes is indented.
const LIST: &str = "     -> ";
const NESTED_LIST: &str = "          -> ";
const DEEP_LIST: &str = "               -> ";

/// Prints one encoded message of the signal.
pub(super) fn print(signal: Signal, message: &[u8], out: &mut String) {
    let dictionary = match signal {
        Signal::Profiles => Dictionary::of_profiles_data(message),
        _ => Dictionary::default(),
    };
    let (resource_name, scope_name) = match signal {
        Signal::Traces => ("ResourceSpans", "ScopeSpans"),
        Signal::Metrics => ("ResourceMetrics", "ScopeMetrics"),
        Signal::Logs => ("ResourceLog", "ScopeLogs"),
        Signal::Profiles => ("ResourceProfiles", "ScopeProfiles"),
    };
    for (index, group) in resource_groups(message).enumerate() {
        line(out, format_args!("{resource_name} #{index}"));
        line(out, format_args!("Resource SchemaURL: {}", group.schema_url().as_str()));
        resource(group.resource(), &dictionary, out);
        for (index, group) in group.scope_groups().enumerate() {
            line(out, format_args!("{scope_name} #{index}"));
            line(out, format_args!("{scope_name} SchemaURL: {}", group.schema_url().as_str()));
            scope(group.scope(), &dictionary, out);
            match signal {
                Signal::Traces => group.spans().enumerate().for_each(|item| traces::span(item, out)),
                Signal::Metrics => group.metrics().enumerate().for_each(|item| metrics::metric(item, out)),
                Signal::Logs => group.log_records().enumerate().for_each(|item| logs::log_record(item, out)),
                Signal::Profiles => {
                    let profiles = group.profiles().enumerate();
                    profiles.for_each(|item| profiles::profile(item, &dictionary, out));
                }
            }
        }
    }
}

fn resource(resource: Resource<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    list("Resource attributes:", LIST, resolved(resource.attributes(), dictionary), out);
    if resource.dropped_attributes_count > 0 {
        line(out, format_args!("Resource DroppedAttributesCount: {}", resource.dropped_attributes_count));
    }
    entities(resource.message, out);
}

/// The entities that the attributes of a resource describe.
fn entities(resource: &[u8], out: &mut String) {
    let references = Fields::of(resource).flatten().filter(|field| field.number == 3);
    for (index, reference) in references.enumerate() {
        if index == 0 {
            out.push_str("Resource entity refs:\n");
        }
        line(out, format_args!("{LIST}Entity ref #{index}:"));
        let fields = || Fields::of(reference.value.bytes()).flatten();
        let texts = |number| {
            fields().filter(move |field| field.number == number).map(|field| field.value.bytes().as_str())
        };
        texts(2).for_each(|kind| line(out, format_args!("{NESTED_LIST}Type: {kind}")));
        texts(1).for_each(|url| line(out, format_args!("{NESTED_LIST}Schema URL: {url}")));
        for (title, number) in [("ID keys:", 3), ("Description keys:", 4)] {
            if texts(number).next().is_some() {
                line(out, format_args!("{NESTED_LIST}{title}"));
            }
            texts(number).for_each(|key| line(out, format_args!("{DEEP_LIST}{key}")));
        }
    }
}

fn scope(scope: Scope<'_>, dictionary: &Dictionary<'_>, out: &mut String) {
    line(out, format_args!("InstrumentationScope {} {}", scope.name.as_str(), scope.version.as_str()));
    list("InstrumentationScope attributes:", LIST, resolved(scope.attributes(), dictionary), out);
    if scope.dropped_attributes_count > 0 {
        line(
            out,
            format_args!("InstrumentationScope DroppedAttributesCount: {}", scope.dropped_attributes_count),
        );
    }
}

/// Attributes below a title; nothing if there are none.
fn attributes(title: &str, indent: &str, attributes: Attributes<'_>, out: &mut String) {
    list(title, indent, resolved(attributes, &Dictionary::default()), out);
}

fn list<'a>(
    title: &str,
    indent: &str,
    pairs: impl Iterator<Item = (Cow<'a, str>, AnyValue<'a>)>,
    out: &mut String,
) {
    for (index, (key, value)) in pairs.enumerate() {
        if index == 0 {
            line(out, format_args!("{title}"));
        }
        line(out, format_args!("{indent}{key}: {}", Typed(value)));
    }
}
