//! What is done to attributes: the keys of an action, and the operation that they make.

mod config;
mod convert;
mod edits;
mod hash;
mod operation;
mod source;

pub use config::{ActionConfig, ActionKind};
pub(crate) use edits::Edits;
pub(crate) use operation::{Operation, compile, problems};
