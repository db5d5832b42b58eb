//! The HTTP server that receivers and extensions share: the keys of the Collector's `confighttp`, admission by the
//! byte budget, and an orderly end.

mod accept;
mod config;
mod connection;
mod cors;
mod crowd;
mod door;
mod http2;
mod limits;
mod request;
#[cfg(test)]
mod tests;

pub use accept::{Options, Protocols, Server};
pub use config::{AuthConfig, CorsConfig, HttpServerConfig};
pub use connection::Lifetime;
pub use door::HttpServer;
pub use http2::Http2Settings;
pub use limits::AcceptLimits;
pub use request::{Content, IncomingRequest};

pub(crate) use config::{below, bind, bind_problems, header_map};
pub(crate) use door::authenticator;

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;

use super::ResponseBody;

/// Answers the requests of an [`HttpServer`].
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Called concurrently; dropped when the client leaves.
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>>;

    /// A request was refused before it came here; `reason` is [`super::Refusal::reason`], or `write_timeout` for an
    /// answer that took too long.
    fn refused(&self, _reason: &'static str) {}
}

/// Answers the requests of a [`Server`] as they come from the wire.
pub trait RawHandler: Send + Sync + 'static {
    /// Answers one request. Called concurrently; dropped when the client leaves.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Option<SocketAddr>,
    ) -> BoxFuture<'_, Response<ResponseBody>>;
}
