//! Client and server TLS with rustls, by the keys of the Collector.
