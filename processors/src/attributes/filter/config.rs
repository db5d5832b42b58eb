//! The keys of `include` and `exclude`.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{Signal, component::Problem};

use super::pattern::{self, Patterns};
use crate::attributes::literal::Literal;

/// What telemetry must be like to match. All that is given must match; of the texts in one list, any.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MatchConfig {
    /// How texts are compared; required.
    #[schemars(required)]
    pub match_type: Option<MatchType>,
    /// Settings of `match_type: regexp`.
    pub regexp: Option<RegexpConfig>,
    /// Traces: the `service.name` of the resource.
    pub services: Vec<String>,
    /// Traces: the name of the span.
    pub span_names: Vec<String>,
    /// Traces: the kind of the span, such as `SPAN_KIND_SERVER`.
    pub span_kinds: Vec<String>,
    /// Logs: the body as text.
    pub log_bodies: Vec<String>,
    /// Logs: the severity text.
    pub log_severity_texts: Vec<String>,
    /// Logs: the severity number.
    pub log_severity_number: Option<SeverityMatch>,
    /// Metrics: the name of the metric.
    pub metric_names: Vec<String>,
    /// Traces and logs: attributes of the span or log record. All must match.
    pub attributes: Vec<AttributeMatch>,
    /// Attributes of the resource. All must match.
    pub resources: Vec<AttributeMatch>,
    /// Traces and logs: the instrumentation scope. All must match.
    pub libraries: Vec<LibraryMatch>,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchType {
    /// They must be equal.
    Strict,
    /// A regular expression must match somewhere in the text.
    Regexp,
}

/// The Collector's cache of match results. Accepted for its files: a regular expression is matched here in linear time
/// without a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RegexpConfig {
    /// Whether the Collector remembers results.
    pub cacheenabled: bool,
    /// How many results the Collector remembers.
    pub cachemaxnumentries: u64,
}

/// The severity number to match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SeverityMatch {
    /// The lowest that matches: 1 (trace) to 24 (fatal).
    pub min: i32,
    /// Whether log records without a severity number match.
    pub match_undefined: bool,
}

/// An attribute to match.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttributeMatch {
    /// Its key.
    #[schemars(required)]
    pub key: String,
    /// Its value; without it any value matches. A regular expression with `match_type: regexp`.
    pub value: Option<Literal>,
}

/// An instrumentation scope to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LibraryMatch {
    /// Its name.
    #[schemars(required)]
    pub name: String,
    /// Its version; without it any version matches.
    pub version: Option<String>,
}

pub(super) const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

impl MatchConfig {
    /// What is wrong whatever the signal; `key` is where the block stands below its component.
    pub(crate) fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(match_type) = self.match_type else {
            problems.push(Problem::at(key, format!("{key} needs a \"match_type\": strict or regexp")));
            return problems;
        };
        if self.regexp.is_some() && match_type == MatchType::Strict {
            problems.push(Problem::at(
                format!("{key}.regexp"),
                "regexp has no effect with match_type: strict; remove it",
            ));
        }
        if match_type == MatchType::Regexp {
            self.pattern_problems(key, &mut problems);
        } else if let Some(kind) = self.span_kinds.iter().find(|kind| !SPAN_KINDS.contains(&kind.as_str())) {
            problems.push(Problem::at(
                format!("{key}.span_kinds"),
                format!("unknown span kind {kind:?}; it is one of {}", SPAN_KINDS.join(", ")),
            ));
        }
        for (list, attributes) in [("attributes", &self.attributes), ("resources", &self.resources)] {
            for (index, attribute) in attributes.iter().enumerate() {
                if attribute.key.is_empty() {
                    let place = format!("{key}.{list}.{index}");
                    problems.push(Problem::at(place, "an attribute to match needs a \"key\""));
                }
            }
        }
        problems
    }

    fn pattern_problems(&self, key: &str, problems: &mut Vec<Problem>) {
        let mut check = |list: String, texts: &[String]| {
            if let Err(error) = Patterns::of(MatchType::Regexp, texts) {
                problems.push(Problem::at(format!("{key}.{list}"), error.to_string()));
            }
        };
        for (list, texts) in self.text_lists() {
            check(list.to_owned(), texts);
        }
        for (index, library) in self.libraries.iter().enumerate() {
            check(format!("libraries.{index}.name"), std::slice::from_ref(&library.name));
            check(format!("libraries.{index}.version"), library.version.as_slice());
        }
        for (list, attributes) in [("attributes", &self.attributes), ("resources", &self.resources)] {
            for (index, attribute) in attributes.iter().enumerate() {
                if let Some(Err(error)) = attribute.value.as_ref().map(pattern::of_literal) {
                    problems.push(Problem::at(format!("{key}.{list}.{index}.value"), error.to_string()));
                }
            }
        }
    }

    fn text_lists(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("services", &self.services),
            ("span_names", &self.span_names),
            ("span_kinds", &self.span_kinds),
            ("log_bodies", &self.log_bodies),
            ("log_severity_texts", &self.log_severity_texts),
            ("metric_names", &self.metric_names),
        ]
    }

    /// What is wrong in a pipeline of this signal: keys that say nothing about it, or none that does.
    pub(crate) fn problem_with(&self, signal: Signal) -> Option<String> {
        let usable: &[&str] = match signal {
            Signal::Traces => {
                &["services", "span_names", "span_kinds", "attributes", "resources", "libraries"]
            }
            Signal::Logs => &[
                "log_bodies",
                "log_severity_texts",
                "log_severity_number",
                "attributes",
                "resources",
                "libraries",
            ],
            Signal::Metrics => &["metric_names", "resources"],
            Signal::Profiles => &["resources"],
        };
        let mut given: Vec<&str> =
            self.text_lists().iter().filter(|(_, texts)| !texts.is_empty()).map(|(list, _)| *list).collect();
        for (key, is_given) in [
            ("log_severity_number", self.log_severity_number.is_some()),
            ("attributes", !self.attributes.is_empty()),
            ("resources", !self.resources.is_empty()),
            ("libraries", !self.libraries.is_empty()),
        ] {
            if is_given {
                given.push(key);
            }
        }
        if given.is_empty() {
            return Some(format!("needs at least one of {} in a pipeline of {signal}", usable.join(", ")));
        }
        let useless = given.iter().find(|key| !usable.contains(key))?;
        Some(format!(
            "{useless} cannot be used in a pipeline of {signal}; {signal} have {}",
            usable.join(", ")
        ))
    }
}
