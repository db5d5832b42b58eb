//! The connection of a channel: made when needed, shared by all calls, replaced when lost.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    sync::Mutex,
    time::{sleep, timeout},
};
use tracing::debug;

use super::endpoint::{Address, Endpoint};
use crate::{
    component::BuildError,
    grpc::{GrpcClientConfig, KeepaliveClientConfig, Status},
    http::RopeBody,
    reply::Code,
    tls::{ClientTls, alpn},
};

/// How long making a connection may take, with its TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The pause between attempts of a call that waits for a connection.
const WAIT_PAUSE: Duration = Duration::from_millis(200);
/// Answers are small; large frames and windows cost nothing until they are used.
const FRAME: u32 = 1 << 20;
const SEND_BUFFER: usize = 512 << 10;

/// The connection of a channel.
pub(super) struct Connections {
    endpoint: Endpoint,
    tls: Option<ClientTls>,
    keepalive: Option<KeepaliveClientConfig>,
    send_buffer: usize,
    wait_for_ready: bool,
    pick_first: bool,
    next_address: AtomicUsize,
    current: Mutex<Option<SendRequest<RopeBody>>>,
}

/// A call that got no answer.
pub(super) struct Unsent {
    pub(super) status: Status,
    /// Whether the destination certainly saw nothing of it, so that it may be sent again at once.
    pub(super) retry: bool,
}

impl Connections {
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
            wait_for_ready: config.wait_for_ready,
            pick_first: config.balancer_name == "pick_first",
            next_address: AtomicUsize::new(0),
            current: Mutex::new(None),
        })
    }

    /// Sends a request over the connection, which is made if there is none.
    pub(super) async fn send(
        &self,
        request: Request<RopeBody>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Unsent> {
        let mut sender = self.sender(deadline).await.map_err(|status| Unsent { status, retry: false })?;
        if let Err(error) = sender.ready().await {
            self.forget().await;
            return Err(Unsent { status: lost(&error), retry: true });
        }
        sender.try_send_request(request).await.map_err(|mut failed| {
            // hyper gives a request back exactly if nothing of it went out.
            let retry = failed.take_message().is_some();
            Unsent { status: lost(failed.error()), retry }
        })
    }

    async fn sender(&self, deadline: Instant) -> Result<SendRequest<RopeBody>, Status> {
        let mut current = self.current.lock().await;
        if let Some(sender) = current.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        loop {
            match timeout(CONNECT_LIMIT, self.connect())
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            {
                Ok(sender) => {
                    *current = Some(sender.clone());
                    return Ok(sender);
                }
                Err(error) if self.wait_for_ready && Instant::now() + WAIT_PAUSE < deadline => {
                    debug!(endpoint = self.endpoint.name(), %error, "Cannot connect; the call waits");
                    sleep(WAIT_PAUSE).await;
                }
                Err(error) => return Err(self.cannot_connect(&error)),
            }
        }
    }

    async fn forget(&self) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(SendRequest::is_closed) {
            *current = None;
        }
    }

    fn cannot_connect(&self, error: &io::Error) -> Status {
        let message = format!("cannot connect to {}: {error}", self.endpoint.name());
        Status::new(Code::Unavailable, message)
    }

    async fn connect(&self) -> io::Result<SendRequest<RopeBody>> {
        match self.endpoint.address() {
            Address::Unix(path) => self.secure(UnixStream::connect(path).await?).await,
            Address::Tcp { host, port } => {
                let stream = self.connect_tcp(host, *port).await?;
                stream.set_nodelay(true)?;
                self.secure(stream).await
            }
        }
    }

    /// Tries the addresses of the name in turn, beginning with the next one.
    async fn connect_tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut addresses: Vec<_> = lookup_host((host, port)).await?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        if !self.pick_first {
            let turn = self.next_address.fetch_add(1, Ordering::Relaxed);
            let first = turn % addresses.len();
            addresses.rotate_left(first);
        }
        TcpStream::connect(addresses.as_slice()).await
    }

    async fn secure<S>(&self, stream: S) -> io::Result<SendRequest<RopeBody>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = &self.tls else {
            return self.handshake(stream, "if the destination encrypts, remove tls.insecure").await;
        };
        let stream = tls.connect(self.endpoint.server_name(), stream).await?;
        self.handshake(stream, "is it a gRPC server?").await
    }

    async fn handshake<S>(&self, stream: S, hint: &str) -> io::Result<SendRequest<RopeBody>>
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
                .keep_alive_timeout(keepalive.timeout.limit().unwrap_or(CONNECT_LIMIT))
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

fn lost(error: &hyper::Error) -> Status {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Status::new(Code::Unavailable, format!("the connection was lost: {error}{cause}"))
}
