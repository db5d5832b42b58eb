//! Changes inputs: bit flips, truncations, edits of numbers and lengths, splices, dictionary tokens.

use fastrand::Rng;

use super::protobuf;

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Makes new inputs from a corpus.
pub(super) struct Mutator {
    pub(super) dictionary: &'static [&'static [u8]],
    pub(super) protobuf: bool,
    pub(super) largest: usize,
}

impl Mutator {
    /// A changed copy of an input of the corpus.
    pub(super) fn mutate(&self, corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
        let mut input = random.choice(corpus).cloned().unwrap_or_default();
        for _ in 0..=random.usize(..6) {
            if self.protobuf && random.u8(..4) > 0 && input.len() > 1 {
                let changed = protobuf::mutate(&input[1..], random);
                input.truncate(1);
                input.extend(changed);
            } else {
                self.change(&mut input, corpus, random);
            }
        }
        input.truncate(self.largest);
        input
    }

    fn change(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) {
        let place = random.usize(..=input.len());
        match random.u8(..10) {
            0 | 1 => flip(input, random),
            2 => input.truncate(place),
            3 => remove(input, place, random),
            4 => repeat(input, place, random, self.largest),
            5 => insert(input, place, &[random.u8(..)]),
            6 => number(input, place, random),
            7 => splice(input, place, random.choice(corpus).map_or(&[][..], Vec::as_slice), random),
            _ => match random.choice(self.dictionary) {
                Some(token) if random.bool() => insert(input, place, token),
                Some(token) => overwrite(input, place, token),
                None => flip(input, random),
            },
        }
    }
}

fn flip(input: &mut [u8], random: &mut Rng) {
    let place = random.usize(..=input.len());
    if let Some(byte) = input.get_mut(place) {
        *byte ^= 1 << random.u8(..8);
    }
}

fn remove(input: &mut Vec<u8>, place: usize, random: &mut Rng) {
    let end = (place + random.usize(..32)).min(input.len());
    input.drain(place..end);
}

/// A stretch of the input many times over: nesting, and lists that grow.
fn repeat(input: &mut Vec<u8>, place: usize, random: &mut Rng, largest: usize) {
    let end = (place + random.usize(1..32)).min(input.len());
    let times = random.usize(1..200).min(largest / (end - place).max(1));
    let stretch = input[place..end].repeat(times);
    insert(input, place, &stretch);
}

fn insert(input: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    input.splice(place..place, bytes.iter().copied());
}

fn overwrite(input: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    let end = (place + bytes.len()).min(input.len());
    input.splice(place..end, bytes.iter().copied());
}

/// A binary number at its edge, or a decimal one where digits stand.
fn number(input: &mut Vec<u8>, place: usize, random: &mut Rng) {
    let edge = random.choice(EDGES).unwrap_or(0);
    if input.get(place).is_some_and(u8::is_ascii_digit) {
        let end = input[place..]
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .map_or(input.len(), |digits| place + digits);
        input.splice(place..end, edge.to_string().into_bytes());
        return;
    }
    let bytes = if random.bool() { edge.to_le_bytes() } else { edge.to_be_bytes() };
    let width = random.choice([1, 2, 4, 8]).unwrap_or(1);
    overwrite(input, place, &bytes[..width]);
}

/// The input up to a place, then another input from some place on.
fn splice(input: &mut Vec<u8>, place: usize, other: &[u8], random: &mut Rng) {
    input.truncate(place);
    input.extend_from_slice(&other[random.usize(..=other.len())..]);
}
