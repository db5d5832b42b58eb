//! The extensions, a folder each.
