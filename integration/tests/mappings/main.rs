//! What survives between foreign protocols and OTLP: the translations of a receiver and an exporter, back to back.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod skywalking;
mod zipkin;
