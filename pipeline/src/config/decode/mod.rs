//! From nodes to typed structs, strictly, reporting everything that is wrong at once.

mod access;
mod deserializer;
mod error;

use std::{cell::RefCell, collections::HashSet};

use serde::de::DeserializeOwned;

use super::{Location, Node, Problems, SourceText, suggest, yaml};
use deserializer::NodeDeserializer;
pub(super) use error::DecodeError;

/// The name of a tuple struct whose parts take their keys from the same level; see [`crate::squash!`].
pub const SQUASH: &str = "$squash";
/// The start of the name of a newtype with defaults of its own, which follow as YAML; see [`crate::squash!`].
pub(super) const DEFAULTS: &str = "$defaults:";
/// The name of a newtype whose value no message may show.
pub(super) const SECRET: &str = "$secret";
/// The name under which durations ask for their value: a bare number is worth a warning.
pub(super) const DURATION: &str = "$duration";
/// What marks a key, as a serde alias such as `grpc=null`, whose presence alone means its defaults.
pub(super) const NULL_MARK: &str = "=null";

/// How many type errors of one component are reported: each costs another pass.
const TYPE_ERRORS: usize = 8;

/// Decodes a node into a typed configuration, reporting every unknown key and every wrong value.
///
/// A key whose value is null counts as absent and keeps its default. A null node is an empty map.
pub fn decode<T: DeserializeOwned>(node: &Node, problems: &mut Problems) -> Option<T> {
    let context = Context::default();
    let mut found = Problems::default();
    let mut decoded = None;
    for _ in 0..TYPE_ERRORS {
        context.path.borrow_mut().clear();
        match T::deserialize(NodeDeserializer::root(node, &context)) {
            Ok(value) => {
                decoded = Some(value);
                break;
            }
            Err(error) => {
                let skipped = context.skip(error.culprit());
                error.report(node, &mut found);
                // What decodes without the wrong value shows what else is wrong.
                if !skipped {
                    break;
                }
            }
        }
    }
    for (location, message) in context.warnings.into_inner() {
        found.warning(&location, message);
    }
    for unknown in context.unknown.into_inner() {
        let notes = suggest::nearest(&unknown.key, unknown.known.iter().copied())
            .map(|nearest| format!("did you mean \"{nearest}\"?"))
            .or_else(|| unknown.known_keys());
        found.error_with(&unknown.location, format!("unknown key \"{}\"", unknown.key), notes);
    }
    let sound = !found.has_errors();
    problems.extend(found);
    decoded.filter(|_| sound)
}

/// Decodes YAML text that is part of the program, such as the defaults of a component.
pub(crate) fn decode_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    let mut problems = Problems::default();
    let node = yaml::parse(&SourceText::new("default", text), &mut problems)?;
    decode(&node, &mut problems)
}

/// What one decoding knows besides the node at hand.
#[derive(Default)]
struct Context {
    unknown: RefCell<Vec<UnknownKey>>,
    /// What is odd but right.
    warnings: RefCell<Vec<(Location, String)>>,
    /// Where the decoding stands.
    path: RefCell<Vec<String>>,
    /// Values that turned out wrong and count as absent in further passes.
    skipped: RefCell<HashSet<Vec<String>>>,
}

struct UnknownKey {
    key: String,
    location: Location,
    known: Vec<&'static str>,
}

impl Context {
    /// Leaves a value out of the next pass; false if that was tried or there is none.
    fn skip(&self, culprit: Option<&[String]>) -> bool {
        culprit.is_some_and(|path| !path.is_empty() && self.skipped.borrow_mut().insert(path.to_vec()))
    }

    fn is_skipped(&self, segment: &str) -> bool {
        let skipped = self.skipped.borrow();
        if skipped.is_empty() {
            return false;
        }
        let mut path = self.path.borrow().clone();
        path.push(segment.to_owned());
        skipped.contains(&path)
    }

    fn report_unknown(&self, key: &str, location: &Location, known: &[&'static str]) {
        let mut unknown = self.unknown.borrow_mut();
        if !unknown.iter().any(|reported| reported.key == key && reported.location == *location) {
            unknown.push(UnknownKey {
                key: key.to_owned(),
                location: location.clone(),
                known: known.to_vec(),
            });
        }
    }
}

impl UnknownKey {
    fn known_keys(&self) -> Option<String> {
        const FEW: usize = 12;
        match self.known.as_slice() {
            [] => Some("no keys are known here".to_owned()),
            known if known.len() <= FEW => Some(format!("known keys: {}", known.join(", "))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
