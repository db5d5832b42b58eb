//! Texts and values to compare with.

use regex::bytes::RegexSet;
use sluice_pipeline::otlp::view::{AnyValue, View};

use super::config::MatchType;
use crate::attributes::literal::Literal;

/// Texts of which any may match.
#[derive(Clone, Debug)]
pub(super) enum Patterns {
    Strict(Vec<Box<[u8]>>),
    Regexp(RegexSet),
}

/// A value to match.
#[derive(Clone, Debug)]
pub(super) enum ValuePattern {
    Any,
    /// A value of the same type that is equal; encoded.
    Equal(Vec<u8>),
    Text(Patterns),
}

/// Texts that cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("not a regular expression: {0}")]
    Regexp(#[from] regex::Error),
    #[error("match_type: regexp compares text only; put the value in quotes or use match_type: strict")]
    NotText,
}

impl Patterns {
    pub(super) fn of(match_type: MatchType, texts: &[String]) -> Result<Self, PatternError> {
        Ok(match match_type {
            MatchType::Strict => Self::Strict(texts.iter().map(|text| text.as_bytes().into()).collect()),
            MatchType::Regexp => Self::Regexp(RegexSet::new(texts)?),
        })
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Strict(texts) => texts.iter().any(|candidate| **candidate == *text),
            Self::Regexp(expressions) => expressions.is_match(text),
        }
    }
}

/// The regular expression of a configured value.
pub(super) fn of_literal(value: &Literal) -> Result<Patterns, PatternError> {
    match value {
        Literal::String(text) => Patterns::of(MatchType::Regexp, std::slice::from_ref(text)),
        _ => Err(PatternError::NotText),
    }
}

impl ValuePattern {
    pub(super) fn of(match_type: MatchType, value: Option<&Literal>) -> Result<Self, PatternError> {
        Ok(match (value, match_type) {
            (None, _) => Self::Any,
            (Some(value), MatchType::Strict) => Self::Equal(value.encoded()),
            (Some(value), MatchType::Regexp) => Self::Text(of_literal(value)?),
        })
    }

    pub(super) fn matches(&self, value: AnyValue<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Equal(expected) => equal(AnyValue::of(expected), value),
            Self::Text(patterns) => match value {
                AnyValue::String(text) => patterns.matches(text),
                AnyValue::Bool(_) | AnyValue::Int(_) | AnyValue::Double(_) => {
                    patterns.matches(value.text().as_bytes())
                }
                _ => false,
            },
        }
    }
}

fn equal(one: AnyValue<'_>, other: AnyValue<'_>) -> bool {
    match (one, other) {
        (AnyValue::String(one), AnyValue::String(other)) => one == other,
        (AnyValue::Bool(one), AnyValue::Bool(other)) => one == other,
        (AnyValue::Int(one), AnyValue::Int(other)) => one == other,
        #[expect(clippy::float_cmp, reason = "the very number that is configured is meant")]
        (AnyValue::Double(one), AnyValue::Double(other)) => one == other,
        // The text of lists and maps does not depend on the order of keys.
        (AnyValue::Array(_), AnyValue::Array(_)) | (AnyValue::KeyValues(_), AnyValue::KeyValues(_)) => {
            one.text() == other.text()
        }
        _ => false,
    }
}
