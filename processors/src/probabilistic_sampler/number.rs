//! Randomness and thresholds of 56 bits, as in OpenTelemetry's consistent probability sampling
//! (specification, `trace/tracestate-probability-sampling`).

/// How many hexadecimal digits either has at most.
pub(super) const DIGITS: u8 = 14;
/// How many values there are.
const VALUES: u64 = 1 << 56;
/// The smallest probability that a threshold can express.
#[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
pub(super) const SMALLEST_PROBABILITY: f64 = 1.0 / VALUES as f64;
/// How many bits of a hash decide.
const HASH_BITS: u32 = 14;
/// How many buckets a hash falls into.
pub(super) const HASH_BUCKETS: u64 = 1 << HASH_BITS;

/// What decides whether something is kept: a number below 2^56 that is the same for all of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Randomness(u64);

/// What randomness has to reach to be kept: 0 keeps all, 2^56 nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Threshold(u64);

impl Randomness {
    /// Reaches every threshold that anything reaches.
    pub(super) const HIGHEST: Self = Self(VALUES - 1);

    /// The last 56 bits of a trace id (W3C Trace Context Level 2).
    pub(super) fn of_trace_id(id: &[u8]) -> Option<Self> {
        let id: [u8; 16] = id.try_into().ok()?;
        let [_, _, _, _, _, _, _, _, last @ ..] = id;
        (id != [0; 16]).then_some(Self(u64::from_be_bytes(last) & (VALUES - 1)))
    }

    /// From a hash of bytes, as the Collector makes it: FNV-1a with the seed before them, of which 14 bits decide, so that
    /// both keep the same traces.
    pub(super) fn of_hash(bytes: &[u8], seed: u32) -> Self {
        let hash = fnv_1a(seed.to_le_bytes().iter().chain(bytes));
        let bucket = u64::from(hash) & (HASH_BUCKETS - 1);
        let unused = u64::from(hash >> (u32::BITS - HASH_BITS));
        let mixed = unused ^ (unused << 10);
        Self(((HASH_BUCKETS - 1 - bucket) << 42) | (mixed << HASH_BITS) | bucket)
    }

    /// From its text: 14 hexadecimal digits.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        (text.len() == usize::from(DIGITS)).then(|| hexadecimal(text).map(Self))?
    }

    /// Its text.
    pub(super) fn text(self) -> String {
        format!("{:014x}", self.0)
    }
}

impl Threshold {
    /// Keeps all.
    pub(super) const ALWAYS: Self = Self(0);
    /// Keeps nothing.
    pub(super) const NEVER: Self = Self(VALUES);

    /// Keeps so many of all buckets of the hash.
    pub(super) fn of_buckets(kept: u64) -> Self {
        Self((HASH_BUCKETS - kept.min(HASH_BUCKETS)) << 42)
    }

    /// Keeps this share, rounded to so many digits that mean something: zeros or Fs at its begin do not.
    pub(super) fn of_probability(probability: f64, digits: u8) -> Option<Self> {
        if !(SMALLEST_PROBABILITY..=1.0).contains(&probability) {
            return None;
        }
        let leading = leading_digits(probability).max(leading_digits(1.0 - probability));
        let digits = (u32::from(digits) + leading).clamp(1, u32::from(DIGITS));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "it is 0 to 2^56"
        )]
        let kept = (probability * VALUES as f64).round() as u64;
        let exact = VALUES - kept;
        let unit = 4 * (u32::from(DIGITS) - digits);
        let half = if unit == 0 { 0 } else { 1 << (unit - 1) };
        Some(Self((exact + half) >> unit << unit))
    }

    /// The share that it keeps.
    #[expect(clippy::cast_precision_loss, reason = "a share is a float")]
    pub(super) fn probability(self) -> f64 {
        (VALUES - self.0) as f64 / VALUES as f64
    }

    /// Whether it keeps what has this randomness.
    pub(super) fn keeps(self, randomness: Randomness) -> bool {
        self.0 <= randomness.0
    }

    /// From its text: 1 to 14 hexadecimal digits, to which zeros at the end are added.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let missing = usize::from(DIGITS).checked_sub(text.len())?;
        hexadecimal(text).map(|number| Self(number << (4 * missing)))
    }

    /// Its text, without zeros at the end; none for one that keeps nothing.
    pub(super) fn text(self) -> Option<String> {
        if self == Self::NEVER {
            return None;
        }
        let all = format!("{:014x}", self.0);
        let text = all.trim_end_matches('0');
        Some(if text.is_empty() { "0".to_owned() } else { text.to_owned() })
    }
}

/// How many hexadecimal digits of a fraction are zeros at its begin.
fn leading_digits(mut fraction: f64) -> u32 {
    let mut digits = 0;
    while fraction > 0.0 && fraction * 16.0 < 1.0 {
        fraction *= 16.0;
        digits += 1;
    }
    digits
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().map(|digit| (*digit as char).to_digit(16).map(u64::from));
    let number = digits.reduce(|number, digit| Some((number? << 4) | digit?));
    number.flatten()
}

fn fnv_1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
