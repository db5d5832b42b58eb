//! A small fuzz engine that runs on the stable toolchain: valid seeds, mutations, and bounds on time and memory.
//!
//! It has no coverage feedback. What guides it instead is the outcome that a target reports: an input with an
//! outcome not seen before joins the corpus.

mod compression;
mod credentials;
mod engine;
mod grpc;
mod http;
mod kubernetes;
mod mutate;
mod otlp;
mod protobuf;
mod queue;
mod redaction;
mod skywalking;
mod targets;
mod yaml;
mod zipkin;

pub use engine::{Failed, Limits, Settings, Summary, replay, run};
pub use targets::TARGETS;

/// A parser under test.
#[derive(Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Tokens that mean something to the parser.
    pub dictionary: &'static [&'static [u8]],
    /// Whether inputs are protobuf behind their first byte, to be changed field by field as well.
    pub protobuf: bool,
    /// Runs the parser and checks what must hold of its result, by panicking. Gives what came of it.
    pub run: fn(&[u8]) -> String,
    /// What one input may cost.
    pub limits: Limits,
}

/// A byte that names something, then the bytes.
fn tagged(place: usize, bytes: &[u8]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "a place in a short list")]
    let mut input = vec![place as u8];
    input.extend_from_slice(bytes);
    input
}

#[expect(clippy::panic, reason = "how a target reports a broken invariant")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
