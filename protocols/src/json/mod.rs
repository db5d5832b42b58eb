//! JSON text, read and written in place: no tree, and strings are borrowed unless they hold escapes.
//!
//! A foreign protocol's reader drives [`Reader`] through the shape that it expects and skips the rest. Source: RFC 8259.

mod read;
mod scan;
mod write;

pub use read::{JsonError, JsonFault, MAX_DEPTH, Reader};
pub use write::write_string;

#[cfg(test)]
mod tests;
