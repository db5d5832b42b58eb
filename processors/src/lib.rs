//! The processors and connectors, a folder each.
