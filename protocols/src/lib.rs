//! Message types and id rules of foreign protocols.
