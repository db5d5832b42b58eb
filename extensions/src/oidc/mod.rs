//! The `oidc` extension: receivers take requests with a token of a known issuer (OpenID Connect).
//!
//! The issuer's keys are asked for when the first token comes, so that an issuer that is away delays no start; until they
//! are known clients are asked to try again. Unlike the Collector's it does not keep the token (`raw`) with batches.

mod config;
pub mod fuzzing;
mod jwt;
mod keys;
mod provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{OidcConfig, ProviderConfig};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName};
use sluice_pipeline::component::{
    AuthRefusal, BuildError, Capabilities, Capability, Declaration, Endpoint, Extension, ExtensionContext,
    ExtensionFactory, ServerAuth,
};

use self::{jwt::Token, provider::Provider};
use crate::authenticator::Offer;

/// The `oidc` extension.
pub struct Oidc {
    header: HeaderName,
    providers: Vec<Provider>,
}

impl ExtensionFactory for Oidc {
    type Config = OidcConfig;
    const DECLARATION: Declaration = Declaration {
        name: "oidc",
        aliases: &[],
        summary: "Checks tokens of OpenID Connect issuers that clients of receivers send.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &OidcConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(_config: &OidcConfig) -> Vec<Capability> {
        vec![Capability::ServerAuth]
    }

    fn build(config: OidcConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let header = config.attribute.parse().map_err(|_| {
            BuildError::setting("attribute", format!("\"{}\" is no header name", config.attribute))
        })?;
        let providers = config
            .all()
            .into_iter()
            .map(|(_, provider)| Provider::new(provider, &context.component))
            .collect::<Result<_, _>>()?;
        let server_auth: Arc<dyn ServerAuth> = Arc::new(Self { header, providers });
        Ok(Box::new(Offer(Capabilities { server_auth: Some(server_auth), ..Capabilities::default() })))
    }
}

impl Oidc {
    async fn check(&self, headers: &HeaderMap) -> Result<Vec<(String, String)>, AuthRefusal> {
        let refused = |message| AuthRefusal::Wrong { message, challenge: "Bearer" };
        let sent = headers.get(&self.header).ok_or_else(|| refused("no token was sent"))?;
        let (scheme, token) = sent
            .to_str()
            .ok()
            .and_then(|sent| sent.split_once(' '))
            .ok_or_else(|| refused("send Bearer and a token"))?;
        let token = Some(token.trim())
            .filter(|_| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(Token::parse)
            .ok_or_else(|| refused("send Bearer and a token"))?;
        let provider =
            self.providers.iter().find(|one| Some(one.config.issuer_url.as_str()) == token.issuer());
        provider.ok_or_else(|| refused("no OIDC provider configured for the issuer"))?.check(&token).await
    }
}

impl ServerAuth for Oidc {
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, AuthRefusal>> {
        Box::pin(self.check(headers))
    }
}
