//! `auth` of clients: an extension that adds credentials to outgoing requests.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::{BuildError, ClientAuth, ComponentContext, ComponentId};

/// Adds credentials to every outgoing request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ClientAuthConfig {
    /// The extension that has them.
    pub authenticator: ComponentId,
}

impl ClientAuthConfig {
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
