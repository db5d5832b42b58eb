//! Secrets that are known by how they look.

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::{MatchKind, Span, util::prefilter::Prefilter};

use super::{blank, expression::Expression};

/// Bearer tokens outside their header, JSON Web Tokens, AWS access keys, private keys.
const BUILTIN: &str = r#"(?i:bearer)(?:[\s+:=]|%20)+[^\s"'<>,;&]+|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*|\bA[KS]IA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"#;

/// How each of them begins: most texts have none of that, which is faster to see.
const BEGINNINGS: &str = r"[Bb][Ee][Aa][Rr][Ee][Rr](?:[\s+:=]|%20)|eyJ|A[KS]IA|-----BEGIN ";

/// The first bytes of each of these beginnings, `bear` in any case beside them: few texts have even that.
const SIGNS: [&str; 4] = ["eyJ", "AKIA", "ASIA", "-----BEGIN "];
const SIGN_IN_ANY_CASE: &str = "bear";

/// How much of the end of a cut text is blanked where it may be the begin of what a configured pattern would match.
const DOUBTFUL: usize = 64;

/// The most memory that a pattern may take, in bytes.
pub(super) const EXPRESSION_SIZE: usize = 1 << 20;

/// The patterns, each applied to what the ones before it left.
#[derive(Debug)]
pub(super) struct Patterns {
    /// Looks at many bytes at a time; `None` where this machine cannot.
    signs: Option<Prefilter>,
    beginnings: Expression,
    builtin: Regex,
    configured: Vec<Regex>,
}

impl Patterns {
    pub(super) fn new(configured: &[String]) -> Result<Self, regex::Error> {
        let configured: Result<_, _> = configured
            .iter()
            .map(|pattern| RegexBuilder::new(pattern).size_limit(EXPRESSION_SIZE).build())
            .collect();
        let builtin = RegexBuilder::new(BUILTIN).unicode(false).build()?;
        Ok(Self {
            signs: Prefilter::new(MatchKind::LeftmostFirst, &signs()).filter(Prefilter::is_fast),
            beginnings: Expression::new(BEGINNINGS)?,
            builtin,
            configured: configured?,
        })
    }

    /// Whether one of the built-in patterns may match somewhere.
    fn may_begin(&self, text: &[u8]) -> bool {
        let first = match &self.signs {
            Some(signs) => signs.find(text, Span::from(0..text.len())).map(|found| found.start),
            None => Some(0),
        };
        first.is_some_and(|first| self.beginnings.is_match(&text[first..]))
    }

    /// Blanks what they match in `text` from `start` on; `cut` says that the text goes on.
    pub(super) fn apply(&self, text: &mut Vec<u8>, start: usize, cut: bool, spare: &mut Vec<u8>) {
        let Some(part) = text.get(start..) else { return };
        let builtin = self.may_begin(part).then_some(&self.builtin);
        for expression in builtin.into_iter().chain(&self.configured) {
            let Some(part) = text.get(start..) else { return };
            if !expression.is_match(part) {
                continue;
            }
            spare.clear();
            let mut written = 0;
            for found in expression.find_iter(part) {
                spare.extend_from_slice(&part[written..found.start()]);
                blank(spare);
                written = found.end();
            }
            spare.extend_from_slice(&part[written..]);
            text.truncate(start);
            text.extend_from_slice(spare);
        }
        if cut && !self.configured.is_empty() && text.len() > start {
            text.truncate(start.max(text.len().saturating_sub(DOUBTFUL)));
            blank(text);
        }
    }
}

fn signs() -> Vec<String> {
    let in_any_case = (0..1_u32 << SIGN_IN_ANY_CASE.len()).map(|upper| {
        let letters = SIGN_IN_ANY_CASE.chars().enumerate();
        letters
            .map(|(place, letter)| if upper >> place & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect()
    });
    SIGNS.into_iter().map(str::to_owned).chain(in_any_case).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn signs_miss_no_beginning(
            text in "[ -~]{0,40}([Bb][eE][aA][Rr][Ee][rR]|eyJ|A[KS]IA|-----BEGIN |x)( |%20|=|:|x)[ -~]{0,40}"
        ) {
            let patterns = Patterns::new(&[]).unwrap();
            prop_assert_eq!(patterns.may_begin(text.as_bytes()), patterns.beginnings.is_match(text.as_bytes()));
        }
    }

    fn applied(configured: &[&str], text: &str, cut: bool) -> String {
        let configured: Vec<_> = configured.iter().map(|&pattern| pattern.to_owned()).collect();
        let mut out = format!("eyJhbGciOiJIUzI1 {text}").into_bytes();
        Patterns::new(&configured).unwrap().apply(&mut out, 17, cut, &mut Vec::new());
        String::from_utf8(out).unwrap().split_off(17)
    }

    #[test]
    fn what_looks_like_a_secret_is_blanked() {
        for (text, expected) in [
            ("x Bearer abc.def, y", "x REDACTED, y"),
            ("x=BEARER%20abc&y", "x=REDACTED&y"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "jwt REDACTED end"),
            ("AKIAIOSFODNN7EXAMPLE", "REDACTED"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "REDACTED\nx"),
            ("-----BEGIN PRIVATE KEY-----\nabc", "REDACTED"),
            ("forbearer, bearers", "forbearer, bearers"),
        ] {
            assert_eq!(applied(&[], text, false), expected, "{text}");
        }
    }

    #[test]
    fn configured_patterns_are_blanked_one_by_one() {
        assert_eq!(applied(&["[0-9]{4}", "ab+"], "1234 abb 56", false), "REDACTED REDACTED 56");
    }

    #[test]
    fn the_end_of_a_cut_text_is_in_doubt() {
        let text = format!("{}1234 5678 9", "x".repeat(100));
        let blanked = applied(&["[0-9]{4} [0-9]{4} [0-9]{4}"], &text, true);
        assert!(blanked.ends_with("xREDACTED") && !blanked.contains('1'), "{blanked}");
        assert_eq!(applied(&["x"], "1", true), "REDACTED");
        assert_eq!(applied(&[], "1", true), "1");
    }
}
