//! What went wrong in decoding, in plain words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{Location, Node, Problems, suggest};
use crate::config::{Diagnostic, Severity};

/// A value of the wrong type or a missing one.
#[derive(Debug)]
pub(in crate::config) struct DecodeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    message: String,
    notes: Vec<String>,
    /// Where; set by the innermost value that knows its place.
    location: Option<Location>,
    /// The path of that value, if decoding may go on without it.
    culprit: Option<Vec<String>>,
    /// The key whose absence is the error.
    missing: Option<&'static str>,
    /// Whether it follows from an error that was reported before.
    consequence: bool,
    /// Whether the value may be a secret.
    concealed: bool,
}

impl DecodeError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            message: message.into(),
            notes: Vec::new(),
            location: None,
            culprit: None,
            missing: None,
            consequence: false,
            concealed: false,
        }))
    }

    /// A value of another type than expected.
    pub(super) fn mismatch(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }

    /// Places the error at a node, unless it has a place.
    pub(super) fn at(mut self, node: &Node, path: &[String], concealed: bool) -> Self {
        if self.0.location.is_none() {
            self.0.concealed = concealed;
            self.0.location = Some(node.location.clone());
            if let Some(reference) = &node.reference {
                self.0.notes.push(format!("the value comes from {reference}"));
            }
        }
        self.0.culprit.get_or_insert_with(|| path.to_vec());
        self
    }

    /// Places the error of a map as a whole, which has no culprit of its own.
    pub(super) fn in_map(mut self, node: &Node, left_out: impl Fn(&str) -> bool) -> Self {
        if self.0.location.is_none() {
            self.0.location = Some(node.location.clone());
            self.0.consequence = self.0.missing.is_some_and(left_out);
        }
        self
    }

    pub(super) fn culprit(&self) -> Option<&[String]> {
        self.0.culprit.as_deref()
    }

    pub(super) fn report(self, root: &Node, problems: &mut Problems) {
        let Inner { message, notes, location, consequence, concealed, .. } = *self.0;
        if !consequence {
            let location = location.unwrap_or_else(|| root.location.clone());
            problems.push(Diagnostic { severity: Severity::Error, location, message, notes, concealed });
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(expected, Plain(unexpected))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(expected, Plain(unexpected))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::mismatch(expected, format_args!("{length} values"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let error = Self::mismatch(one_of(expected), format_args!("{variant:?}"));
        match suggest::nearest(variant, spellings(expected)) {
            Some(nearest) => error.note(format!("did you mean \"{nearest}\"?")),
            None => error,
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let error = Self::new(format!("unknown key {field:?}"));
        match suggest::nearest(field, expected.iter().copied()) {
            Some(nearest) => error.note(format!("did you mean \"{nearest}\"?")),
            None => error,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::new(format!("\"{field}\" is missing; it has no default"));
        error.0.missing = Some(field);
        error
    }
}

/// The names of an enum's variants, for messages.
pub(super) fn one_of(variants: &'static [&'static str]) -> String {
    let quoted: Vec<String> = spellings(variants).map(|name| format!("\"{name}\"")).collect();
    format!("one of {}", quoted.join(", "))
}

/// The names without aliases that differ in case only.
fn spellings(variants: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    let is_alias = |name: &str| {
        let lower = name.to_ascii_lowercase();
        lower != name && variants.contains(&lower.as_str())
    };
    variants.iter().copied().filter(move |name| !is_alias(name))
}

/// What was found, without Rust's type names.
struct Plain<'a>(Unexpected<'a>);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(truth) => write!(formatter, "{truth}"),
            Unexpected::Unsigned(number) => write!(formatter, "the number {number}"),
            Unexpected::Signed(number) => write!(formatter, "the number {number}"),
            Unexpected::Float(number) => write!(formatter, "the number {number}"),
            Unexpected::Str(text) => write!(formatter, "the string {text:?}"),
            Unexpected::Unit | Unexpected::Option => formatter.write_str("nothing (null)"),
            Unexpected::Seq => formatter.write_str("a list"),
            Unexpected::Map => formatter.write_str("a map"),
            other => write!(formatter, "{other}"),
        }
    }
}
