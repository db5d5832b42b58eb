//! The exporters, a folder each.
