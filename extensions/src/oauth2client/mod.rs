//! The `oauth2client` extension: a token of an authorization server with every request of an exporter, by the client
//! credentials grant. One token serves all exporters until shortly before its end.

mod config;
#[cfg(test)]
mod tests;
mod token;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use config::{OAuth2ClientConfig, Values};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use sluice_pipeline::{
    Context, Failure,
    component::{
        BuildError, Capabilities, Capability, ClientAuth, ComponentId, Declaration, Endpoint, Extension,
        ExtensionContext, ExtensionFactory,
    },
};
use tokio::sync::Mutex;
use tracing::warn;

use self::token::{Issuer, Token};
use crate::authenticator::Offer;

/// How long a failure stands for the next request, so that many exporters are not many requests for tokens.
const FAILURE_LIFE: Duration = Duration::from_secs(1);

/// The `oauth2client` extension.
pub struct OAuth2Client {
    id: ComponentId,
    issuer: Issuer,
    expiry_buffer: Duration,
    /// Held while a token is asked for: who needs one too waits for the same.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Instant, Failure)>,
}

impl ExtensionFactory for OAuth2Client {
    type Config = OAuth2ClientConfig;
    const DECLARATION: Declaration = Declaration {
        name: "oauth2client",
        aliases: &["oauth2_client"],
        summary: "Gets tokens of an OAuth 2.0 server and sends them with requests of exporters.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &OAuth2ClientConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(_config: &OAuth2ClientConfig) -> Vec<Capability> {
        vec![Capability::ClientAuth]
    }

    fn build(
        config: OAuth2ClientConfig,
        context: ExtensionContext,
    ) -> Result<Box<dyn Extension>, BuildError> {
        let client = Self {
            id: context.component.id.clone(),
            issuer: Issuer::new(&config, &context.component)?,
            expiry_buffer: config.expiry_buffer.get(),
            state: Mutex::default(),
        };
        Ok(Box::new(Offer(Capabilities { client_auth: Some(Arc::new(client)), ..Capabilities::default() })))
    }
}

impl OAuth2Client {
    async fn header(&self) -> Result<HeaderValue, Failure> {
        let mut state = self.state.lock().await;
        let buffer = |token: &Token| self.expiry_buffer.min(token.life / 2);
        if let Some(token) = state.token.as_ref().filter(|token| token.lasts(buffer(token))) {
            return Ok(token.header.clone());
        }
        let recent = state.failed.as_ref().filter(|(since, _)| since.elapsed() < FAILURE_LIFE);
        let failure = match recent {
            Some((_, failure)) => failure.clone(),
            None => match self.issuer.token().await {
                Ok(token) => {
                    let header = token.header.clone();
                    *state = State { token: Some(token), failed: None };
                    return Ok(header);
                }
                Err(failure) => {
                    warn!(extension = %self.id, error = %failure, "No new token");
                    state.failed = Some((Instant::now(), failure.clone()));
                    failure
                }
            },
        };
        // The old one is good until its end.
        let old = state.token.as_ref().filter(|token| token.lasts(Duration::ZERO));
        old.map(|token| token.header.clone()).ok_or(failure)
    }
}

impl Token {
    /// Whether it is good for longer than this.
    fn lasts(&self, buffer: Duration) -> bool {
        self.since.elapsed() + buffer < self.life
    }
}

impl ClientAuth for OAuth2Client {
    fn authorise<'a>(
        &'a self,
        headers: &'a mut HeaderMap,
        _context: &'a Context,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            headers.insert(header::AUTHORIZATION, self.header().await?);
            Ok(())
        })
    }
}
