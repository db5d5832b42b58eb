//! Where configuration comes from: the values of `--config` and `--set`.

use std::{fs, io, io::Read, path::PathBuf, str::FromStr, sync::Arc};

use super::{
    Location, Node, Problems, SourceText,
    node::{Entry, Mapping, Value},
    sensitive, yaml,
};

/// A source of configuration, as named by `--config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file: `file:path` or just the path.
    File(PathBuf),
    /// The text itself, `yaml:text`; `::` in a key separates levels.
    Yaml(String),
    /// An environment variable that holds the text: `env:NAME`.
    Env(String),
}

/// Why a value of `--config` names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    /// A scheme of the Collector that needs the network.
    #[error("--config {0}: configuration over HTTP is not in this build; fetch it to a file first")]
    NotInThisBuild(String),
    /// No scheme at all.
    #[error("--config {0}: unknown scheme; write a path, file:path, env:NAME or yaml:text")]
    UnknownScheme(String),
    /// Nothing to read.
    #[error("--config needs a path, file:path, env:NAME or yaml:text")]
    Empty,
}

/// What configuration may refer to outside itself.
pub trait Environment {
    /// An environment variable; `None` if it is not set or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
}

/// The environment and files of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // One byte more than is parsed, so that a longer file is refused, not cut.
        let limit = u64::try_from(yaml::LARGEST_TEXT).unwrap_or(u64::MAX).saturating_add(1);
        fs::File::open(path)?.take(limit).read_to_end(&mut content)?;
        Ok(content)
    }
}

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        if text.is_empty() {
            return Err(InvalidSource::Empty);
        }
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Self::File(text.into()));
        };
        match scheme {
            "file" => Ok(Self::File(rest.into())),
            "yaml" => Ok(Self::Yaml(rest.to_owned())),
            "env" => Ok(Self::Env(rest.to_owned())),
            "http" | "https" => Err(InvalidSource::NotInThisBuild(text.to_owned())),
            _ => Err(InvalidSource::UnknownScheme(text.to_owned())),
        }
    }
}

/// Whether a text before a colon is a scheme. One letter is a drive.
pub(super) fn is_scheme(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() > 1
        && characters.all(|character| character.is_ascii_alphanumeric() || "+.-".contains(character))
}

impl Source {
    /// Reads and parses it; a map or nothing.
    pub(super) fn read(&self, environment: &dyn Environment, problems: &mut Problems) -> Option<Node> {
        let node = match self {
            Self::File(path) => {
                let name = path.to_string_lossy();
                match environment.read(&name) {
                    Ok(content) => yaml::parse_bytes(&name, &content, problems),
                    Err(error) => {
                        let message = format!("cannot read the configuration: {error}");
                        problems.error(&Location::whole(name), message);
                        None
                    }
                }
            }
            Self::Yaml(text) => yaml::parse_bytes("yaml:", text.as_bytes(), problems).map(split_keys),
            Self::Env(name) => match environment.variable(name) {
                Some(text) => yaml::parse_bytes(&format!("env:{name}"), text.as_bytes(), problems),
                None => {
                    let message = format!("the environment variable {name} is not set");
                    problems.error(&Location::whole(format!("env:{name}")), message);
                    None
                }
            },
        }?;
        if node.as_mapping().is_none() && !node.is_null() {
            let message =
                format!("expected a map with receivers, exporters and service, found {}", node.describe());
            problems.error(&node.location, message);
            return None;
        }
        Some(node)
    }
}

/// Turns keys such as `a::b` into nested maps, as the Collector does for configuration on the command line.
pub(super) fn split_keys(mut node: Node) -> Node {
    const SEPARATOR: &str = "::";
    let Value::Mapping(entries) = &node.value else { return node };
    let mut split = Node::empty_map(node.location.clone());
    for entry in entries {
        let levels: Vec<&str> = entry.key.split(SEPARATOR).collect();
        let nested = nest(&levels, &entry.location, split_keys(entry.value.clone()));
        super::merge::merge(&mut split, &nested);
    }
    node.value = split.value;
    node
}

/// A map of maps that holds `value` below these keys.
fn nest(levels: &[&str], location: &Location, value: Node) -> Node {
    levels.iter().rev().fold(value, |value, level| {
        let mut mapping = Mapping::default();
        mapping.set(Entry { key: Arc::from(*level), location: location.clone(), value });
        Node::new(location.clone(), Value::Mapping(mapping))
    })
}

/// Parses a value of `--set`, such as `exporters.debug.verbosity=detailed`.
pub(super) fn parse_set(text: &str, problems: &mut Problems) -> Option<Node> {
    /// A path is no deeper than a file may be.
    const DEEPEST_PATH: usize = 50;
    let Some((path, value)) = text.split_once('=') else {
        let message = "write --set key=value, with the levels of the key joined by dots";
        problems.error(&Location::whole(format!("--set {text}")), message);
        return None;
    };
    let levels: Vec<&str> = path.split('.').map(str::trim).collect();
    let shown = if levels
        .iter()
        .any(|level| sensitive::is_secret_key(level) || sensitive::is_secret_section(level))
    {
        sensitive::REDACTED
    } else {
        value
    };
    let location = Location::whole(format!("--set {path}={shown}"));
    if levels.iter().any(|level| level.is_empty()) || levels.len() > DEEPEST_PATH {
        problems.error(&location, format!("{path:?} is not a path of keys joined by dots"));
        return None;
    }
    let mut found = Problems::default();
    let Some(mut value) = yaml::parse(&SourceText::new("", value), &mut found) else {
        let reason = found.iter().next().map_or_else(String::new, |diagnostic| diagnostic.message.clone());
        problems.error(&location, reason);
        return None;
    };
    relocate(&mut value, &location);
    Some(nest(&levels, &location, value))
}

/// Gives a node and all below it one place.
fn relocate(node: &mut Node, location: &Location) {
    node.location = location.clone();
    match &mut node.value {
        Value::Mapping(entries) => {
            for entry in entries.iter_mut() {
                entry.location = location.clone();
                relocate(&mut entry.value, location);
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| relocate(item, location)),
        _ => {}
    }
}
