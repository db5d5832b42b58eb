//! End-to-end tests against real peers, the load generator and the benchmarks.
