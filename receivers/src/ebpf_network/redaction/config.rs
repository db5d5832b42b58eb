//! The keys below `redaction`.

use regex::bytes::RegexBuilder;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::Problem;

use super::patterns::EXPRESSION_SIZE;

/// What is blanked beside the secrets that always are (authorization, cookies, API keys, tokens, passwords and the
/// like). Names are compared in any case and without punctuation; `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RedactionConfig {
    /// Names of headers.
    pub headers: Vec<String>,
    /// Names of JSON members at any depth, form fields, XML elements and attributes, and query keys.
    pub fields: Vec<String>,
    /// Names of query keys; form fields of these names are blanked too.
    pub query: Vec<String>,
    /// Regular expressions. What they match is blanked in paths, queries, heads and bodies.
    pub patterns: Vec<String>,
}

impl RedactionConfig {
    /// What cannot work; `key` is where the block stands below its component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (list, names) in [("headers", &self.headers), ("fields", &self.fields), ("query", &self.query)] {
            for (index, name) in names.iter().enumerate() {
                if !name.chars().any(|character| character.is_alphanumeric() || character == '*') {
                    problems.push(Problem::at(
                        format!("{key}.{list}.{index}"),
                        format!("the name {name:?} has no letter or digit, so it matches nothing; remove it"),
                    ));
                }
            }
        }
        for (index, pattern) in self.patterns.iter().enumerate() {
            let problem = match RegexBuilder::new(pattern).size_limit(EXPRESSION_SIZE).build() {
                Err(error) => format!("not a regular expression: {error}"),
                Ok(expression) if expression.is_match(b"") => {
                    format!(
                        "the pattern {pattern:?} matches nothing at all, the empty text, everywhere; make it match at least a character"
                    )
                }
                Ok(_) => continue,
            };
            problems.push(Problem::at(format!("{key}.patterns.{index}"), problem));
        }
        problems
    }
}
