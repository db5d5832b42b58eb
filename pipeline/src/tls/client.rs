//! The client's side: how outgoing connections are encrypted and whom they trust.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{
    config::{ClientTlsConfig, versions},
    explain::explain,
    first,
    material::{Source, identity, roots},
    suites,
    unverified::Unverified,
};
use crate::{component::BuildError, from_files::FromFiles};

/// An encrypted outgoing connection.
pub type ClientStream<S> = tokio_rustls::client::TlsStream<S>;

/// Encrypts outgoing connections.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<FromFiles<ClientConfig>>,
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// TLS by this configuration, which stands at `key` below the component. `protocols` are offered by ALPN, the
    /// preferred one first.
    ///
    /// # Errors
    /// The key and file at fault.
    pub fn new(config: &ClientTlsConfig, key: &str, protocols: &[&[u8]]) -> Result<Self, BuildError> {
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
        let name = config
            .server_name_override
            .as_ref()
            .map(|name| server_name(name))
            .transpose()
            .map_err(|message| BuildError::setting(format!("{key}.server_name_override"), message))?;
        Ok(Self { config: tls, name })
    }

    /// Encrypts `stream` to the server called `host`.
    ///
    /// # Errors
    /// Why the handshake failed and what may help.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
    ) -> io::Result<ClientStream<S>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(io::Error::other)?,
        };
        TlsConnector::from(self.config.current().await)
            .connect(name, stream)
            .await
            .map_err(|error| io::Error::new(error.kind(), explain(&error)))
    }
}

/// What rustls needs, by the files as they are now.
fn rustls_config(
    config: &ClientTlsConfig,
    key: &str,
    protocols: Vec<Vec<u8>>,
) -> Result<ClientConfig, BuildError> {
    let versions = versions(key, &config.min_version, &config.max_version)
        .map_err(|problem| BuildError::setting(problem.key, problem.message))?;
    let provider = suites::provider(key, &config.cipher_suites, &config.curve_preferences).map_err(first)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| BuildError::setting(key, error.to_string()))?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new(provider)))
    } else {
        let authorities =
            Source { key, name: "ca", file: config.ca_file.as_deref(), text: config.ca_pem.as_deref() };
        let own = authorities.file.is_some() || authorities.text.is_some();
        let store = roots(&authorities, config.include_system_ca_certs_pool || !own)?;
        builder.with_root_certificates(store.unwrap_or_else(rustls::RootCertStore::empty))
    };
    let certificate =
        Source { key, name: "cert", file: config.cert_file.as_deref(), text: config.cert_pem.as_deref() };
    let mut tls = match identity(&certificate, config.key_file.as_deref(), config.key_pem.as_ref())? {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain, identity.private_key).map_err(|error| {
                BuildError::setting(key, format!("certificate and key do not work together: {error}"))
            })?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = protocols;
    Ok(tls)
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        format!("\"{host}\" is neither a DNS name nor an address, so no certificate can be for it")
    })
}
