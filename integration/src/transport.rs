//! What the tools share of HTTP: connections, gRPC framing, and bodies read with a cap.

use std::fmt;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sluice_pipeline::tls::{ClientTls, ClientTlsConfig, alpn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Outcome;

/// The largest HTTP/2 frame that the tools take: the relay must have Sluice's, to be its floor.
pub const FRAME_BYTES: u32 = 1 << 20;

/// The HTTP/2 window of a stream, as Sluice's.
pub const STREAM_WINDOW: u32 = 4 << 20;

/// The HTTP/2 window of a connection, as Sluice's.
pub const CONNECTION_WINDOW: u32 = 8 << 20;

/// The most that a tool reads of one body.
pub const BODY_LIMIT: usize = 64 << 20;

/// The body of every request that a tool sends.
pub type Whole = Full<Bytes>;

/// What came back, whole.
#[derive(Debug)]
pub struct Received {
    /// The body's bytes.
    pub body: Bytes,
    /// The trailers; empty if there were none.
    pub trailers: HeaderMap,
}

/// Puts the five bytes of gRPC framing before a message.
#[must_use]
pub fn frame(message: &[u8], compressed: bool) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(u8::from(compressed));
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Takes a single message out of its gRPC framing: whether it is compressed, and its bytes.
#[must_use]
pub fn unframe(body: &Bytes) -> Option<(bool, Bytes)> {
    let prefix: &[u8; 5] = body.first_chunk()?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    (body.len() == length + 5).then(|| (prefix[0] == 1, body.slice(5..)))
}

/// Opens an HTTP/2 connection and drives it in a task of its own.
///
/// # Errors
/// That the server cannot be reached.
pub async fn connect_http2(server: SocketAddr) -> Outcome<http2::SendRequest<Whole>> {
    connect_http2_with(server).await
}

/// As [`connect_http2`], for bodies of any kind.
///
/// # Errors
/// That the server cannot be reached.
pub async fn connect_http2_with<B>(server: SocketAddr) -> Outcome<http2::SendRequest<B>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<crate::Failure>,
{
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    begin_http2(stream).await
}

async fn begin_http2<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Outcome<http2::SendRequest<B>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<crate::Failure>,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_send_buf_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Encrypts connections to servers on this machine, whatever certificate they show.
#[derive(Clone)]
pub struct Encryption(ClientTls);

impl Encryption {
    /// TLS as Sluice's own clients speak it.
    ///
    /// # Errors
    /// That it cannot be set up.
    pub fn new() -> Outcome<Self> {
        let config = ClientTlsConfig { insecure_skip_verify: true, ..ClientTlsConfig::default() };
        Ok(Self(ClientTls::new(&config, "tls", &[alpn::HTTP2])?))
    }

    /// As [`connect_http2`].
    ///
    /// # Errors
    /// That the server cannot be reached, or does not speak TLS.
    pub async fn connect_http2(&self, server: SocketAddr) -> Outcome<http2::SendRequest<Whole>> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        begin_http2(self.0.connect("localhost", stream).await?).await
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Encryption")
    }
}

/// Opens an HTTP/1.1 connection and drives it in a task of its own.
///
/// # Errors
/// That the server cannot be reached.
pub async fn connect_http1(server: SocketAddr) -> Outcome<http1::SendRequest<Whole>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Reads a body to its end, with its trailers.
///
/// # Errors
/// That the peer broke off, or sent more than [`BODY_LIMIT`].
pub async fn receive(mut body: Incoming) -> Outcome<Received> {
    let mut chunks = Vec::new();
    let mut size = 0;
    let mut trailers = HeaderMap::new();
    while let Some(part) = body.frame().await {
        match part?.into_data() {
            Ok(data) => {
                size += data.len();
                if size > BODY_LIMIT {
                    return Err("the body is beyond what the tools take".into());
                }
                chunks.push(data);
            }
            Err(part) => trailers = part.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Received { body: join(chunks, size), trailers })
}

fn join(mut chunks: Vec<Bytes>, size: usize) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(size);
    chunks.iter().for_each(|chunk| whole.put_slice(chunk));
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_reads_back() {
        let framed = frame(b"hello", true);
        assert_eq!(&framed[..5], &[1, 0, 0, 0, 5]);
        assert_eq!(unframe(&framed), Some((true, Bytes::from_static(b"hello"))));
        assert_eq!(unframe(&framed.slice(..6)), None);
        assert_eq!(unframe(&Bytes::new()), None);
    }
}
