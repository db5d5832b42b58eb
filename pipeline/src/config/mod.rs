//! Configuration: from YAML text to typed structs, with the place of every value kept.

#[cfg(test)]
mod broken;
mod decode;
mod document;
mod expand;
pub mod known;
mod load;
mod location;
mod merge;
mod node;
pub mod print;
mod problems;
pub mod reference;
mod render;
mod scalar;
pub mod schema;
mod sensitive;
mod source;
#[doc(hidden)]
pub mod squash;
pub(crate) mod suggest;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod types;
mod write;
mod yaml;

pub use decode::decode;
pub use document::{Definition, Document, Located, Pipeline};
pub use load::load;
pub use location::{Location, SourceText};
pub use node::{Description, Entry, Mapping, Node, Value};
pub use problems::{Diagnostic, Problems, Severity};
pub use sensitive::{REDACTED, is_secret_key};
pub use source::{Environment, InvalidSource, Source, System};
pub use yaml::parse_bytes;

/// As [`parse_bytes`], for text.
pub fn parse(name: &str, text: &str, problems: &mut Problems) -> Option<Node> {
    parse_bytes(name, text.as_bytes(), problems)
}
