//! What the `probabilistic_sampler` processor counts, under the Collector's names.

use metrics::{Counter, counter};
use sluice_pipeline::{Signal, component::ComponentId, telemetry::names};

/// What decided about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    TraceIdHash,
    TraceId,
    Randomness,
    Attribute,
    Missing,
    Priority,
}

impl Policy {
    const ALL: [Self; 6] =
        [Self::TraceIdHash, Self::TraceId, Self::Randomness, Self::Attribute, Self::Missing, Self::Priority];

    fn name(self, attribute: &str) -> String {
        match self {
            Self::TraceIdHash => "trace_id_hash",
            Self::TraceId => "trace_id_w3c",
            Self::Randomness => "sampling_randomness",
            Self::Attribute => attribute,
            Self::Missing => "missing_randomness",
            Self::Priority => "sampling_priority",
        }
        .to_owned()
    }
}

/// How many items of a batch were dropped and kept, by what decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([[u64; 2]; Policy::ALL.len()]);

impl Counts {
    pub(super) fn add(&mut self, policy: Policy, kept: bool) {
        if let Some(of_policy) = self.0.get_mut(policy as usize) {
            of_policy[usize::from(kept)] += 1;
        }
    }
}

pub(super) struct SamplerMetrics([[Counter; 2]; Policy::ALL.len()]);

impl SamplerMetrics {
    /// The counters; `attribute` is the one that randomness may come from.
    pub(super) fn new(id: &ComponentId, signal: Signal, attribute: &str) -> Self {
        let name = match signal {
            Signal::Traces => names::SAMPLER_TRACES,
            _ => names::SAMPLER_LOGS,
        };
        Self(Policy::ALL.map(|policy| {
            ["false", "true"].map(|sampled| {
                counter!(
                    name, "processor" => id.to_string(), "policy" => policy.name(attribute), "sampled" => sampled
                )
            })
        }))
    }

    pub(super) fn add(&self, counts: &Counts) {
        let pairs = self.0.iter().flatten().zip(counts.0.iter().flatten());
        for (counter, count) in pairs.filter(|(_, count)| **count > 0) {
            counter.increment(*count);
        }
    }
}
