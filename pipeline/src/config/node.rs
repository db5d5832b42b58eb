//! The tree that configuration is before it is typed.

use std::sync::Arc;

/// A value with the place that it came from.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub location: Location,
}

/// A place in a source of configuration.
#[derive(Clone, Debug)]
pub struct Location {
    /// The source as the user named it: a file, `--set a.b=c`, `env:NAME`.
    pub source: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}
