//! Ids of components and pipelines: `type` or `type/name`.

use std::{fmt, str::FromStr};

use crate::signal::Signal;

/// The longest type, in bytes (the Collector's limit).
const TYPE_LIMIT: usize = 63;
/// The longest name, in characters (the Collector's limit).
const NAME_LIMIT: usize = 1024;

/// `type` or `type/name`, as in the Collector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    kind: String,
    name: Option<String>,
}

/// A signal with an optional name: `traces` or `traces/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId {
    /// The signal that the pipeline carries.
    pub signal: Signal,
    name: Option<String>,
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing before the slash.
    #[error("\"{0}\" has no component type; write type or type/name")]
    NoType(String),
    /// The type has other characters than letters, digits and underscores, or is too long.
    #[error(
        "\"{0}\" is not a component type: it starts with a letter and has at most 63 letters, digits and underscores"
    )]
    Type(String),
    /// A slash with nothing usable after it.
    #[error("the name part of \"{0}\" is empty, too long or has a space, control or symbol character")]
    Name(String),
    /// A pipeline id whose type is no signal.
    #[error(
        "\"{0}\" is not a signal; a pipeline is named traces, metrics, logs or profiles, with /name if need be"
    )]
    Signal(String),
}

impl ComponentId {
    /// An id without a name part, for a type that is known to be valid.
    #[must_use]
    pub fn of_type(kind: &str) -> Self {
        Self { kind: kind.to_owned(), name: None }
    }

    /// The type part.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name part.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl FromStr for ComponentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        if kind.is_empty() {
            return Err(InvalidId::NoType(text.to_owned()));
        }
        let mut characters = kind.chars();
        let starts_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
        if !starts_well
            || kind.len() > TYPE_LIMIT
            || !characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
        {
            return Err(InvalidId::Type(kind.to_owned()));
        }
        if name.is_some_and(|name| !is_name(name)) {
            return Err(InvalidId::Name(text.to_owned()));
        }
        Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) })
    }
}

fn is_name(name: &str) -> bool {
    let symbol = |character: char| matches!(character, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    !name.is_empty()
        && name.chars().count() <= NAME_LIMIT
        && !name
            .chars()
            .any(|character| character.is_whitespace() || character.is_control() || symbol(character))
}

impl fmt::Display for ComponentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{}/{name}", self.kind),
            None => formatter.write_str(&self.kind),
        }
    }
}

impl FromStr for PipelineId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id: ComponentId = text.parse()?;
        let signal = Signal::from_name(&id.kind).ok_or_else(|| InvalidId::Signal(id.kind.clone()))?;
        Ok(Self { signal, name: id.name })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{}/{name}", self.signal),
            None => self.signal.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_collectors_grammar() {
        let id: ComponentId =
            " otlp / front door".parse::<ComponentId>().unwrap_or(ComponentId::of_type("x"));
        assert_eq!(id.to_string(), "x", "a space inside a name is refused");
        let id: ComponentId = "otlp / 2 ".parse().unwrap();
        assert_eq!((id.kind(), id.name()), ("otlp", Some("2")), "both sides are trimmed");
        assert_eq!("otlp/".parse::<ComponentId>(), Err(InvalidId::Name("otlp/".into())));
        assert!("2otlp".parse::<ComponentId>().is_err());
        assert!("/x".parse::<ComponentId>().is_err());
        assert_eq!("otlp/a/b".parse::<ComponentId>().unwrap().name(), Some("a/b"));
    }

    #[test]
    fn a_pipeline_is_named_after_its_signal() {
        assert_eq!("traces/in".parse::<PipelineId>().unwrap().signal, Signal::Traces);
        assert!(matches!("spans".parse::<PipelineId>(), Err(InvalidId::Signal(_))));
    }
}
