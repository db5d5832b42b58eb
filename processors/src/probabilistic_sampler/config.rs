//! The keys of the `probabilistic_sampler` processor.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::{ComponentConfig, Problem};

use super::number::{DIGITS, SMALLEST_PROBABILITY};

/// The keys of the `probabilistic_sampler` processor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbabilisticSamplerConfig {
    /// How many of a hundred are kept; from 100 on, all.
    pub sampling_percentage: f32,
    /// With `mode: hash_seed`, and for attributes: samplers of one tier have the same, those of another tier another.
    pub hash_seed: u32,
    /// How it is decided; `hash_seed` unless set.
    pub mode: Option<SamplingMode>,
    /// Whether what has no trace id, or contradictory sampling information, is dropped; otherwise it is kept.
    pub fail_closed: bool,
    /// How many hexadecimal digits a threshold is rounded to: 1 to 14.
    pub sampling_precision: u8,
    /// Logs: where randomness comes from.
    pub attribute_source: AttributeSource,
    /// Logs: the attribute that randomness comes from with `attribute_source: record`, or where there is no trace id.
    pub from_attribute: String,
    /// Logs: an attribute that says how many of a hundred such records are kept; 0 drops it.
    pub sampling_priority: String,
}

/// How it is decided what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SamplingMode {
    /// By a hash of the trace id or attribute.
    HashSeed,
    /// By the randomness of the trace id, so that everything was sampled at this percentage in the end, however
    /// much of it was dropped before.
    Equalizing,
    /// By the randomness of the trace id, so that this percentage of what comes leaves.
    Proportional,
}

/// Where the randomness of a log record comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AttributeSource {
    /// Its trace id, or else `from_attribute`.
    #[default]
    #[serde(rename = "traceID")]
    TraceId,
    /// Its attribute `from_attribute`.
    #[serde(rename = "record")]
    Record,
}

impl Default for ProbabilisticSamplerConfig {
    fn default() -> Self {
        Self {
            sampling_percentage: 0.0,
            hash_seed: 0,
            mode: None,
            fail_closed: true,
            sampling_precision: 4,
            attribute_source: AttributeSource::default(),
            from_attribute: String::new(),
            sampling_priority: String::new(),
        }
    }
}

impl ComponentConfig for ProbabilisticSamplerConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let percentage = self.sampling_percentage;
        if !percentage.is_finite() || percentage < 0.0 {
            problems.push(Problem::at(
                "sampling_percentage",
                format!("{percentage} is no percentage; it is 0 (drops all) to 100 (keeps all)"),
            ));
        } else if percentage > 0.0 && f64::from(percentage) / 100.0 < SMALLEST_PROBABILITY {
            problems.push(Problem::at(
                "sampling_percentage",
                format!("{percentage} is too small to be told from 0, which drops all"),
            ));
        }
        if !(1..=DIGITS).contains(&self.sampling_precision) {
            problems.push(Problem::at(
                "sampling_precision",
                format!("{} is no number of digits; it is 1 to {DIGITS}", self.sampling_precision),
            ));
        }
        problems
    }
}
