//! The `bearertokenauth` extension: a token in a header, sent by exporters and asked for by receivers.

mod config;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

pub use config::BearerTokenAuthConfig;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName};
use sluice_pipeline::{
    Context, Failure,
    component::{
        AuthRefusal, BuildError, Capabilities, Capability, ClientAuth, Declaration, Endpoint, Extension,
        ExtensionContext, ExtensionFactory, ServerAuth,
    },
    from_files::{Files, FromFiles},
};

use self::tokens::Tokens;
use crate::authenticator::{LOOK, Offer};

/// The `bearertokenauth` extension.
pub struct BearerTokenAuth {
    header: HeaderName,
    tokens: Arc<FromFiles<Tokens>>,
}

impl ExtensionFactory for BearerTokenAuth {
    type Config = BearerTokenAuthConfig;
    const DECLARATION: Declaration = Declaration {
        name: "bearertokenauth",
        aliases: &["bearer_token_auth"],
        summary: "Sends a token with every request of an exporter, or asks clients of a receiver for one.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &BearerTokenAuthConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(_config: &BearerTokenAuthConfig) -> Vec<Capability> {
        vec![Capability::ClientAuth, Capability::ServerAuth]
    }

    fn build(
        config: BearerTokenAuthConfig,
        _context: ExtensionContext,
    ) -> Result<Box<dyn Extension>, BuildError> {
        let header = config
            .header
            .parse()
            .map_err(|_| BuildError::setting("header", format!("\"{}\" is no header name", config.header)))?;
        let tokens = if config.filename.is_empty() {
            FromFiles::fixed(Tokens::of(&config)?)
        } else {
            let what = "the tokens of filename".to_owned();
            let files = Files { what, paths: vec![config.filename.clone().into()], every: LOOK };
            FromFiles::watched(files, move || Tokens::of(&config))?
        };
        let both = Arc::new(Self { header, tokens });
        Ok(Box::new(Offer(Capabilities {
            client_auth: Some(Arc::clone(&both) as Arc<dyn ClientAuth>),
            server_auth: Some(both),
            ..Capabilities::default()
        })))
    }
}

impl ClientAuth for BearerTokenAuth {
    fn authorise<'a>(
        &'a self,
        headers: &'a mut HeaderMap,
        _context: &'a Context,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            headers.insert(self.header.clone(), self.tokens.current().await.first.clone());
            Ok(())
        })
    }
}

impl ServerAuth for BearerTokenAuth {
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, AuthRefusal>> {
        Box::pin(async move {
            let refused = |message| Err(AuthRefusal::Wrong { message, challenge: "Bearer" });
            match headers.get(&self.header) {
                None => refused("missing or empty authorization header"),
                Some(sent) if self.tokens.current().await.contain(sent) => Ok(Vec::new()),
                Some(_) => refused("provided authorization does not match expected scheme or token"),
            }
        })
    }
}
