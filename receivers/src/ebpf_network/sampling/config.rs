//! The keys below `sampling`.

use regex::RegexBuilder;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{component::Problem, config::types::Duration};

use super::{rules::EXPRESSION_SIZE, size::Size};

/// The most of a message that a rule may keep: content travels in attributes, which are no place for more.
pub const MAX_CONTENT: usize = 64 << 10;

/// The most exchanges that may be kept of a class, pair and window.
const MAX_TOP: usize = 1_000;

/// Which exchanges become log records.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SamplingConfig {
    /// Rules for certain paths. The first that matches decides.
    pub rules: Vec<RuleConfig>,
    /// The rule for all other paths; its `uri` stays empty.
    #[serde(rename = "default")]
    pub fallback: RuleConfig,
    /// How many exchanges are kept of each class (5xx, 4xx, slow), process pair and window: the longest.
    pub top: usize,
    /// How long a window is. An exchange is recorded when its window ends.
    pub window: Duration,
    /// Whether exchanges whose request carries no trace context are recorded too.
    pub untraced: bool,
    /// Whether exchanges stay unrecorded where the trace context says that the trace is not sampled.
    pub honour_sampled_flag: bool,
    /// Whether records list the system calls that moved the exchange.
    pub syscall_events: bool,
}

/// What is sampled of the exchanges that a rule is for.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RuleConfig {
    /// What records call the rule; without it, its `uri`.
    pub name: String,
    /// A regular expression that the path, without its query, must match somewhere.
    pub uri: String,
    /// Whether responses with a status from 500 to 599 are sampled.
    pub status_5xx: bool,
    /// Whether responses with a status from 400 to 499 are sampled.
    pub status_4xx: bool,
    /// How long an exchange must last to be sampled as slow; without it, none is.
    pub min_duration: Option<Duration>,
    /// The share of all other exchanges that is sampled, from 0 to 1. The trace id decides, so that all processes
    /// choose the same traces; `top` does not limit it.
    pub ratio: f64,
    /// What is kept of requests.
    pub request: ContentConfig,
    /// What is kept of responses.
    pub response: ContentConfig,
}

/// Whether head and body of a message are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContentConfig {
    /// Whether they are, as text, with secrets blanked.
    pub content: bool,
    /// The most of head and body together that is kept.
    pub max_size: Size,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            fallback: RuleConfig::default(),
            top: 10,
            window: Duration::from_secs(2),
            untraced: false,
            honour_sampled_flag: true,
            syscall_events: false,
        }
    }
}

impl Default for RuleConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            uri: String::new(),
            status_5xx: true,
            status_4xx: true,
            min_duration: None,
            ratio: 0.0,
            request: ContentConfig::default(),
            response: ContentConfig::default(),
        }
    }
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self { content: false, max_size: Size(4 << 10) }
    }
}

impl SamplingConfig {
    /// What cannot work; `key` is where the block stands below its component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let key = format!("{key}.rules.{index}");
            match rule.uri.as_str() {
                "" => problems.push(Problem::at(
                    &key,
                    "a rule needs a \"uri\", a regular expression for paths; what holds for all other paths goes below \"default\"",
                )),
                uri => {
                    if let Err(error) = RegexBuilder::new(uri).size_limit(EXPRESSION_SIZE).build() {
                        problems.push(Problem::at(format!("{key}.uri"), format!("not a regular expression: {error}")));
                    }
                }
            }
            rule.problems(&key, &mut problems);
        }
        let fallback = format!("{key}.default");
        if !self.fallback.uri.is_empty() {
            problems.push(Problem::at(
                format!("{fallback}.uri"),
                "the default rule is for every path that no other rule matches; move it below \"rules\" or remove its \"uri\"",
            ));
        }
        self.fallback.problems(&fallback, &mut problems);
        if self.top == 0 || self.top > MAX_TOP {
            problems.push(Problem::at(
                format!("{key}.top"),
                format!("keeps {} exchanges of each class; it must be 1 to {MAX_TOP}", self.top),
            ));
        }
        if self.window < Duration::from_millis(100) || self.window > Duration::from_secs(60) {
            problems.push(Problem::at(
                format!("{key}.window"),
                format!("a window of {} cannot work; it must be 100ms to 1m", self.window),
            ));
        }
        problems
    }
}

impl RuleConfig {
    fn problems(&self, key: &str, problems: &mut Vec<Problem>) {
        if !(0.0..=1.0).contains(&self.ratio) {
            problems.push(Problem::at(
                format!("{key}.ratio"),
                format!("the share {} is not from 0 to 1", self.ratio),
            ));
        }
        for (name, content) in [("request", self.request), ("response", self.response)] {
            if content.content && !(1..=MAX_CONTENT).contains(&content.max_size.0) {
                problems.push(Problem::at(
                    format!("{key}.{name}.max_size"),
                    format!(
                        "{} cannot be kept of a message; it must be 1B to {}",
                        content.max_size,
                        Size(MAX_CONTENT)
                    ),
                ));
            }
        }
    }
}
