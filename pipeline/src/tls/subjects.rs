//! `allowed_client_subjects`: which clients of a trusted CA may connect.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tracing::warn;

use super::names::names;

/// The kinds of names that a rule can ask for.
const KINDS: [&str; 7] = ["CN=", "O=", "OU=", "DNS:", "URI:", "email:", "IP:"];

/// What is wrong with a rule.
pub(super) fn problem(rule: &str) -> Option<String> {
    let named = KINDS.iter().any(|kind| rule.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    (!named).then(|| {
        format!("\"{rule}\" does not say which name it is about; write CN=, O=, OU=, DNS:, URI:, email: or IP: before it")
    })
}

/// Lets in a client whose certificate another verifier takes and that has a name by one of the rules.
#[derive(Debug)]
pub(super) struct Subjects {
    verifier: Arc<dyn ClientCertVerifier>,
    rules: Vec<String>,
}

impl Subjects {
    pub(super) fn new(verifier: Arc<dyn ClientCertVerifier>, rules: Vec<String>) -> Self {
        Self { verifier, rules }
    }
}

/// Whether a name is by this rule, in which `*` stands for any text.
fn matches(rule: &str, name: &str) -> bool {
    let Some((start, mut rest)) = rule.split_once('*') else { return rule == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some((_, behind)) = name.split_once(middle) else { return false };
        (name, rest) = (behind, after);
    }
    name.ends_with(rest)
}

impl ClientCertVerifier for Subjects {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        let names = names(certificate);
        if self.rules.iter().any(|rule| names.iter().any(|name| matches(rule, name))) {
            return Ok(verified);
        }
        warn!(?names, "A client has a certificate of a trusted CA, but no name of allowed_client_subjects");
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (rule, name, expected) in [
            ("CN=agent", "CN=agent", true),
            ("CN=agent", "CN=agent2", false),
            ("CN=agent", "DNS:agent", false),
            ("DNS:*.test", "DNS:a.b.test", true),
            ("DNS:*.test", "DNS:test", false),
            ("URI:spiffe://test/*/agent-*", "URI:spiffe://test/ns/agent-7", true),
            ("URI:spiffe://test/*/agent-*", "URI:spiffe://test/agent-7", false),
            ("CN=*", "CN=", true),
            ("CN=a*a", "CN=a", false),
        ] {
            assert_eq!(matches(rule, name), expected, "{rule} {name}");
        }
    }

    #[test]
    fn a_rule_says_what_it_is_about() {
        assert_eq!(problem("CN=agent"), None);
        for rule in ["agent", "CN=", "cn=agent", "*"] {
            assert!(problem(rule).unwrap().contains("DNS:"), "{rule}");
        }
    }
}
