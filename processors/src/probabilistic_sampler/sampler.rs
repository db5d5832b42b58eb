//! Decides about one span or log record.

use super::{
    carried::{Carried, Malformed},
    config::{ProbabilisticSamplerConfig, SamplingMode},
    metrics::Policy,
    number::{HASH_BUCKETS, Randomness, Threshold},
};

/// Decides what is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    mode: Mode,
    seed: u32,
    fail_closed: bool,
    digits: u8,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Never,
    Hash { threshold: Threshold },
    Equalizing { threshold: Threshold },
    Proportional { share: f64 },
}

/// What an item says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// 16 bytes, or empty.
    pub(super) trace_id: &'a [u8],
    /// What randomness comes from in place of the trace id.
    pub(super) attribute: Option<&'a [u8]>,
    /// What it carries about how it was sampled.
    pub(super) carried: Result<Carried, Malformed>,
    /// What its priority asks for.
    pub(super) priority: Option<Threshold>,
}

/// Whether an item is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kept: bool,
    /// What decided.
    pub(super) policy: Policy,
    /// What a kept item carries from now on.
    pub(super) carries: Option<Carried>,
}

impl Sampler {
    /// The sampler of a configuration without problems.
    pub(super) fn new(config: &ProbabilisticSamplerConfig) -> Self {
        let percentage = config.sampling_percentage.min(100.0);
        let share = f64::from(percentage) / 100.0;
        // Without a mode the Collector, too, hashes.
        let mode = match config.mode {
            _ if percentage <= 0.0 => Mode::Never,
            Some(SamplingMode::Proportional) => Mode::Proportional { share },
            Some(SamplingMode::Equalizing) => Threshold::of_probability(share, config.sampling_precision)
                .map_or(Mode::Never, |threshold| Mode::Equalizing { threshold }),
            Some(SamplingMode::HashSeed) | None => hashing(percentage),
        };
        Self {
            mode,
            seed: config.hash_seed,
            fail_closed: config.fail_closed,
            digits: config.sampling_precision,
        }
    }

    /// Decides about an item.
    pub(super) fn decide(&self, subject: Subject<'_>) -> Verdict {
        let mut carried = subject.carried;
        let (randomness, policy, fault) = self.randomness(subject, &mut carried);
        let threshold = match (fault, carried) {
            (false, Ok(carried)) => self.threshold(carried),
            _ if self.fail_closed => Threshold::NEVER,
            _ => Threshold::ALWAYS,
        };
        let (threshold, randomness, policy) = match subject.priority {
            None => (threshold, randomness, policy),
            // Neither depends on chance.
            Some(priority) if priority == Threshold::ALWAYS || priority == Threshold::NEVER => {
                (priority, Randomness::HIGHEST, Policy::Priority)
            }
            Some(priority) => (priority, randomness, policy),
        };
        let kept = threshold.keeps(randomness);
        let carries = carried.ok().filter(|_| kept).map(|carried| Carried {
            // What was dropped before is not undone: a threshold never falls.
            threshold: Some(carried.threshold.map_or(threshold, |before| before.max(threshold))),
            ..carried
        });
        Verdict { kept, policy, carries }
    }

    /// What decides, and whether something is wrong with it.
    fn randomness(
        &self,
        subject: Subject<'_>,
        carried: &mut Result<Carried, Malformed>,
    ) -> (Randomness, Policy, bool) {
        let hashes = matches!(self.mode, Mode::Hash { .. });
        let of_trace = Randomness::of_trace_id(subject.trace_id);
        let of_attribute = || {
            let bytes = subject.attribute.filter(|bytes| !bytes.is_empty())?;
            Some((Randomness::of_hash(bytes, self.seed), Policy::Attribute))
        };
        let own = if hashes {
            let hash = of_trace.map(|_| Randomness::of_hash(subject.trace_id, self.seed));
            hash.map(|hash| (hash, Policy::TraceIdHash)).or_else(of_attribute)
        } else {
            let explicit = carried.ok().and_then(|carried| carried.randomness);
            explicit
                .map(|randomness| (randomness, Policy::Randomness))
                .or_else(|| of_trace.map(|randomness| (randomness, Policy::TraceId)))
                .or_else(of_attribute)
        };
        let Some((randomness, policy)) = own else {
            return (Randomness::HIGHEST, Policy::Missing, true);
        };
        let Ok(carried) = carried else { return (randomness, policy, true) };
        // A hash says nothing about thresholds that others set by other randomness.
        if hashes && (carried.randomness.is_some() || carried.threshold.is_some()) {
            return (randomness, policy, true);
        }
        if carried.threshold.is_some_and(|threshold| !threshold.keeps(randomness)) {
            carried.threshold = None;
            return (randomness, policy, true);
        }
        if policy == Policy::TraceIdHash || policy == Policy::Attribute {
            carried.randomness = Some(randomness);
        }
        (randomness, policy, false)
    }

    fn threshold(&self, carried: Carried) -> Threshold {
        match self.mode {
            Mode::Never => Threshold::NEVER,
            Mode::Hash { threshold } | Mode::Equalizing { threshold } => threshold,
            Mode::Proportional { share } => {
                let before = carried.threshold.map_or(1.0, Threshold::probability);
                Threshold::of_probability(before * share, self.digits).unwrap_or(Threshold::NEVER)
            }
        }
    }
}

/// As the Collector calculates it: with single precision, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 16,384")]
#[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
fn hashing(percentage: f32) -> Mode {
    let kept = (percentage * (HASH_BUCKETS as f64 / 100.0) as f32) as u64;
    if kept == 0 { Mode::Never } else { Mode::Hash { threshold: Threshold::of_buckets(kept) } }
}
