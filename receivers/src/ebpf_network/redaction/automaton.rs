//! Names against an expression: a look into a table for each byte, whatever its case and punctuation.

use std::collections::HashMap;

use regex_automata::{
    Input,
    dfa::{Automaton as _, dense},
    util::primitives::StateID,
};

use super::names::PLAIN;

/// An expression over [plain](PLAIN) names, ready for names as they are written.
#[derive(Debug)]
pub(super) struct Automaton {
    /// Rows of states, in which the column of a byte's class has where the next row begins.
    next: Vec<u16>,
    classes: Box<[u8; 256]>,
    start: usize,
    /// The column that has [`MATCH`] if a name may end in the state.
    end: usize,
}

/// The row that no byte leads out of: the expression has matched.
const MATCH: u16 = 0;
/// The class of bytes that do not count, by which a state stays as it is.
const SKIPPED: u8 = 0;

impl Automaton {
    /// `None` if the table would be too large.
    pub(super) fn new(states: &dense::DFA<Vec<u32>>) -> Option<Self> {
        let (classes, bytes) = classes(states);
        // One column more for bytes that are skipped, one for the end.
        let width = bytes.len() + 2;
        let start = states.start_state_forward(&Input::new(b"")).ok()?;
        let mut rows = HashMap::from([(start, width)]);
        let mut found = vec![start];
        let mut next = vec![MATCH; width];
        let mut done = 0;
        while let Some(state) = found.get(done).copied() {
            done += 1;
            next.push(u16::try_from(done * width).ok()?);
            for byte in &bytes {
                let to = states.next_state(state, *byte);
                next.push(match is_match(states, to) {
                    true => MATCH,
                    false => {
                        let row = *rows.entry(to).or_insert_with(|| {
                            found.push(to);
                            found.len() * width
                        });
                        u16::try_from(row).ok()?
                    }
                });
            }
            let ends = is_match(states, states.next_eoi_state(state));
            next.push(if ends { MATCH } else { u16::MAX });
        }
        Some(Self { next, classes: Box::new(classes), start: width, end: width - 1 })
    }

    /// Whether the expression matches somewhere in what counts of a name; never in nothing.
    #[inline]
    pub(super) fn is_match(&self, name: &[u8]) -> bool {
        let mut row = self.start;
        for byte in name {
            row = usize::from(self.next[row + usize::from(self.classes[usize::from(*byte)])]);
        }
        self.next[row + self.end] == MATCH
            && (row != self.start || name.iter().any(|byte| PLAIN[usize::from(*byte)] != 0))
    }
}

/// No byte makes the table give up; if one did, the answer would be the careful one.
fn is_match(states: &dense::DFA<Vec<u32>>, state: StateID) -> bool {
    states.is_match_state(state) || states.is_quit_state(state)
}

/// The class of each byte, and one plain byte of each class but [`SKIPPED`].
fn classes(states: &dense::DFA<Vec<u32>>) -> ([u8; 256], Vec<u8>) {
    let mut classes = [SKIPPED; 256];
    let mut numbers = HashMap::new();
    let mut bytes = Vec::new();
    for (class, plain) in classes.iter_mut().zip(PLAIN).filter(|(_, plain)| *plain != 0) {
        *class = *numbers.entry(states.byte_classes().get(plain)).or_insert_with(|| {
            bytes.push(plain);
            // There are fewer classes than bytes.
            u8::try_from(bytes.len()).unwrap_or(SKIPPED)
        });
    }
    (classes, bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ebpf_network::redaction::{
        expression::Expression,
        names::{FIELDS, HEADERS, QUERY},
    };

    fn automaton(expression: &Expression) -> Automaton {
        let Expression::Table(states) = expression else { panic!("it has a table") };
        Automaton::new(states).unwrap()
    }

    proptest! {
        #[test]
        fn it_tells_what_the_expression_tells(
            name in "[A-Za-z _.-]{0,3}(To-ken|key|PASSW|sid|p_i_n|auth|Cookie|x)?[A-Za-z0-9\u{e9}. -]{0,4}"
        ) {
            for pattern in [HEADERS.to_owned(), FIELDS.to_owned(), format!("{FIELDS}|{QUERY}|^x.*y.*z$"), "^.*$".to_owned()] {
                let expression = Expression::new(&pattern).unwrap();
                let plain: Vec<u8> = name.bytes().map(|byte| PLAIN[usize::from(byte)]).filter(|byte| *byte != 0).collect();
                let expected = !plain.is_empty() && expression.is_match(&plain);
                prop_assert_eq!(automaton(&expression).is_match(name.as_bytes()), expected, "{} in {}", pattern, name);
            }
        }
    }
}
