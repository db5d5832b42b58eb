//! A regular expression that is asked yes or no, of short texts and often: from a table, where that stays small.

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::{
    Input,
    dfa::{Automaton, StartKind, dense},
    util::syntax,
};

/// The most memory that an expression may take, in bytes.
const SIZE: usize = 1 << 20;
/// The most memory that its table may take, in bytes.
const TABLE_SIZE: usize = 1 << 18;

/// A case-sensitive expression over bytes.
#[derive(Debug)]
pub(super) enum Expression {
    /// A transition a byte, and nothing to set up before.
    Table(Box<dense::DFA<Vec<u32>>>),
    /// What would need too many states.
    Regex(Regex),
}

impl Expression {
    pub(super) fn new(pattern: &str) -> Result<Self, regex::Error> {
        // Compiled either way, for its errors.
        let regex = RegexBuilder::new(pattern).unicode(false).size_limit(SIZE).build()?;
        let table = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(TABLE_SIZE))
                    .determinize_size_limit(Some(SIZE)),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build(pattern);
        Ok(table.map_or(Self::Regex(regex), |table| Self::Table(Box::new(table))))
    }

    /// Whether it matches somewhere in `text`.
    #[inline]
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            // No byte makes this table give up; if one did, the answer would be the careful one.
            Self::Table(table) => !matches!(table.try_search_fwd(&Input::new(text).earliest(true)), Ok(None)),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::ebpf_network::redaction::names::{FIELDS, HEADERS, QUERY};

    static BOTH: LazyLock<Vec<(Expression, Regex)>> = LazyLock::new(|| {
        let both = |pattern| {
            (Expression::new(pattern).unwrap(), RegexBuilder::new(pattern).unicode(false).build().unwrap())
        };
        [HEADERS, FIELDS, QUERY].map(both).into()
    });

    #[test]
    fn what_is_built_in_has_tables() {
        for pattern in [HEADERS, FIELDS, &format!("{FIELDS}|{QUERY}|^x.*y.*z$")] {
            assert!(matches!(Expression::new(pattern).unwrap(), Expression::Table(_)), "{pattern}");
        }
    }

    #[test]
    fn what_needs_too_many_states_works_without_a_table() {
        let expression = Expression::new("^.*a.{14}$").unwrap();
        assert!(matches!(expression, Expression::Regex(_)));
        assert!(expression.is_match(b"xab0123456789abc") && !expression.is_match(b"b"));
    }

    proptest! {
        #[test]
        fn table_and_regex_agree(text in "[a-z]{0,3}(token|key|passw|sid|pin|auth|cookie|x)?[a-z0-9\u{e9}]{0,4}") {
            for (expression, regex) in &*BOTH {
                prop_assert_eq!(expression.is_match(text.as_bytes()), regex.is_match(text.as_bytes()), "{}", text);
            }
        }
    }
}
