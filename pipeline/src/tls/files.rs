//! What is wrong with the certificates and keys that a configuration names, found by reading them.

use super::{
    ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig,
    material::{Source, private_key, roots},
};
use crate::{
    component::{BuildError, Problem},
    config::types::Secret,
};

impl ClientTlsConfig {
    /// What is wrong with the files and texts that it names; `key` is where it stands below the component. The
    /// system's CAs are not looked at.
    #[must_use]
    pub fn file_problems(&self, key: &str) -> Vec<Problem> {
        let authorities =
            Source { key, name: "ca", file: self.ca_file.as_deref(), text: self.ca_pem.as_deref() };
        let certificate =
            Source { key, name: "cert", file: self.cert_file.as_deref(), text: self.cert_pem.as_deref() };
        let problems = each(&authorities, &certificate, self.key_file.as_deref(), self.key_pem.as_ref(), key);
        or_together(problems, key, || {
            // Whom it trusts was looked at above.
            let own_side = Self { insecure_skip_verify: true, ..self.clone() };
            ClientTls::new(&own_side, key, &[]).map(drop)
        })
    }
}

impl ServerTlsConfig {
    /// What is wrong with the files and texts that it names; `key` is where it stands below the component.
    #[must_use]
    pub fn file_problems(&self, key: &str) -> Vec<Problem> {
        let clients = Source { key, name: "client_ca", file: self.client_ca_file.as_deref(), text: None };
        let certificate =
            Source { key, name: "cert", file: self.cert_file.as_deref(), text: self.cert_pem.as_deref() };
        let problems = each(&clients, &certificate, self.key_file.as_deref(), self.key_pem.as_ref(), key);
        or_together(problems, key, || ServerTls::new(self, key, &[]).map(drop))
    }
}

/// What is wrong with each by itself.
fn each(
    authorities: &Source<'_>,
    certificate: &Source<'_>,
    key_file: Option<&str>,
    key_pem: Option<&Secret>,
    key: &str,
) -> Vec<Problem> {
    [
        roots(authorities, false).err(),
        certificate.certificates().err(),
        private_key(key, key_file, key_pem).err(),
    ]
    .into_iter()
    .flatten()
    .map(|error| problem(error, key))
    .collect()
}

/// What is wrong with them together, if each is right by itself.
fn or_together(
    mut problems: Vec<Problem>,
    key: &str,
    together: impl FnOnce() -> Result<(), BuildError>,
) -> Vec<Problem> {
    if problems.is_empty()
        && let Err(error) = together()
    {
        problems.push(problem(error, key));
    }
    problems
}

fn problem(error: BuildError, key: &str) -> Problem {
    match error {
        BuildError::Setting { key, message } => Problem::at(key, message),
        BuildError::Other(message) => Problem::at(key, message),
    }
}
