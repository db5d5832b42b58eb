//! The receivers, a folder each.
