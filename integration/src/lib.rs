//! End-to-end tests against real peers, the load generator, the benchmarks and the fuzz harness.

pub mod bench;
pub mod fuzz;
pub mod load;
pub mod overhead;
pub mod payload;
pub mod process;
pub mod relay;
pub mod serve;
pub mod sink;
pub mod transport;

/// A failure of a tool, as text for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a tool's step gives.
pub type Outcome<T> = Result<T, Failure>;
