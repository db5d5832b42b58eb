//! The keys of the `filter` processor.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::{ComponentConfig, NotBuilt, Problem};

use super::editor::{MetricFilter, Selected};
use crate::attributes::filter::{
    AttributeMatch, Filter, MatchConfig, MatchType, Matcher, RegexpConfig, SeverityMatch,
};

const INSTEAD: &str = "OTTL conditions come later; include and exclude are there";

/// The keys of the `filter` processor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FilterConfig {
    /// What the Collector does where an OTTL condition fails. Accepted for its files: include and exclude cannot fail.
    pub error_mode: ErrorMode,
    /// Spans that stay.
    pub spans: SpanFilters,
    /// Metrics that stay.
    pub metrics: MetricFilters,
    /// Log records that stay.
    pub logs: LogFilters,
    /// OTTL conditions; not in this build.
    pub traces: NotBuilt,
    /// OTTL conditions; not in this build.
    pub profiles: NotBuilt,
    /// OTTL conditions; not in this build.
    pub trace_conditions: NotBuilt,
    /// OTTL conditions; not in this build.
    pub metric_conditions: NotBuilt,
    /// OTTL conditions; not in this build.
    pub log_conditions: NotBuilt,
    /// OTTL conditions; not in this build.
    pub profile_conditions: NotBuilt,
}

/// What the Collector does where an OTTL condition fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorMode {
    /// It drops the batch.
    #[default]
    Propagate,
    /// It logs the error and goes on.
    Ignore,
    /// It goes on.
    Silent,
}

/// Spans that stay.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpanFilters {
    /// Drops all others.
    #[serde(alias = "include=null")]
    pub include: Option<MatchConfig>,
    /// Drops these, even if they are included.
    #[serde(alias = "exclude=null")]
    pub exclude: Option<MatchConfig>,
}

/// Metrics that stay.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricFilters {
    /// Drops all others.
    #[serde(alias = "include=null")]
    pub include: Option<MetricMatch>,
    /// Drops these, even if they are included: by a name, or all metrics of a resource.
    #[serde(alias = "exclude=null")]
    pub exclude: Option<MetricMatch>,
    /// Accepted for the Collector's files; see `include.regexp`.
    pub regexp: Option<RegexpConfig>,
    /// OTTL conditions; not in this build.
    pub resource: NotBuilt,
    /// OTTL conditions; not in this build.
    pub metric: NotBuilt,
    /// OTTL conditions; not in this build.
    pub datapoint: NotBuilt,
}

/// What metrics must be like to match.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricMatch {
    /// How texts are compared; required.
    #[schemars(required)]
    pub match_type: Option<MetricMatchType>,
    /// Settings of `match_type: regexp`.
    pub regexp: Option<RegexpConfig>,
    /// Names of metrics; any may match.
    pub metric_names: Vec<String>,
    /// Attributes of the resource; all must match.
    pub resource_attributes: Vec<AttributeMatch>,
    /// Expressions of `match_type: expr`; not in this build.
    pub expressions: NotBuilt,
}

/// How the names of metrics are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricMatchType {
    /// They must be equal.
    Strict,
    /// A regular expression must match somewhere in the name.
    Regexp,
    /// An expression must be true; not in this build.
    Expr,
}

/// Log records that stay.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogFilters {
    /// Drops all others.
    #[serde(alias = "include=null")]
    pub include: Option<LogMatch>,
    /// Drops these, even if they are included.
    #[serde(alias = "exclude=null")]
    pub exclude: Option<LogMatch>,
    /// OTTL conditions; not in this build.
    pub resource: NotBuilt,
    /// OTTL conditions; not in this build.
    pub log_record: NotBuilt,
}

/// What log records must be like to match: all that is given must match; of the texts in one list, any.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogMatch {
    /// How texts are compared; required.
    #[schemars(required)]
    pub match_type: Option<LogMatchType>,
    /// Attributes of the resource; all must match.
    pub resource_attributes: Vec<AttributeMatch>,
    /// Attributes of the log record; all must match.
    pub record_attributes: Vec<AttributeMatch>,
    /// The severity text.
    pub severity_texts: Vec<String>,
    /// The severity number.
    pub severity_number: Option<Severity>,
    /// The body as text.
    pub bodies: Vec<String>,
}

/// How texts of log records are compared.
pub type LogMatchType = MatchType;

/// The severity of log records to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Severity {
    /// The lowest that matches: `TRACE` to `FATAL4`, or 1 to 24.
    pub min: String,
    /// Whether log records without a severity number match.
    pub match_undefined: bool,
}

impl Severity {
    /// The number of `min`; 0 if none is given.
    fn number(&self) -> Option<i32> {
        const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        if self.min.is_empty() {
            return Some(0);
        }
        if let Ok(number) = self.min.parse() {
            return (1..=24).contains(&number).then_some(number);
        }
        let text = self.min.to_ascii_uppercase();
        let (base, name) = (1..).step_by(4).zip(NAMES).find(|(_, name)| text.starts_with(name))?;
        match text.strip_prefix(name)? {
            "" => Some(base),
            step => step.parse().ok().filter(|step| (2..=4).contains(step)).map(|step: i32| base + step - 1),
        }
    }
}

impl ComponentConfig for FilterConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, asked) in [
            ("traces", self.traces),
            ("profiles", self.profiles),
            ("trace_conditions", self.trace_conditions),
            ("metric_conditions", self.metric_conditions),
            ("log_conditions", self.log_conditions),
            ("profile_conditions", self.profile_conditions),
            ("metrics.resource", self.metrics.resource),
            ("metrics.metric", self.metrics.metric),
            ("metrics.datapoint", self.metrics.datapoint),
            ("logs.resource", self.logs.resource),
            ("logs.log_record", self.logs.log_record),
        ] {
            asked.report(key, INSTEAD, &mut problems);
        }
        for (key, block) in [("include", &self.spans.include), ("exclude", &self.spans.exclude)] {
            problems.extend(block.iter().flat_map(|block| block.problems(&format!("spans.{key}"))));
        }
        for (key, block) in [("include", &self.metrics.include), ("exclude", &self.metrics.exclude)] {
            problems.extend(block.iter().flat_map(|block| block.problems(&format!("metrics.{key}"))));
        }
        for (key, block) in [("include", &self.logs.include), ("exclude", &self.logs.exclude)] {
            problems.extend(block.iter().flat_map(|block| block.problems(&format!("logs.{key}"))));
        }
        problems
    }
}

impl MetricFilters {
    pub(super) fn selected(&self) -> Selected {
        let of = |choose: fn(MatchConfig) -> MatchConfig, is_asked: fn(&MetricMatch) -> bool| {
            let matcher = |block: &Option<MetricMatch>| {
                let block = block.as_ref().filter(|block| is_asked(block))?;
                Matcher::of(&choose(block.match_config()))
            };
            Filter { include: matcher(&self.include), exclude: matcher(&self.exclude) }
        };
        Selected::Metrics(Box::new(MetricFilter {
            resources: of(
                |config| MatchConfig { metric_names: Vec::new(), ..config },
                |block| !block.resource_attributes.is_empty(),
            ),
            names: of(
                |config| MatchConfig { resources: Vec::new(), ..config },
                |block| !block.metric_names.is_empty(),
            ),
        }))
    }
}

impl MetricMatch {
    fn match_config(&self) -> MatchConfig {
        MatchConfig {
            match_type: match self.match_type {
                Some(MetricMatchType::Strict) => Some(MatchType::Strict),
                Some(MetricMatchType::Regexp) => Some(MatchType::Regexp),
                Some(MetricMatchType::Expr) | None => None,
            },
            regexp: self.regexp,
            metric_names: self.metric_names.clone(),
            resources: self.resource_attributes.clone(),
            ..MatchConfig::default()
        }
    }

    fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.expressions.report(format!("{key}.expressions"), INSTEAD, &mut problems);
        if self.match_type == Some(MetricMatchType::Expr) {
            problems.push(Problem::at(
                format!("{key}.match_type"),
                "match_type: expr is not in this build; use strict or regexp",
            ));
            return problems;
        }
        let of_block = self.match_config().problems(key);
        problems.extend(renamed(of_block, key, &[("resources", "resource_attributes")]));
        problems
    }
}

impl LogFilters {
    pub(super) fn filter(&self) -> Filter {
        let matcher = |block: &Option<LogMatch>| {
            let block = block.as_ref().filter(|block| !block.is_empty())?;
            Matcher::of(&block.match_config())
        };
        Filter { include: matcher(&self.include), exclude: matcher(&self.exclude) }
    }
}

impl LogMatch {
    /// Without anything to match the Collector ignores the block.
    fn is_empty(&self) -> bool {
        self.resource_attributes.is_empty()
            && self.record_attributes.is_empty()
            && self.severity_texts.is_empty()
            && self.severity_number.is_none()
            && self.bodies.is_empty()
    }

    fn match_config(&self) -> MatchConfig {
        MatchConfig {
            match_type: self.match_type,
            log_bodies: self.bodies.clone(),
            log_severity_texts: self.severity_texts.clone(),
            log_severity_number: self.severity_number.as_ref().map(|severity| SeverityMatch {
                min: severity.number().unwrap_or_default(),
                match_undefined: severity.match_undefined,
            }),
            attributes: self.record_attributes.clone(),
            resources: self.resource_attributes.clone(),
            ..MatchConfig::default()
        }
    }

    fn problems(&self, key: &str) -> Vec<Problem> {
        let names = [
            ("resources", "resource_attributes"),
            ("attributes", "record_attributes"),
            ("log_severity_texts", "severity_texts"),
            ("log_bodies", "bodies"),
        ];
        let mut problems = renamed(self.match_config().problems(key), key, &names);
        if self.severity_number.as_ref().is_some_and(|severity| severity.number().is_none()) {
            problems.push(Problem::at(
                format!("{key}.severity_number.min"),
                "no severity; it is TRACE, DEBUG, INFO, WARN, ERROR or FATAL, each up to 4, or 1 to 24",
            ));
        }
        problems
    }
}

/// Problems below `key` under the names that keys have here.
fn renamed(mut problems: Vec<Problem>, key: &str, names: &[(&str, &str)]) -> Vec<Problem> {
    for problem in &mut problems {
        for (there, here) in names {
            let place = format!("{key}.{there}");
            let rest =
                problem.key.strip_prefix(&place).filter(|rest| rest.is_empty() || rest.starts_with('.'));
            if let Some(rest) = rest {
                problem.key = format!("{key}.{here}{rest}");
                break;
            }
        }
    }
    problems
}
