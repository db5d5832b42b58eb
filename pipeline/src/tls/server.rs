//! The server's side: which certificate it shows, and which client certificates it asks for.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    config::{ServerTlsConfig, versions},
    first,
    material::{Source, identity, roots},
    subjects::Subjects,
    suites,
};
use crate::{component::BuildError, from_files::FromFiles};

/// How long a client may take for its handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// An encrypted incoming connection.
pub type ServerStream<S> = tokio_rustls::server::TlsStream<S>;

/// Encrypts incoming connections.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<FromFiles<ServerConfig>>,
}

impl ServerTls {
    /// TLS by this configuration, which stands at `key` below the component. `protocols` are accepted by ALPN, the
    /// preferred one first.
    ///
    /// # Errors
    /// The key and file at fault.
    pub fn new(config: &ServerTlsConfig, key: &str, protocols: &[&[u8]]) -> Result<Self, BuildError> {
        let tls = match config.files(key) {
            Some(files) => {
                let (config, key) = (config.clone(), key.to_owned());
                let protocols: Vec<Vec<u8>> = protocols.iter().map(|protocol| protocol.to_vec()).collect();
                FromFiles::watched(files, move || rustls_config(&config, &key, protocols.clone()))?
            }
            None => {
                let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
                FromFiles::fixed(rustls_config(config, key, protocols)?)
            }
        };
        Ok(Self { config: tls })
    }

    /// Encrypts an accepted connection.
    ///
    /// # Errors
    /// Why the handshake failed, or that the client took too long for it.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<ServerStream<S>> {
        let acceptor = TlsAcceptor::from(self.config.current().await);
        timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long for its TLS handshake"))
        })
    }
}

/// What rustls needs, by the files as they are now.
fn rustls_config(
    config: &ServerTlsConfig,
    key: &str,
    protocols: Vec<Vec<u8>>,
) -> Result<ServerConfig, BuildError> {
    let versions = versions(key, &config.min_version, &config.max_version)
        .map_err(|problem| BuildError::setting(problem.key, problem.message))?;
    let provider = suites::provider(key, &config.cipher_suites, &config.curve_preferences).map_err(first)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| BuildError::setting(key, error.to_string()))?;
    let clients = Source { key, name: "client_ca", file: config.client_ca_file.as_deref(), text: None };
    let builder = match roots(&clients, false)? {
        Some(store) => {
            let verifier: Arc<dyn ClientCertVerifier> =
                WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build().map_err(
                    |error| BuildError::setting(format!("{key}.client_ca_file"), error.to_string()),
                )?;
            builder.with_client_cert_verifier(match config.allowed_client_subjects.as_slice() {
                [] => verifier,
                rules => Arc::new(Subjects::new(verifier, rules.to_vec())),
            })
        }
        None => builder.with_no_client_auth(),
    };
    let certificate =
        Source { key, name: "cert", file: config.cert_file.as_deref(), text: config.cert_pem.as_deref() };
    let identity =
        identity(&certificate, config.key_file.as_deref(), config.key_pem.as_ref())?.ok_or_else(|| {
            BuildError::setting(key, "a TLS server needs a certificate; set cert_file and key_file")
        })?;
    let mut tls = builder.with_single_cert(identity.chain, identity.private_key).map_err(|error| {
        BuildError::setting(key, format!("certificate and key do not work together: {error}"))
    })?;
    tls.alpn_protocols = protocols;
    Ok(tls)
}
