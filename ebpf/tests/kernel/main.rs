//! What the programs see of real traffic on loopback, in both tiers. Needs root on a kernel with BTF.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod actor;
mod captures;
mod connections;
mod filters;
mod loading;
mod processes;
mod ring;
mod untold;
mod watch;
