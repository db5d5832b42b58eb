//! Everything that is wrong with a configuration, each with its place.

use std::fmt;

use super::{Location, Node};

/// What was found wrong. Reported together, in order of file and line.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Diagnostic>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether Sluice can run in spite of it.
    pub severity: Severity,
    /// Where it stands.
    pub location: Location,
    /// What is wrong.
    pub message: String,
    /// What was expected, what was probably meant, what to do.
    pub notes: Vec<String>,
    /// Whether the value at the place may be a secret whatever its key is called.
    pub concealed: bool,
}

/// Whether Sluice can run in spite of a problem.
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
        self.error_with(location, message, Vec::<String>::new());
    }

    /// An error at this place, with notes on what was expected or meant.
    pub fn error_with<N: Into<String>>(
        &mut self,
        location: &Location,
        message: impl Into<String>,
        notes: impl IntoIterator<Item = N>,
    ) {
        self.push(Diagnostic {
            severity: Severity::Error,
            location: location.clone(),
            message: message.into(),
            notes: notes.into_iter().map(Into::into).collect(),
            concealed: false,
        });
    }

    /// A warning at this place.
    pub fn warning(&mut self, location: &Location, message: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Warning,
            location: location.clone(),
            message: message.into(),
            notes: Vec::new(),
            concealed: false,
        });
    }

    /// An error at the value of `key` (levels joined by `.`) below `node`, or at the deepest level that exists.
    pub fn at_key(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        let (nearest, place) = node.nearest_place(key);
        let notes = nearest.reference.as_ref().map(|reference| format!("the value comes from {reference}"));
        self.error_with(place, message, notes);
    }

    /// Adds a problem, unless the very same is known already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Adds what was found elsewhere.
    pub fn extend(&mut self, other: Self) {
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }

    /// Whether anything keeps Sluice from starting.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether nothing was found at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What was found, in the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// What was found, by source (in the order in which they first appear) and line.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sources: Vec<&str> = Vec::new();
        for diagnostic in &self.list {
            let name = diagnostic.location.source.name();
            if !sources.contains(&name) {
                sources.push(name);
            }
        }
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|diagnostic| {
            let Location { source, line, column } = &diagnostic.location;
            (sources.iter().position(|name| *name == source.name()), *line, *column)
        });
        sorted
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}
