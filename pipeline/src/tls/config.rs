//! The keys of `tls`, for clients and for servers.

use rustls::{SupportedProtocolVersion, version};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    component::{NotBuilt, Problem},
    config::types::Secret,
};

/// The keys that both sides have, once.
macro_rules! tls_config {
    ($(#[$meta:meta])* $name:ident { $($(#[$own_meta:meta])* $own:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
        #[serde(default)]
        pub struct $name {
            /// File with the PEM certificates of the CAs that the other side's certificate may come from.
            pub ca_file: Option<String>,
            /// The same, as PEM text.
            pub ca_pem: Option<String>,
            /// File with this side's PEM certificate, followed by its intermediates.
            pub cert_file: Option<String>,
            /// The same, as PEM text.
            pub cert_pem: Option<String>,
            /// File with the PEM private key of the certificate.
            pub key_file: Option<String>,
            /// The same, as PEM text.
            pub key_pem: Option<Secret>,
            /// The lowest TLS version: `1.2` (the default) or `1.3`.
            pub min_version: String,
            /// The highest TLS version: `1.2` or `1.3`; empty means the highest there is.
            pub max_version: String,
            /// Trusts the system's CAs besides those of `ca_file`.
            pub include_system_ca_certs_pool: bool,
            /// Not in this build.
            pub include_insecure_cipher_suites: NotBuilt,
            /// Not in this build.
            pub cipher_suites: NotBuilt,
            /// Not in this build.
            pub curve_preferences: NotBuilt,
            /// Not in this build: `SIGHUP` and `--watch` read the files again.
            pub reload_interval: NotBuilt,
            /// Not in this build.
            pub tpm: NotBuilt,
            $($(#[$own_meta])* pub $own: $type,)*
        }

        impl $name {
            fn common_problems(&self, key: &str) -> Vec<Problem> {
                let mut problems = Vec::new();
                for (name, value, instead) in [
                    (
                        "include_insecure_cipher_suites",
                        self.include_insecure_cipher_suites,
                        "only secure cipher suites are offered",
                    ),
                    ("cipher_suites", self.cipher_suites, "all secure cipher suites are offered"),
                    ("curve_preferences", self.curve_preferences, "X25519, P-256 and P-384 are offered"),
                    ("reload_interval", self.reload_interval, "SIGHUP or --watch reads the files again"),
                    ("tpm", self.tpm, "use key_file or key_pem"),
                ] {
                    value.report(format!("{key}.{name}"), instead, &mut problems);
                }
                for (file, text, either, or) in [
                    (self.ca_file.is_some(), self.ca_pem.is_some(), "ca_pem", "ca_file"),
                    (self.cert_file.is_some(), self.cert_pem.is_some(), "cert_pem", "cert_file"),
                    (self.key_file.is_some(), self.key_pem.is_some(), "key_pem", "key_file"),
                ] {
                    if file && text {
                        problems.push(Problem::at(
                            format!("{key}.{either}"),
                            format!("{or} is set as well; keep one of the two"),
                        ));
                    }
                }
                if let Err(problem) = versions(key, &self.min_version, &self.max_version) {
                    problems.push(problem);
                }
                let certificate = self.cert_file.is_some() || self.cert_pem.is_some();
                let private_key = self.key_file.is_some() || self.key_pem.is_some();
                if certificate && !private_key {
                    problems.push(Problem::at(key, "a certificate needs its private key; set key_file"));
                } else if private_key && !certificate {
                    problems.push(Problem::at(key, "a private key needs its certificate; set cert_file"));
                }
                problems
            }
        }
    };
}

tls_config! {
    /// TLS of a client.
    ClientTlsConfig {
        /// Speaks plaintext.
        insecure: bool,
        /// Accepts any certificate. The connection is encrypted, but to whom is not known.
        insecure_skip_verify: bool,
        /// The name that the server's certificate must have, instead of the endpoint's host.
        server_name_override: Option<String>,
    }
}

tls_config! {
    /// TLS of a server.
    ServerTlsConfig {
        /// File with the PEM certificates of the CAs that client certificates must come from. If set, clients must
        /// present one.
        client_ca_file: Option<String>,
        /// Not in this build: `SIGHUP` and `--watch` read the file again.
        client_ca_file_reload: NotBuilt,
    }
}

impl ClientTlsConfig {
    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        self.common_problems(key)
    }
}

impl ServerTlsConfig {
    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = self.common_problems(key);
        self.client_ca_file_reload.report(
            format!("{key}.client_ca_file_reload"),
            "SIGHUP or --watch reads the file again",
            &mut problems,
        );
        if self.cert_file.is_none() && self.cert_pem.is_none() {
            problems.push(Problem::at(key, "a TLS server needs a certificate; set cert_file and key_file"));
        }
        problems
    }
}

/// The protocol versions between these two settings.
pub(super) fn versions(
    key: &str,
    min: &str,
    max: &str,
) -> Result<&'static [&'static SupportedProtocolVersion], Problem> {
    const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    let (newest, oldest) = BOTH.split_at(1);
    match (min, max) {
        ("" | "1.2", "" | "1.3") => Ok(BOTH),
        ("1.3", "" | "1.3") => Ok(newest),
        ("" | "1.2", "1.2") => Ok(oldest),
        ("1.3", "1.2") => Err(Problem::at(
            format!("{key}.max_version"),
            "the highest version is below the lowest; no connection could be made",
        )),
        ("" | "1.2" | "1.3", other) => Err(unknown_version(key, "max_version", other)),
        (other, _) => Err(unknown_version(key, "min_version", other)),
    }
}

fn unknown_version(key: &str, name: &str, value: &str) -> Problem {
    let message = if matches!(value, "1.0" | "1.1") {
        format!("TLS {value} is not in this build, since it is broken; use \"1.2\" or \"1.3\"")
    } else {
        format!("\"{value}\" is no TLS version; use \"1.2\" or \"1.3\"")
    };
    Problem::at(format!("{key}.{name}"), message)
}
