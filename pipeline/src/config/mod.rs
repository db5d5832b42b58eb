//! Configuration: from YAML text to typed structs, with the place of every value kept.

mod decode;
mod document;
mod expand;
pub mod known;
mod load;
mod location;
mod merge;
mod node;
mod problems;
mod render;
mod scalar;
mod sensitive;
mod source;
#[doc(hidden)]
pub mod squash;
pub(crate) mod suggest;
pub mod telemetry;
pub mod types;
mod yaml;

pub use decode::decode;
pub use document::{Definition, Document, Located, Pipeline};
pub use load::load;
pub use location::{Location, SourceText};
pub use node::{Description, Entry, Mapping, Node, Value};
pub use problems::{Diagnostic, Problems, Severity};
pub use sensitive::REDACTED;
pub use source::{Environment, InvalidSource, Source, System};

/// Parses one YAML text under a name for its places, without merging or expanding anything.
pub fn parse(name: &str, text: &str, problems: &mut Problems) -> Option<Node> {
    yaml::parse_bytes(name, text.as_bytes(), problems)
}
