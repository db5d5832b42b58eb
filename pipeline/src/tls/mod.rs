//! Client and server TLS with rustls, by the keys of the Collector.

mod client;
mod config;
mod explain;
mod files;
mod material;
mod server;
#[cfg(test)]
mod tests;
mod unverified;

pub use client::{ClientStream, ClientTls};
pub use config::{ClientTlsConfig, ServerTlsConfig};
pub use server::{ServerStream, ServerTls};

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

/// The application protocols that HTTP servers and clients offer.
pub mod alpn {
    /// HTTP/1.1.
    pub const HTTP1: &[u8] = b"http/1.1";
    /// HTTP/2.
    pub const HTTP2: &[u8] = b"h2";
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}
