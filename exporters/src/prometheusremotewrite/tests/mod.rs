//! The exporter from OTLP to what servers read, by a decoder of its own.

mod answers;
mod bounds;
mod config;
mod fixture;
mod messages;
mod order;
mod targets;
mod translation;
mod version2;
