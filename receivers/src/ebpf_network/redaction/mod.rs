//! Blanks secrets in what is kept of exchanges: names stay, values become [`REDACTED`].
//!
//! What is blanked without being asked for cannot be switched off: the values of headers, query keys, form fields, JSON
//! members, XML elements and HTML fields whose names mark secrets, credentials in URLs, and what looks like a bearer
//! token, a JSON Web Token, an AWS key or a private key wherever it stands. Names are compared as servers and people
//! read them: in any case, after percent-decoding and JSON escapes, without punctuation. Where the end of a secret was
//! not captured, everything up to the end of the capture counts as the secret.

mod automaton;
mod common;
mod config;
mod expression;
mod head;
mod json;
mod markup;
mod names;
mod patterns;
mod text;

pub use self::config::RedactionConfig;
use self::{common::Common, names::Names, patterns::Patterns};

/// What stands for a secret; it tells nothing of its length.
pub const REDACTED: &str = "REDACTED";

/// Blanks secrets. Share one between all who write.
#[derive(Debug)]
pub struct Redactor {
    headers: Names,
    /// In request targets and header values.
    query: Names,
    /// Headers that need not be looked for in these two.
    common: Common,
    /// In bodies.
    fields: Names,
    patterns: Patterns,
}

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// JSON, one text or several.
    Json,
    /// XML or HTML.
    Markup,
    /// Anything else, line by line.
    Plain,
}

/// Whether a message is a request or a response: their first lines differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A request.
    Request,
    /// A response.
    Response,
}

/// Names or patterns that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("cannot compile the names and patterns to redact: {0}; use fewer or shorter ones")]
pub struct InvalidRedaction(#[from] regex::Error);

impl Redactor {
    /// Compiles a configuration without problems.
    ///
    /// # Errors
    /// [`InvalidRedaction`] if a pattern is invalid, or all are too large together.
    pub fn new(config: &RedactionConfig) -> Result<Self, InvalidRedaction> {
        let fields: Vec<_> = config.fields.iter().chain(&config.query).map(String::as_str).collect();
        let headers = Names::new(names::HEADERS, config.headers.iter().map(String::as_str))?;
        let query = Names::new(&format!("{}|{}", names::FIELDS, names::QUERY), fields.iter().copied())?;
        Ok(Self {
            common: Common::new(&headers, &query),
            headers,
            query,
            fields: Names::new(names::FIELDS, fields.iter().copied())?,
            patterns: Patterns::new(&config.patterns)?,
        })
    }

    /// Appends a path, a query, or another short text of a request's head; patterns included.
    pub fn write_short(&self, text: &[u8], cut: bool, out: &mut Vec<u8>, spare: &mut Vec<u8>) {
        let start = out.len();
        text::scrub(&self.query, text, cut, out);
        self.patterns.apply(out, start, cut, spare);
    }

    /// An authority without its user information.
    #[must_use]
    pub fn host(host: &str) -> &str {
        host.rsplit_once('@').map_or(host, |(_, host)| host)
    }

    /// Appends a head; stops after the line with which `out` reaches `limit`. `cut` says that the head was not captured
    /// to its end.
    pub fn write_head(&self, side: Side, head: &[u8], cut: bool, limit: usize, out: &mut Vec<u8>) {
        head::write(self, side, head, cut, limit, out);
    }

    /// Appends a body. `cut` says that it goes on.
    pub fn write_body(&self, syntax: Syntax, body: &[u8], cut: bool, out: &mut Vec<u8>) {
        match syntax {
            Syntax::Form => drop(text::scrub(&self.fields, body, cut, out)),
            Syntax::Json => json::write(&self.fields, body, cut, out),
            Syntax::Markup => markup::write(&self.fields, body, cut, out),
            Syntax::Plain => text::lines(&self.fields, body, cut, out),
        }
    }

    /// Applies the patterns to what was appended from `start` on.
    pub fn apply_patterns(&self, out: &mut Vec<u8>, start: usize, cut: bool, spare: &mut Vec<u8>) {
        self.patterns.apply(out, start, cut, spare);
    }
}

/// Appends [`REDACTED`].
fn blank(out: &mut Vec<u8>) {
    out.extend_from_slice(REDACTED.as_bytes());
}

#[cfg(test)]
mod tests;
