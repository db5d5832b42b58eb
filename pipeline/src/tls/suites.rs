//! Cipher suites and key exchange groups by the names of the Collector's files.

use std::sync::{Arc, LazyLock};

use rustls::{
    CipherSuite, NamedGroup, SupportedCipherSuite,
    crypto::{CryptoProvider, ring},
};

use crate::component::Problem;

/// What this build has, all of it.
pub(super) fn everything() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// What `cipher_suites` and `curve_preferences` leave of it. Names of TLS 1.2 restrict 1.2 alone, as in the Collector;
/// 1.3 is restricted where a suite of 1.3 is named.
pub(super) fn provider(
    key: &str,
    suites: &[String],
    curves: &[String],
) -> Result<Arc<CryptoProvider>, Vec<Problem>> {
    if suites.is_empty() && curves.is_empty() {
        return Ok(everything());
    }
    let mut problems = Vec::new();
    let mut provider = ring::default_provider();
    if !suites.is_empty() {
        let found = each(suites, &format!("{key}.cipher_suites"), suite, &mut problems);
        if !found.iter().any(is_tls13) {
            provider.cipher_suites.retain(is_tls13);
        } else {
            provider.cipher_suites.clear();
        }
        provider.cipher_suites.extend(found);
    }
    if !curves.is_empty() {
        provider.kx_groups = each(curves, &format!("{key}.curve_preferences"), group, &mut problems);
    }
    if problems.is_empty() { Ok(Arc::new(provider)) } else { Err(problems) }
}

fn each<T>(
    names: &[String],
    key: &str,
    find: fn(&str) -> Result<T, String>,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    let mut found = Vec::new();
    for name in names {
        match find(name) {
            Ok(known) => found.push(known),
            Err(message) => problems.push(Problem::at(key, message)),
        }
    }
    found
}

fn is_tls13(suite: &SupportedCipherSuite) -> bool {
    suite.tls13().is_some()
}

fn suite(name: &str) -> Result<SupportedCipherSuite, String> {
    let wanted = match name {
        "TLS_AES_128_GCM_SHA256" => CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        _ => return Err(unknown_suite(name)),
    };
    let known = everything().cipher_suites.iter().find(|known| known.suite() == wanted).copied();
    known.ok_or_else(|| unknown_suite(name))
}

fn unknown_suite(name: &str) -> String {
    let why = if name.contains("_CBC_") || name.contains("_RC4_") || name.starts_with("TLS_RSA_") {
        "is not in this build, since it is weak"
    } else {
        "is no cipher suite of this build"
    };
    format!(
        "\"{name}\" {why}; use TLS_ECDHE_ECDSA_WITH_ or TLS_ECDHE_RSA_WITH_ before AES_128_GCM_SHA256, \
         AES_256_GCM_SHA384 or CHACHA20_POLY1305_SHA256"
    )
}

fn group(name: &str) -> Result<&'static dyn rustls::crypto::SupportedKxGroup, String> {
    let unknown = || format!("\"{name}\" is not in this build; use X25519, P256 or P384");
    let wanted = match name {
        "X25519" => NamedGroup::X25519,
        "P256" => NamedGroup::secp256r1,
        "P384" => NamedGroup::secp384r1,
        _ => return Err(unknown()),
    };
    everything().kx_groups.iter().find(|known| known.name() == wanted).copied().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(suites: &[&str]) -> Vec<CipherSuite> {
        let suites: Vec<String> = suites.iter().map(|name| (*name).to_owned()).collect();
        let provider = provider("tls", &suites, &[]).unwrap();
        provider.cipher_suites.iter().map(SupportedCipherSuite::suite).collect()
    }

    #[test]
    fn names_of_1_2_leave_1_3_alone() {
        let left = left(&["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]);
        assert_eq!(left.len(), 4);
        assert_eq!(left[3], CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);
    }

    #[test]
    fn a_name_of_1_3_restricts_1_3() {
        assert_eq!(left(&["TLS_AES_256_GCM_SHA384"]), [CipherSuite::TLS13_AES_256_GCM_SHA384]);
    }

    #[test]
    fn every_unknown_name_is_a_problem() {
        let suites = ["TLS_RSA_WITH_AES_128_CBC_SHA".to_owned(), "AES".to_owned()];
        let problems = provider("tls", &suites, &["P521".to_owned(), "P256".to_owned()]).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["tls.cipher_suites", "tls.cipher_suites", "tls.curve_preferences"]);
        assert!(problems[0].message.contains("weak"), "{:?}", problems[0]);
    }
}
