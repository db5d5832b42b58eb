//! The client's side: name and password with every request.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};
use sluice_pipeline::{
    Context, Failure,
    component::{BuildError, ClientAuth},
    config::types::Secret,
    from_files::FromFiles,
    reply::Code,
};

use super::ClientConfig;
use crate::authenticator::{secret, sensitive};

/// What exporters send.
pub(super) struct Credentials {
    name: Arc<FromFiles<Secret>>,
    password: Arc<FromFiles<Secret>>,
}

impl Credentials {
    pub(super) fn of(config: &ClientConfig) -> Result<Self, BuildError> {
        let name = Secret::from(config.username.as_str());
        Ok(Self {
            name: secret("client_auth.username_file", &name, &config.username_file)?,
            password: secret("client_auth.password_file", &config.password, &config.password_file)?,
        })
    }
}

impl ClientAuth for Credentials {
    fn authorise<'a>(
        &'a self,
        headers: &'a mut HeaderMap,
        _context: &'a Context,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let (name, password) = (self.name.current().await, self.password.current().await);
            let both = STANDARD.encode(format!("{}:{}", name.expose(), password.expose()));
            let value = sensitive(&format!("Basic {both}")).ok_or_else(|| {
                Failure::permanent("name and password make no header").with_code(Code::Internal)
            })?;
            headers.insert(header::AUTHORIZATION, value);
            Ok(())
        })
    }
}
