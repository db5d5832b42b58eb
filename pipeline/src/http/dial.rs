//! Outgoing connections: plain or encrypted.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
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
    let stream = TcpStream::connect((host, target.port)).await.map_err(failed)?;
    tune(&stream).map_err(failed)?;
    encrypt(target, stream, tls).await
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

fn tune(stream: &TcpStream) -> io::Result<()> {
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
