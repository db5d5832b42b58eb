//! Which spans, log records and metrics a processor acts on: `include` and `exclude`.

mod config;
mod matcher;
mod pattern;
mod selection;

pub use config::{AttributeMatch, LibraryMatch, MatchConfig, MatchType, RegexpConfig, SeverityMatch};
pub(crate) use matcher::Matcher;
pub(crate) use selection::{Filter, Selection};
