//! Runs inputs through a target until the time is up or one breaks it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;
use peak_alloc::PeakAlloc;

use super::Target;
use super::mutate::Mutator;

/// What one input may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory for each byte of input.
    pub memory_per_byte: usize,
    /// Bytes of memory for any input.
    pub memory: usize,
}

/// How a target is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long.
    pub duration: Duration,
    /// Where the sequence of inputs starts: the same seed gives the same inputs.
    pub seed: u64,
}

/// What a run did.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Inputs tried.
    pub inputs: u64,
    /// Different outcomes among them.
    pub outcomes: usize,
    /// The most memory that an input took, in bytes.
    pub most_memory: usize,
    /// The most memory that an input took for each of its bytes, beyond a fixed part.
    pub most_memory_per_byte: usize,
    /// The longest time that an input took.
    pub longest: Duration,
}

/// An input that broke its target.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    /// What happened.
    pub reason: String,
    /// The input.
    pub input: Vec<u8>,
}

/// Far above what any input of [`LARGEST`] should take, even on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Inputs do not grow beyond this.
const LARGEST: usize = 64 << 10;

/// The corpus does not grow beyond this many inputs.
const MOST_INPUTS: usize = 4096;

/// What an input cost.
struct Cost {
    outcome: String,
    memory: usize,
    time: Duration,
}

/// Runs one target.
///
/// # Errors
/// [`Failed`] with the first input that panicked, took too long or took too much memory.
pub fn run(target: &Target, allocator: &PeakAlloc, settings: Settings) -> Result<Summary, Failed> {
    let mut random = Rng::with_seed(settings.seed);
    let mutator = Mutator { dictionary: target.dictionary, protobuf: target.protobuf, largest: LARGEST };
    let mut corpus = (target.seeds)();
    let mut seen = HashSet::new();
    let mut summary =
        Summary { inputs: 0, outcomes: 0, most_memory: 0, most_memory_per_byte: 0, longest: Duration::ZERO };
    for seed in corpus.clone() {
        let cost = attempt(target, allocator, &seed)?;
        summary.note(&cost, seed.len(), target);
        seen.insert(signature(&cost.outcome));
    }
    let end = Instant::now() + settings.duration;
    while Instant::now() < end {
        let input = mutator.mutate(&corpus, &mut random);
        let cost = attempt(target, allocator, &input)?;
        summary.note(&cost, input.len(), target);
        if seen.insert(signature(&cost.outcome)) && corpus.len() < MOST_INPUTS {
            corpus.push(input);
        }
    }
    summary.outcomes = seen.len();
    Ok(summary)
}

/// Runs one input.
///
/// # Errors
/// [`Failed`] as [`run`].
pub fn replay(target: &Target, allocator: &PeakAlloc, input: &[u8]) -> Result<String, Failed> {
    attempt(target, allocator, input).map(|cost| cost.outcome)
}

fn attempt(target: &Target, allocator: &PeakAlloc, input: &[u8]) -> Result<Cost, Failed> {
    let failed = |reason: String| Failed { reason, input: input.to_owned() };
    let held = allocator.current_usage();
    allocator.reset_peak_usage();
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)))
        .map_err(|panic| failed(format!("panicked: {}", message(panic.as_ref()))))?;
    let cost = Cost { outcome, memory: allocator.peak_usage().saturating_sub(held), time: begin.elapsed() };
    if cost.time > TIME_LIMIT {
        return Err(failed(format!("took {:?}", cost.time)));
    }
    let allowed = target.limits.memory + target.limits.memory_per_byte * input.len();
    if cost.memory > allowed {
        return Err(failed(format!(
            "took {} bytes of memory for {} bytes of input, {allowed} are allowed",
            cost.memory,
            input.len()
        )));
    }
    Ok(cost)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Outcomes that differ only in numbers count as one.
fn signature(outcome: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    outcome.bytes().filter(|byte| !byte.is_ascii_digit()).for_each(|byte| byte.hash(&mut hasher));
    hasher.finish()
}

impl Summary {
    fn note(&mut self, cost: &Cost, size: usize, target: &Target) {
        self.inputs += 1;
        self.most_memory = self.most_memory.max(cost.memory);
        let beyond = cost.memory.saturating_sub(target.limits.memory);
        self.most_memory_per_byte = self.most_memory_per_byte.max(beyond.div_ceil(size.max(1)));
        self.longest = self.longest.max(cost.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ALLOCATOR: PeakAlloc = PeakAlloc;

    fn target(run: fn(&[u8]) -> String) -> Target {
        Target {
            name: "test",
            seeds: || vec![b"seed".to_vec()],
            dictionary: &[b"bang"],
            protobuf: false,
            run,
            limits: Limits { memory_per_byte: 1, memory: 1 << 20 },
        }
    }

    const SETTINGS: Settings = Settings { duration: Duration::from_secs(20), seed: 1 };

    #[test]
    fn a_panic_is_found_with_its_input() {
        let target = target(|input| {
            assert!(!input.windows(4).any(|window| window == b"bang"), "it went bang");
            input.len().to_string()
        });
        let failed = run(&target, &ALLOCATOR, SETTINGS).unwrap_err();
        assert!(failed.reason.contains("it went bang"), "{failed}");
        assert!(replay(&target, &ALLOCATOR, &failed.input).is_err());
    }

    #[test]
    fn outcomes_are_told_apart_without_their_numbers() {
        assert_eq!(signature("at byte 12"), signature("at byte 7"));
        assert_ne!(signature("at byte 12"), signature("at bit 12"));
    }
}
