//! Makes the connections of the pool.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};

use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tower_service::Service;

use super::HttpClientConfig;
use crate::{
    component::BuildError,
    http::dial::{DialError, Dialled, Stream, Target, dial},
    tls::{ClientTls, ClientTlsConfig, alpn},
};

#[derive(Clone)]
pub(super) struct Connector {
    tls: Arc<Tls>,
}

/// TLS that is set up when first needed: most destinations speak plaintext, and reading the system's CAs takes
/// milliseconds.
struct Tls {
    config: ClientTlsConfig,
    protocols: &'static [&'static [u8]],
    ready: OnceLock<Result<ClientTls, String>>,
}

/// When a connection was made.
#[derive(Clone, Copy)]
pub(super) struct Born(pub(super) Instant);

pub(super) struct Pooled {
    born: Born,
    stream: TokioIo<Box<dyn Stream>>,
    is_http2: bool,
}

impl Connector {
    pub(super) fn new(config: &HttpClientConfig) -> Result<Self, BuildError> {
        let protocols: &[&[u8]] =
            if config.force_attempt_http2 { &[alpn::HTTP2, alpn::HTTP1] } else { &[alpn::HTTP1] };
        let tls = Tls { config: config.tls.clone(), protocols, ready: OnceLock::new() };
        let is_needed = config.endpoint.starts_with("https:") || config.tls != ClientTlsConfig::default();
        if is_needed && !config.tls.insecure {
            // What is wrong with files is to show at start.
            let ready = ClientTls::new(&tls.config, "tls", protocols)?;
            let _ = tls.ready.set(Ok(ready));
        }
        Ok(Self { tls: Arc::new(tls) })
    }
}

impl Tls {
    fn get(&self) -> Result<&ClientTls, DialError> {
        let ready = self.ready.get_or_init(|| {
            ClientTls::new(&self.config, "tls", self.protocols).map_err(|error| error.to_string())
        });
        ready.as_ref().map_err(|message| DialError::Setting(message.clone()))
    }
}

impl Service<Uri> for Connector {
    type Response = Pooled;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Pooled, DialError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = Arc::clone(&self.tls);
        Box::pin(async move {
            let is_secure = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
            let target = Target { host: uri.host().unwrap_or_default().to_owned(), port };
            let tls = if is_secure { Some(tls.get()?) } else { None };
            let Dialled { stream, is_http2 } = dial(&target, tls).await?;
            Ok(Pooled { born: Born(Instant::now()), stream: TokioIo::new(stream), is_http2 })
        })
    }
}

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.born);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
