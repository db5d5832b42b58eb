//! Reads certificates and keys from the files and texts that a configuration names.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{component::BuildError, config::types::Secret};

/// A certificate chain with its private key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) private_key: PrivateKeyDer<'static>,
}

/// Where PEM text comes from. `key` is the place of the `tls` section below the component.
pub(super) struct Source<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) text: Option<&'a str>,
}

impl Source<'_> {
    /// The PEM text with the key that it belongs to; `None` if neither file nor text is configured.
    fn read(&self) -> Result<Option<(String, Vec<u8>)>, BuildError> {
        if let Some(path) = self.file {
            let key = format!("{}.{}_file", self.key, self.name);
            return match std::fs::read(path) {
                Ok(pem) => Ok(Some((key, pem))),
                Err(error) => Err(BuildError::setting(key, format!("cannot read {path}: {error}"))),
            };
        }
        Ok(self.text.map(|text| (format!("{}.{}_pem", self.key, self.name), text.as_bytes().to_vec())))
    }

    /// What stands in the messages for the content.
    fn origin(&self) -> &str {
        self.file.unwrap_or("the PEM text")
    }

    /// All certificates of the source.
    pub(super) fn certificates(&self) -> Result<Option<Vec<CertificateDer<'static>>>, BuildError> {
        let Some((key, pem)) = self.read()? else { return Ok(None) };
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| {
                BuildError::setting(&key, format!("{} is not valid PEM: {error}", self.origin()))
            })?;
        if certificates.is_empty() {
            return Err(BuildError::setting(key, format!("{} holds no PEM certificate", self.origin())));
        }
        Ok(Some(certificates))
    }

    fn private_key(&self) -> Result<Option<PrivateKeyDer<'static>>, BuildError> {
        let Some((key, pem)) = self.read()? else { return Ok(None) };
        PrivateKeyDer::from_pem_slice(&pem).map(Some).map_err(|_| {
            // The parser's words may quote the content.
            let message =
                format!("{} holds no unencrypted PEM private key (PKCS#8, PKCS#1 or SEC1)", self.origin());
            BuildError::setting(key, message)
        })
    }
}

/// The private key of the `tls` section at `key`, if one is configured.
pub(super) fn private_key(
    key: &str,
    key_file: Option<&str>,
    key_pem: Option<&Secret>,
) -> Result<Option<PrivateKeyDer<'static>>, BuildError> {
    Source { key, name: "key", file: key_file, text: key_pem.map(Secret::expose) }.private_key()
}

/// This side's certificate and key, if both are configured.
pub(super) fn identity(
    certificate: &Source<'_>,
    key_file: Option<&str>,
    key_pem: Option<&Secret>,
) -> Result<Option<Identity>, BuildError> {
    match (certificate.certificates()?, private_key(certificate.key, key_file, key_pem)?) {
        (Some(chain), Some(private_key)) => Ok(Some(Identity { chain, private_key })),
        (None, None) => Ok(None),
        _ => Err(BuildError::setting(
            certificate.key,
            "a certificate and its private key go together; set cert_file and key_file",
        )),
    }
}

/// The CAs of a source, and the system's if asked for.
pub(super) fn roots(
    authorities: &Source<'_>,
    with_system: bool,
) -> Result<Option<RootCertStore>, BuildError> {
    let mut store = RootCertStore::empty();
    let own = authorities.certificates()?;
    let configured = own.is_some();
    for certificate in own.into_iter().flatten() {
        store.add(certificate).map_err(|error| {
            BuildError::setting(
                format!("{}.{}_file", authorities.key, authorities.name),
                format!("{} holds a certificate that cannot be a CA: {error}", authorities.origin()),
            )
        })?;
    }
    if with_system {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = store.add_parsable_certificates(system.certs);
        if added == 0 && !configured {
            let reasons: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
            return Err(BuildError::setting(
                format!("{}.{}_file", authorities.key, authorities.name),
                format!(
                    "the system has no CA certificates ({}); install ca-certificates or name a file here",
                    if reasons.is_empty() { "none found".to_owned() } else { reasons.join(", ") }
                ),
            ));
        }
    }
    Ok((configured || with_system).then_some(store))
}
