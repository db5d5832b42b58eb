//! What a component says of itself, once.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::Reference;
use crate::signal::Signal;

/// The single declaration of a component type.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// The canonical type name, as in the Collector where it has the component.
    pub name: &'static str,
    /// Other names under which it is accepted.
    pub aliases: &'static [&'static str],
    /// What it is for, in a sentence.
    pub summary: &'static str,
    /// What it takes and gives. Receivers, processors and exporters name each signal as a pair with itself;
    /// connectors name (taken, given); extensions nothing.
    pub signals: &'static [(Pair, Stability)],
    /// Whether it answers on absorption: it holds data to aggregate, join or sample, so what it holds is lost with
    /// the process.
    pub absorbs: bool,
    /// A whole configuration that shows it at work, for its page; a test runs it.
    pub example: &'static str,
}

/// What goes in and what comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair(pub Signal, pub Signal);

/// How far a component's behaviour and keys may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// May change without notice.
    Development,
    /// Works, may change.
    Alpha,
    /// Keys are settled.
    Beta,
    /// Changes follow a deprecation.
    Stable,
}

/// The five kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Receiver,
    Processor,
    Exporter,
    Connector,
    Extension,
}

/// A component's typed configuration: its keys, defaults and docs.
///
/// Doc comments become the descriptions of the JSON Schema. Deserialising an empty map must give the defaults.
pub trait ComponentConfig: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Checks what types cannot say; every problem at once.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Checks the files that it names and that are read when the component is built, such as certificates. Asked of
    /// components that a pipeline uses; reads and never writes.
    fn file_problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// The extensions that it needs, checked before anything is built.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }
}

/// A value that has the right type but cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key below the component, levels joined by `.`; empty for the component itself.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem with the value at `key`.
    pub fn at(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl Declaration {
    /// Whether it answers to this type name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether it takes `signal` in any pair.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        self.signals.iter().any(|(pair, _)| pair.0 == signal)
    }

    /// Whether it turns `pair.0` into `pair.1`.
    #[must_use]
    pub fn supports(&self, pair: Pair) -> bool {
        self.signals.iter().any(|(known, _)| *known == pair)
    }
}

impl Kind {
    /// The section of the configuration in which such components are defined.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Connector => "connectors",
            Self::Extension => "extensions",
        }
    }

    /// The singular, for messages and log fields.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Connector => "connector",
            Self::Extension => "extension",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Stability {
    /// The Collector's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "Development",
            Self::Alpha => "Alpha",
            Self::Beta => "Beta",
            Self::Stable => "Stable",
        }
    }
}

/// The pairs of a component that takes and gives each of these signals.
#[macro_export]
macro_rules! same_signals {
    ($stability:ident: $($signal:ident),+) => {
        &[$((
            $crate::component::Pair($crate::Signal::$signal, $crate::Signal::$signal),
            $crate::component::Stability::$stability,
        )),+]
    };
}
