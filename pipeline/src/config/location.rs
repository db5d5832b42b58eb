//! Places in the texts that configuration is made of.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// A text of configuration under the name by which the user knows it: a file, `--set a.b=c`, `env:NAME`.
#[derive(Debug, Default)]
pub struct SourceText {
    name: String,
    text: String,
    line_starts: OnceLock<Vec<usize>>,
}

/// A place in a source of configuration.
#[derive(Clone, Debug)]
pub struct Location {
    /// The source, with its text so that the line can be shown.
    pub source: Arc<SourceText>,
    /// The line, from 1; 0 for the source as a whole.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
}

impl SourceText {
    /// A text under its name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), line_starts: OnceLock::new() })
    }

    /// The name by which the user knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A line, from 1, without its end; empty if there is no such line.
    #[must_use]
    pub fn line(&self, number: u32) -> &str {
        let starts = self.line_starts.get_or_init(|| {
            let after_breaks = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1);
            std::iter::once(0).chain(after_breaks).collect()
        });
        let Some(index) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)) else {
            return "";
        };
        let Some(start) = starts.get(index) else { return "" };
        let end = starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        self.text.get(*start..end).unwrap_or("").trim_end_matches('\r')
    }
}

impl Location {
    /// A place in `source`; line and column from 1.
    #[must_use]
    pub fn new(source: &Arc<SourceText>, line: usize, column: usize) -> Self {
        let clamp = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { source: Arc::clone(source), line: clamp(line), column: clamp(column) }
    }

    /// A source as a whole, where no line says more: a command-line flag, a variable, a missing file.
    #[must_use]
    pub fn whole(name: impl Into<String>) -> Self {
        Self { source: SourceText::new(name, ""), line: 0, column: 0 }
    }

    /// The place of a byte offset.
    pub(super) fn of_offset(source: &Arc<SourceText>, offset: usize) -> Self {
        let before = source.text.get(..offset).unwrap_or(&source.text);
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
        Self::new(source, line, column)
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.source.name == other.source.name && self.line == other.line && self.column == other.column
    }
}

impl Eq for Location {}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return formatter.write_str(&self.source.name);
        }
        write!(formatter, "{}:{}:{}", self.source.name, self.line, self.column)
    }
}
