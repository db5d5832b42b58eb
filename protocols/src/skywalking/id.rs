//! OTLP's ids from SkyWalking's, which are free text: the same id always gives the same one, none gives zero.
//!
//! Sluices do not know of each other, yet a parent's id is made by one from a segment and by another from a reference
//! to it, so nothing here may ever change.

/// The length of a UUID in hexadecimal digits.
const UUID_DIGITS: usize = 32;
/// The same with dashes, and where they stand.
const DASHED_LENGTH: usize = 36;
const DASHES: [usize; 4] = [8, 13, 18, 23];
/// The most digits of a `u128` in decimal.
const MOST_DECIMALS: usize = 39;

/// How ids are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// Sluice's own: every form of id that agents send gives distinct ids.
    #[default]
    Distinct,
    /// Those of the Collector's receiver, so that both give a span the same id. They are exclusive-ors, which give
    /// neighbouring segments of Java agents the same span ids now and then. Where they give nothing, Sluice's own apply.
    Contrib,
}

/// The ids of the spans of one segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSpans {
    base: Base,
}

#[derive(Clone, Copy, Debug)]
enum Base {
    Hash(u64),
    Contrib([u8; 16]),
}

impl Rules {
    /// The trace id of a trace.
    ///
    /// A UUID, with or without dashes, is taken as it is, as is a decimal number of up to 128 bits, which the Rust and
    /// PHP agents send; anything else is hashed.
    #[must_use]
    pub fn trace_id(self, id: &str) -> [u8; 16] {
        let text = id.as_bytes();
        let known = match self {
            Self::Distinct => uuid(text).or_else(|| decimal(id)),
            Self::Contrib if text.len() <= DASHED_LENGTH => uuid(text),
            Self::Contrib => contrib(id, 0),
        };
        known.filter(|id| *id != [0; 16]).unwrap_or_else(|| hashed(text))
    }

    /// The span ids of the segment with this id.
    #[must_use]
    pub fn segment(self, id: &str) -> SegmentSpans {
        let contrib = match self {
            Self::Distinct => None,
            Self::Contrib => contrib(id, 0),
        };
        SegmentSpans {
            base: contrib.map_or_else(|| Base::Hash(hash(id.as_bytes(), SPAN_SEED)), Base::Contrib),
        }
    }

    /// The span id of one span of a segment.
    #[must_use]
    pub fn span_id(self, segment: &str, span: i32) -> [u8; 8] {
        self.segment(segment).span_id(span)
    }
}

impl SegmentSpans {
    /// The id of the span with this number. Different numbers give different ids.
    #[must_use]
    pub fn span_id(&self, span: i32) -> [u8; 8] {
        match self.base {
            // One to one for a segment, but for the number that would give zero.
            Base::Hash(base) => {
                match mix(base.wrapping_add(u64::from(span.cast_unsigned()).wrapping_mul(STEP))) {
                    0 => STEP.to_be_bytes(),
                    id => id.to_be_bytes(),
                }
            }
            Base::Contrib(segment) => {
                let (high, low) = halves(segment);
                let id = high ^ low ^ u64::from(span.cast_unsigned().swap_bytes()) << 32;
                if id == 0 { STEP.to_be_bytes() } else { id.to_be_bytes() }
            }
        }
    }
}

/// The trace id that hexadecimal text stands for in other systems: up to 32 digits, filled up from the left.
#[must_use]
pub fn hexadecimal_trace_id(text: &str) -> Option<[u8; 16]> {
    let is_one = (1..=UUID_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = is_one.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    (id != 0).then(|| id.to_be_bytes())
}

/// The same for a span id of up to 16 digits.
#[must_use]
pub fn hexadecimal_span_id(text: &str) -> Option<[u8; 8]> {
    let is_one = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = is_one.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
    (id != 0).then(|| id.to_be_bytes())
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    match text.len() {
        UUID_DIGITS => digits(text.iter().copied()),
        DASHED_LENGTH if DASHES.iter().all(|place| text.get(*place) == Some(&b'-')) => {
            let is_digit = |place: &usize| !DASHES.contains(place);
            digits(
                text.iter().copied().enumerate().filter(|(place, _)| is_digit(place)).map(|(_, digit)| digit),
            )
        }
        _ => None,
    }
}

/// Two digits a byte.
fn digits(mut text: impl Iterator<Item = u8>) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    for byte in &mut id {
        *byte = digit(text.next()?)? << 4 | digit(text.next()?)?;
    }
    Some(id)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

/// Only as numbers are printed, so that two texts never stand for the same one.
fn decimal(text: &str) -> Option<[u8; 16]> {
    let is_number = (1..=MOST_DECIMALS).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse::<u128>().ok()).flatten().map(u128::to_be_bytes)
}

/// The Collector's rule for `UUID` and `UUID.thread.sequence`: all parts over each other.
fn contrib(id: &str, span: u32) -> Option<[u8; 16]> {
    let (start, rest) = id.split_at_checked(UUID_DIGITS)?;
    let mut bytes = digits(start.bytes())?;
    over(bytes.get_mut(..4)?, u64::from(span));
    if !rest.is_empty() {
        let (thread, sequence) = rest.strip_prefix('.')?.rsplit_once('.')?;
        over(bytes.get_mut(4..8)?, thread.parse::<i64>().ok()?.cast_unsigned());
        over(bytes.get_mut(8..)?, sequence.parse::<i64>().ok()?.cast_unsigned());
    }
    Some(bytes)
}

/// Exclusive-or with a number, its lowest byte first.
fn over(bytes: &mut [u8], number: u64) {
    for (byte, part) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *byte ^= part;
    }
}

fn halves(id: [u8; 16]) -> (u64, u64) {
    let id = u128::from_be_bytes(id);
    #[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
    ((id >> 64) as u64, id as u64)
}

const HIGH_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const LOW_SEED: u64 = 0xc2b2_ae3d_27d4_eb4f;
const SPAN_SEED: u64 = 0x1656_67b1_9e37_79f9;
const FACTOR: u64 = 0xff51_afd7_ed55_8ccd;
const STEP: u64 = 0xd6e8_feb8_6659_fd93;

fn hashed(text: &[u8]) -> [u8; 16] {
    let high = hash(text, HIGH_SEED);
    // Not zero, whatever the hash: a zero half is replaced.
    let low = match hash(text, LOW_SEED) {
        0 => STEP,
        low => low,
    };
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// A hash of eight bytes at a time, each over the product of what came before.
fn hash(text: &[u8], seed: u64) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut state = seed ^ (text.len() as u64).wrapping_mul(STEP);
    for word in words.iter().chain([&last]) {
        state = fold(state ^ u64::from_le_bytes(*word), FACTOR) ^ state.rotate_left(29);
    }
    mix(state)
}

/// Both halves of the product.
fn fold(left: u64, right: u64) -> u64 {
    let (high, low) = halves((u128::from(left) * u128::from(right)).to_be_bytes());
    high ^ low
}

/// Spreads every bit over all; one to one.
const fn mix(mut value: u64) -> u64 {
    value ^= value >> 32;
    value = value.wrapping_mul(STEP);
    value ^= value >> 32;
    value = value.wrapping_mul(STEP);
    value ^ value >> 32
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fmt::Write};

    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    const JAVA: &str = "56a5e1c519ae4c76a2b8b11d92cead7f.12.16563474296430001";

    #[test]
    fn contrib_ids_are_the_collectors() {
        let rules = Rules::Contrib;
        assert_eq!(hex(&rules.trace_id(JAVA)), "56a5e1c515ae4c7613e51e7cf616977f");
        for (span, id) in [(0, "4540ffb9e3b8db09"), (1, "4440ffb9e3b8db09"), (2, "4740ffb9e3b8db09")] {
            assert_eq!(hex(&rules.span_id(JAVA, span)), id);
        }
        assert_eq!(
            hex(&rules.trace_id("de5980b8fce34a37aab9b4ac3af7eedd.1.16563474296430001")),
            "de5980b8fde34a371be41bcd5e2fd4dd"
        );
        assert_eq!(hex(&rules.span_id("4f2f27748b8e44ecaf18fe0347194e86", 123)), "9b37d977cc970a6a");
        assert_eq!(
            hex(&rules.span_id("4f2f27748b8e44ecaf18fe0347194e86.33.16560607369950066", 123)),
            "e9c455a82542306a"
        );
    }

    #[test]
    fn uuids_and_numbers_are_taken_as_they_are() {
        let id = |text| hex(&Rules::Distinct.trace_id(text));
        assert_eq!(id("092ad022e4c511f189a702fc00000001"), "092ad022e4c511f189a702fc00000001");
        assert_eq!(id("7ce4a875-2385-44da-b191-c655ea0466d4"), "7ce4a875238544dab191c655ea0466d4");
        assert_eq!(
            id("21208317015139956760646975259178313043"),
            format!("{:032x}", 21_208_317_015_139_956_760_646_975_259_178_313_043_u128)
        );
        assert_ne!(id("01"), id("1"));
    }

    #[test]
    fn what_the_collector_makes_zero_or_twice_is_neither() {
        for rules in [Rules::Distinct, Rules::Contrib] {
            for segment in [
                "",
                "0",
                "00000000000000000000000000000000",
                "00000000-0000-0000-0000-000000000000",
                "21208317015139956760646975259178313043",
                "de5980b8-fce3-4a37-aab9-b4ac3af7eedd",
                "de5980b8fce34a37aab9b4ac3af7eedd.1",
                "kein Segment",
            ] {
                assert_ne!(rules.trace_id(segment), [0; 16], "{segment}");
                let ids: HashSet<_> = (-1..100).map(|span| rules.span_id(segment, span)).collect();
                assert_eq!(ids.len(), 101, "{segment}");
                assert!(!ids.contains(&[0; 8]), "{segment}");
            }
        }
        let neighbours = |sequence: u32, span| {
            Rules::Distinct
                .span_id(&format!("56a5e1c519ae4c76a2b8b11d92cead7f.12.1656347429{sequence}"), span)
        };
        assert_ne!(neighbours(2_146_612, 0), neighbours(2_146_614, 2), "the Collector's collide here");
    }

    /// Other Sluices, and those of tomorrow, make the same.
    #[test]
    fn hashes_never_change() {
        assert_eq!(hex(&Rules::Distinct.trace_id(JAVA)), "71925762e37a8eacf9b90e82d707415e");
        assert_eq!(hex(&Rules::Distinct.span_id(JAVA, 1)), "3ab541948b467cf2");
    }

    #[test]
    fn many_segments_have_many_spans() {
        let mut ids = HashSet::new();
        for sequence in 0..20_000 {
            let segment = format!("56a5e1c519ae4c76a2b8b11d92cead7f.12.1656347429643{sequence:04}");
            let segment = Rules::Distinct.segment(&segment);
            ids.extend((0..10).map(|span| segment.span_id(span)));
        }
        assert_eq!(ids.len(), 200_000);
    }

    proptest! {
        #[test]
        fn any_text_gives_an_id(text in ".{0,80}", span: i32) {
            for rules in [Rules::Distinct, Rules::Contrib] {
                prop_assert_ne!(rules.trace_id(&text), [0; 16]);
                prop_assert_ne!(rules.span_id(&text, span), [0; 8]);
            }
        }

        #[test]
        fn different_texts_have_different_ids(one in "[0-9a-f.-]{1,60}", other in "[0-9a-f.-]{1,60}") {
            let plain = |text: &str| text.replace('-', "");
            prop_assume!(plain(&one) != plain(&other));
            prop_assert_ne!(Rules::Distinct.trace_id(&one), Rules::Distinct.trace_id(&other));
            prop_assert_ne!(Rules::Distinct.span_id(&one, 0), Rules::Distinct.span_id(&other, 0));
        }
    }
}
