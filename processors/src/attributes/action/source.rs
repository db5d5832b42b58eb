//! Where a value comes from.

use http::HeaderName;
use sluice_pipeline::{Context, otlp::rewrite::value};

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The configuration; encoded.
    Value(Vec<u8>),
    /// Another attribute of the same message.
    Attribute(Vec<u8>),
    /// The request that the batch came in with.
    Context(FromContext),
}

/// What of the request.
#[derive(Clone, Debug)]
pub(crate) enum FromContext {
    /// A header; `None` for a name that no header can have.
    Metadata(Option<HeaderName>),
    /// What a server authenticator said about the client.
    Auth(String),
    /// The client's address without its port.
    Address,
}

impl Source {
    /// The source of this `from_context`. A name without a known prefix means metadata, as in the Collector.
    pub(super) fn context(name: &str) -> Self {
        Self::Context(match (name, name.strip_prefix("auth.")) {
            ("client.address", _) => FromContext::Address,
            (_, Some(attribute)) => FromContext::Auth(attribute.to_owned()),
            _ => FromContext::Metadata(name.strip_prefix("metadata.").unwrap_or(name).parse().ok()),
        })
    }
}

impl FromContext {
    /// The encoded value, several joined with `;`; `None` if the request has none.
    pub(super) fn value(&self, context: &Context) -> Option<Vec<u8>> {
        let values: Vec<String> = match self {
            Self::Metadata(None) => Vec::new(),
            Self::Metadata(Some(name)) => context
                .metadata
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect(),
            Self::Auth(attribute) => context
                .auth
                .iter()
                .filter(|(name, _)| name == attribute)
                .map(|(_, value)| value.clone())
                .collect(),
            Self::Address => context.peer.iter().map(|peer| peer.ip().to_canonical().to_string()).collect(),
        };
        (!values.is_empty()).then(|| value::string(values.join(";").as_bytes()))
    }
}
