//! The keys of `tls`, for clients and for servers.

use std::{path::PathBuf, time};

use rustls::{SupportedProtocolVersion, version};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{subjects, suites};
use crate::{
    component::{NotBuilt, Problem},
    config::types::{Duration, Secret},
    from_files::Files,
};

/// How long a look at the client CAs is good for with `client_ca_file_reload`.
const CLIENT_CA_LOOK: time::Duration = time::Duration::from_secs(1);

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
            /// The cipher suites of TLS 1.2, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; empty means all secure
            /// ones. Those of 1.3 stay as they are unless one of them is named.
            pub cipher_suites: Vec<String>,
            /// The key exchange groups, the preferred one first: `X25519`, `P256`, `P384`; empty means all three.
            pub curve_preferences: Vec<String>,
            /// How often the files are looked at for changes, certificates and CAs alike. What has changed holds for new
            /// connections; open ones stay. 0 means never.
            pub reload_interval: Duration,
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
                if let Err(unknown) = suites::provider(key, &self.cipher_suites, &self.curve_preferences) {
                    problems.extend(unknown);
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

            /// The files that it is made of, if they are looked at again.
            fn common_files(&self, key: &str) -> Option<Files> {
                let paths = [&self.ca_file, &self.cert_file, &self.key_file];
                self.reload_interval.limit().map(|every| Files {
                    what: format!("the certificates of {key}"),
                    paths: paths.into_iter().flatten().map(PathBuf::from).collect(),
                    every,
                })
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
        /// Looks at `client_ca_file` for changes, once a second at most. What has changed holds for new connections.
        client_ca_file_reload: bool,
        /// Sluice's own key: which clients with a certificate of `client_ca_file` may connect. A client needs a name by
        /// one of these, in which `*` stands for any text: `CN=agent-*`, `O=…`, `OU=…` of its subject, or
        /// `DNS:*.agents.example.com`, `URI:spiffe://…`, `email:…`, `IP:…` of its alternative names. Empty means all.
        allowed_client_subjects: Vec<String>,
    }
}

impl ClientTlsConfig {
    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        self.common_problems(key)
    }

    /// The files that it is made of, if they are looked at again.
    pub(super) fn files(&self, key: &str) -> Option<Files> {
        self.common_files(key)
    }
}

impl ServerTlsConfig {
    /// What is wrong with it; `key` is where it stands below the component.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = self.common_problems(key);
        for (asked, name) in [
            (self.client_ca_file_reload, "client_ca_file_reload"),
            (!self.allowed_client_subjects.is_empty(), "allowed_client_subjects"),
        ] {
            if asked && self.client_ca_file.is_none() {
                let message = "only clients with a certificate have one; set client_ca_file";
                problems.push(Problem::at(format!("{key}.{name}"), message));
            }
        }
        let rules = self.allowed_client_subjects.iter().filter_map(|rule| subjects::problem(rule));
        problems.extend(rules.map(|problem| Problem::at(format!("{key}.allowed_client_subjects"), problem)));
        if self.cert_file.is_none() && self.cert_pem.is_none() {
            problems.push(Problem::at(key, "a TLS server needs a certificate; set cert_file and key_file"));
        }
        problems
    }

    /// The files that it is made of, if they are looked at again.
    pub(super) fn files(&self, key: &str) -> Option<Files> {
        let client_ca = self.client_ca_file.iter().map(PathBuf::from);
        if let Some(mut files) = self.common_files(key) {
            files.paths.extend(client_ca);
            return Some(files);
        }
        self.client_ca_file_reload.then(|| Files {
            what: format!("the client CAs of {key}"),
            paths: client_ca.collect(),
            every: CLIENT_CA_LOOK,
        })
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
