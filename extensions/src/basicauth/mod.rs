//! The `basicauth` extension: name and password, sent by exporters or asked for by receivers.
//!
//! Unlike the Collector's it does not keep the credentials of a client (`raw`) with its batches.

mod client;
mod config;
pub mod fuzzing;
mod hash;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

pub use config::{BasicAuthConfig, ClientConfig, HtpasswdConfig};
use sluice_pipeline::component::{
    BuildError, Capabilities, Capability, Declaration, Endpoint, Extension, ExtensionContext,
    ExtensionFactory,
};

use self::{client::Credentials, users::Guard};
use crate::authenticator::Offer;

/// The `basicauth` extension.
pub struct BasicAuth;

impl ExtensionFactory for BasicAuth {
    type Config = BasicAuthConfig;
    const DECLARATION: Declaration = Declaration {
        name: "basicauth",
        aliases: &["basic_auth"],
        summary: "Sends name and password with requests of exporters, or asks clients of receivers for them.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &BasicAuthConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(config: &BasicAuthConfig) -> Vec<Capability> {
        let server = config.htpasswd.is_some().then_some(Capability::ServerAuth);
        server.into_iter().chain(config.client_auth.is_some().then_some(Capability::ClientAuth)).collect()
    }

    fn build(config: BasicAuthConfig, _context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let mut capabilities = Capabilities::default();
        if let Some(htpasswd) = config.htpasswd {
            capabilities.server_auth = Some(Arc::new(Guard::new(htpasswd)?));
        }
        if let Some(client) = &config.client_auth {
            capabilities.client_auth = Some(Arc::new(Credentials::of(client)?));
        }
        Ok(Box::new(Offer(capabilities)))
    }
}
