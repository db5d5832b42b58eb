//! The `headers_setter` extension: headers of outgoing requests, fixed or by what the batch came in with.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{Action, HeaderConfig, HeadersSetterConfig};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderName, HeaderValue};
use sluice_pipeline::{
    Context, Failure,
    component::{
        BuildError, Capabilities, Capability, ClientAuth, Declaration, Endpoint, Extension, ExtensionContext,
        ExtensionFactory,
    },
    config::types::Secret,
};

use crate::authenticator::{Offer, sensitive};

/// The `headers_setter` extension.
pub struct HeadersSetter {
    changes: Vec<Change>,
}

struct Change {
    action: Action,
    header: HeaderName,
    source: Source,
}

enum Source {
    Fixed(Option<HeaderValue>),
    Metadata(HeaderName, Option<HeaderValue>),
    Attribute(String, Option<HeaderValue>),
}

impl ExtensionFactory for HeadersSetter {
    type Config = HeadersSetterConfig;
    const DECLARATION: Declaration = Declaration {
        name: "headers_setter",
        aliases: &[],
        summary: "Sets headers of outgoing requests, from the configuration or from the incoming request.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &HeadersSetterConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(_config: &HeadersSetterConfig) -> Vec<Capability> {
        vec![Capability::ClientAuth]
    }

    fn build(
        config: HeadersSetterConfig,
        _context: ExtensionContext,
    ) -> Result<Box<dyn Extension>, BuildError> {
        let changes = config.headers.iter().map(Change::of).collect::<Result<_, _>>()?;
        Ok(Box::new(Offer(Capabilities {
            client_auth: Some(Arc::new(Self { changes })),
            ..Capabilities::default()
        })))
    }
}

impl Change {
    fn of(config: &HeaderConfig) -> Result<Self, BuildError> {
        let name = |text: &str| {
            let wrong = |_| BuildError::setting("headers", format!("\"{text}\" is no header name"));
            text.parse::<HeaderName>().map_err(wrong)
        };
        let value = |text: &Option<Secret>| text.as_ref().and_then(|text| sensitive(text.expose()));
        let default = value(&config.default_value);
        let source = match (&config.from_context, &config.from_attribute) {
            (Some(metadata), _) => Source::Metadata(name(metadata)?, default),
            (None, Some(attribute)) => Source::Attribute(attribute.clone(), default),
            (None, None) => Source::Fixed(value(&config.value)),
        };
        Ok(Self { action: config.action, header: name(&config.key)?, source })
    }

    fn apply(&self, headers: &mut HeaderMap, context: &Context) {
        let exists = headers.contains_key(&self.header);
        let acts = match self.action {
            Action::Insert => !exists,
            Action::Update => exists,
            Action::Upsert => true,
            Action::Delete => {
                headers.remove(&self.header);
                false
            }
        };
        if acts && let Some(value) = self.source.value(context) {
            headers.insert(self.header.clone(), value);
        }
    }
}

impl Source {
    /// The value for a batch with this context. What the client sent is as secret as what is configured.
    fn value(&self, context: &Context) -> Option<HeaderValue> {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Metadata(name, default) => {
                let sent = context.metadata.get(name).cloned().map(|mut value| {
                    value.set_sensitive(true);
                    value
                });
                sent.or_else(|| default.clone())
            }
            Self::Attribute(name, default) => {
                let said = context.auth.iter().find(|(known, _)| known == name);
                said.and_then(|(_, value)| sensitive(value)).or_else(|| default.clone())
            }
        }
    }
}

impl ClientAuth for HeadersSetter {
    fn authorise<'a>(
        &'a self,
        headers: &'a mut HeaderMap,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        for change in &self.changes {
            change.apply(headers, context);
        }
        Box::pin(ready(Ok(())))
    }
}
