//! The addresses of a destination.

use std::{io, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::net::lookup_host;

use super::{
    connection::Peer,
    endpoint::{Address, Endpoint},
};

/// Finds the addresses of a destination.
pub(super) type Resolver = Arc<dyn Fn() -> BoxFuture<'static, io::Result<Vec<Peer>>> + Send + Sync>;

/// The resolver of a configured destination: all addresses of its name.
pub(super) fn resolver(endpoint: &Endpoint) -> Resolver {
    match endpoint.address().clone() {
        Address::Unix(path) => Arc::new(move || {
            let path = path.clone();
            Box::pin(async move { Ok(vec![Peer::Unix(path)]) })
        }),
        Address::Tcp { host, port } => Arc::new(move || {
            let host = host.clone();
            Box::pin(async move {
                let addresses: Vec<SocketAddr> = lookup_host((host.as_str(), port)).await?.collect();
                Ok(addresses.into_iter().map(Peer::Tcp).collect())
            })
        }),
    }
}
