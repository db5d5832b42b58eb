//! What to do about a handshake that failed.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// The failure in words, with the key that may help.
pub(super) fn explain(error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            "the server closed the connection during the TLS handshake; if it speaks plaintext, set tls.insecure: true"
                .to_owned()
        } else {
            error.to_string()
        };
    };
    match hint(tls) {
        Some(hint) => format!("{tls}; {hint}"),
        None => tls.to_string(),
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::InvalidMessage(_) => {
            "the server does not speak TLS; if it speaks plaintext, set tls.insecure: true"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "set tls.server_name_override to a name that the certificate has",
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "set tls.ca_file to the certificate of the CA that issued it"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server needs a new certificate"
        }
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            "the server may want a client certificate: set tls.cert_file and tls.key_file"
        }
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::BadCertificate) => {
            "the server does not trust the client certificate of tls.cert_file"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "see tls.min_version and tls.max_version on both sides"
        }
        _ => return None,
    })
}
