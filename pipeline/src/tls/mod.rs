//! Client and server TLS with rustls, by the keys of the Collector.

mod client;
mod config;
mod explain;
mod files;
mod material;
mod names;
mod server;
mod subjects;
mod suites;
#[cfg(test)]
mod tests;
mod unverified;

pub use client::{ClientStream, ClientTls};
pub use config::{ClientTlsConfig, ServerTlsConfig};
pub use names::names as certificate_names;
pub use server::{ServerStream, ServerTls};

use crate::component::{BuildError, Problem};

/// The application protocols that HTTP servers and clients offer.
pub mod alpn {
    /// HTTP/1.1.
    pub const HTTP1: &[u8] = b"http/1.1";
    /// HTTP/2.
    pub const HTTP2: &[u8] = b"h2";
}

/// The first of several problems, where one is enough.
fn first(problems: Vec<Problem>) -> BuildError {
    match problems.into_iter().next() {
        Some(problem) => BuildError::setting(problem.key, problem.message),
        None => BuildError::Other("TLS cannot be set up".to_owned()),
    }
}
