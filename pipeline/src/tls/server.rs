//! The server's side: which certificate it shows, and which client certificates it asks for.

use std::{io, sync::Arc, time::Duration};

use rustls::{ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    config::{ServerTlsConfig, versions},
    material::{Source, identity, roots},
    provider,
};
use crate::component::BuildError;

/// How long a client may take for its handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// An encrypted incoming connection.
pub type ServerStream<S> = tokio_rustls::server::TlsStream<S>;

/// Encrypts incoming connections.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
}

impl ServerTls {
    /// TLS by this configuration, which stands at `key` below the component. `protocols` are accepted by ALPN, the
    /// preferred one first.
    ///
    /// # Errors
    /// The key and file at fault.
    pub fn new(config: &ServerTlsConfig, key: &str, protocols: &[&[u8]]) -> Result<Self, BuildError> {
        let versions = versions(key, &config.min_version, &config.max_version)
            .map_err(|problem| BuildError::setting(problem.key, problem.message))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| BuildError::setting(key, error.to_string()))?;
        let clients = Source { key, name: "client_ca", file: config.client_ca_file.as_deref(), text: None };
        let builder = match roots(&clients, false)? {
            Some(store) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
                    .build()
                    .map_err(|error| {
                        BuildError::setting(format!("{key}.client_ca_file"), error.to_string())
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let certificate =
            Source { key, name: "cert", file: config.cert_file.as_deref(), text: config.cert_pem.as_deref() };
        let identity = identity(&certificate, config.key_file.as_deref(), config.key_pem.as_ref())?
            .ok_or_else(|| {
                BuildError::setting(key, "a TLS server needs a certificate; set cert_file and key_file")
            })?;
        let mut tls = builder.with_single_cert(identity.chain, identity.private_key).map_err(|error| {
            BuildError::setting(key, format!("certificate and key do not work together: {error}"))
        })?;
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(tls)) })
    }

    /// Encrypts an accepted connection.
    ///
    /// # Errors
    /// Why the handshake failed, or that the client took too long for it.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<ServerStream<S>> {
        timeout(HANDSHAKE_LIMIT, self.acceptor.accept(stream)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long for its TLS handshake"))
        })
    }
}
