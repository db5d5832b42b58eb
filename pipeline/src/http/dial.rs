//! Outgoing connections: plain or encrypted.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::tls::{ClientTls, alpn};

/// How long a connection may take to be made, whatever the caller's deadline.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// After what silence the system probes the peer, and how long sent data may stay unacknowledged.
const TCP_PATIENCE: Duration = Duration::from_secs(20);

/// A connection of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A connection that was made.
pub(crate) struct Dialled {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether the server chose HTTP/2 by ALPN.
    pub(crate) is_http2: bool,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot connect to {target}: {reason}")]
    Connect { target: Target, reason: io::Error },
    #[error("cannot connect to {target}: no answer within {} seconds", CONNECT_LIMIT.as_secs())]
    Silent { target: Target },
    #[error("cannot encrypt the connection to {target}: {reason}")]
    Tls { target: Target, reason: io::Error },
    #[error("{0}")]
    Setting(String),
}

/// Connects to `target`, encrypted if there is `tls`.
pub(crate) async fn dial(target: &Target, tls: Option<&ClientTls>) -> Result<Dialled, DialError> {
    timeout(CONNECT_LIMIT, connect(target, tls))
        .await
        .unwrap_or_else(|_| Err(DialError::Silent { target: target.clone() }))
}

async fn connect(target: &Target, tls: Option<&ClientTls>) -> Result<Dialled, DialError> {
    let failed = |reason| DialError::Connect { target: target.clone(), reason };
    let host = target.host.trim_matches(['[', ']']);
    let addresses = lookup_host((host, target.port)).await.map_err(failed)?.collect();
    let addresses = shuffled(addresses, fastrand::usize(..));
    let stream = TcpStream::connect(addresses.as_slice()).await.map_err(failed)?;
    tune(&stream).map_err(failed)?;
    encrypt(target, stream, tls).await
}

/// The addresses to try, in turn from `start`, so that connections spread over them. The system's choice between IPv4 and
/// IPv6 stays: those of its first address's kind come first.
fn shuffled(addresses: Vec<SocketAddr>, start: usize) -> Vec<SocketAddr> {
    let is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_ipv6);
    if !preferred.is_empty() {
        let first = start % preferred.len();
        preferred.rotate_left(first);
    }
    preferred.extend(others);
    preferred
}

async fn encrypt(target: &Target, stream: TcpStream, tls: Option<&ClientTls>) -> Result<Dialled, DialError> {
    let Some(tls) = tls else {
        return Ok(Dialled { stream: Box::new(stream), is_http2: false });
    };
    let stream = tls
        .connect(&target.host, stream)
        .await
        .map_err(|reason| DialError::Tls { target: target.clone(), reason })?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(alpn::HTTP2);
    Ok(Dialled { stream: Box::new(stream), is_http2 })
}

/// Has the system notice a peer that is gone.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_PATIENCE).with_interval(TCP_PATIENCE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(TCP_PATIENCE))?;
    Ok(())
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_over_addresses_of_the_preferred_kind() {
        let all = ["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"].map(|text| text.parse::<SocketAddr>().unwrap());
        let first = |start| shuffled(all.to_vec(), start).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(first(0), ["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]);
        assert_eq!(first(1), ["10.0.0.2:1", "10.0.0.1:1", "[::1]:1"]);
        assert_eq!(first(usize::MAX), first(1));
        assert!(shuffled(Vec::new(), 3).is_empty());
    }
}
