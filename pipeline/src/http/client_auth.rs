//! `auth` of clients: an extension that adds credentials to outgoing requests.

use std::{net::IpAddr, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use tracing::warn;

use crate::component::{BuildError, Capability, ClientAuth, ComponentContext, ComponentId, Reference};

/// Adds credentials to every outgoing request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ClientAuthConfig {
    /// The extension that has them.
    pub authenticator: ComponentId,
}

impl ClientAuthConfig {
    /// The reference to the extension; `key` is where `auth` stands below the component.
    #[must_use]
    pub fn reference(&self, key: &str) -> Reference {
        Reference {
            key: format!("{key}.authenticator"),
            id: self.authenticator.clone(),
            needs: Capability::ClientAuth,
        }
    }

    /// The running extension; `key` is where it is configured below the component.
    ///
    /// # Errors
    /// An extension that does not run, or has no credentials for clients.
    pub fn resolve(&self, key: &str, context: &ComponentContext) -> Result<Arc<dyn ClientAuth>, BuildError> {
        let capabilities = context.extension(key, &self.authenticator)?;
        capabilities.client_auth.clone().ok_or_else(|| {
            let message = format!("extension \"{}\" has no credentials for clients", self.authenticator);
            BuildError::setting(key, message)
        })
    }
}

/// Warns once, when a client is built, that its credentials would be read by anybody on the way.
pub(crate) fn warn_of_plaintext(context: &ComponentContext, host: &str) {
    let host = host.trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_local {
        warn!(component = %context.id, host, "Credentials go to this host over a connection that is not encrypted");
    }
}
