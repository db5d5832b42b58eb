//! Makes one connection of a channel.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tracing::debug;

use super::{body::Outgoing, endpoint::Endpoint};
use crate::{
    component::BuildError,
    grpc::{GrpcClientConfig, KeepaliveClientConfig, Status},
    http::tune,
    reply::Code,
    tls::{ClientTls, alpn},
};

/// How long the answer to a ping may take where nothing is configured.
const PING_LIMIT: Duration = Duration::from_secs(20);
/// Answers are small; large frames and windows cost nothing until they are used.
const FRAME: u32 = 1 << 20;
const SEND_BUFFER: usize = 512 << 10;

/// One address of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Makes the connections of a channel.
pub(super) struct Dialler {
    endpoint: Endpoint,
    tls: Option<ClientTls>,
    keepalive: Option<KeepaliveClientConfig>,
    send_buffer: usize,
}

impl Dialler {
    pub(super) fn new(config: &GrpcClientConfig, endpoint: &Endpoint) -> Result<Self, BuildError> {
        let tls = match endpoint.is_encrypted() {
            true => Some(ClientTls::new(&config.tls, "tls", &[alpn::HTTP2])?),
            false => None,
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            tls,
            keepalive: config.keepalive.clone(),
            send_buffer: match usize::try_from(config.write_buffer_size) {
                Ok(0) | Err(_) => SEND_BUFFER,
                Ok(size) => size,
            },
        })
    }

    /// The destination as configured, for messages.
    pub(super) fn name(&self) -> &str {
        self.endpoint.name()
    }

    pub(super) async fn dial(&self, peer: &Peer) -> io::Result<SendRequest<Outgoing>> {
        match peer {
            Peer::Unix(path) => self.secure(UnixStream::connect(path).await?).await,
            Peer::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                tune(&stream)?;
                self.secure(stream).await
            }
        }
    }

    async fn secure<S>(&self, stream: S) -> io::Result<SendRequest<Outgoing>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = &self.tls else {
            return self.handshake(stream, "if the destination encrypts, remove tls.insecure").await;
        };
        let stream = tls.connect(self.endpoint.server_name(), stream).await?;
        self.handshake(stream, "is it a gRPC server?").await
    }

    async fn handshake<S>(&self, stream: S, hint: &str) -> io::Result<SendRequest<Outgoing>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_frame_size(FRAME)
            .initial_stream_window_size(FRAME)
            .initial_connection_window_size(FRAME * 4)
            .max_send_buf_size(self.send_buffer);
        if let Some(keepalive) = &self.keepalive {
            builder
                .keep_alive_interval(keepalive.time.limit())
                .keep_alive_timeout(keepalive.timeout.limit().unwrap_or(PING_LIMIT))
                .keep_alive_while_idle(keepalive.permit_without_stream);
        }
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| io::Error::other(format!("no HTTP/2 connection: {error}; {hint}")))?;
        let name = self.endpoint.name().to_owned();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(endpoint = name, %error, "A connection ended with an error");
            }
        });
        Ok(sender)
    }
}

/// What a call is told whose connection was lost.
pub(super) fn lost(error: &hyper::Error) -> Status {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Status::new(Code::Unavailable, format!("the connection was lost: {error}{cause}"))
}

/// Whether the destination ended the connection in order and never looked at the call (RFC 9113, section 6.8).
pub(super) fn was_not_looked_at(error: &hyper::Error) -> bool {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>()).is_some_and(
        |cause| cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR),
    )
}
