//! The keys of the `headers_setter` extension.

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::Secret,
};

/// The keys of the `headers_setter` extension.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeadersSetterConfig {
    /// What is done to the headers of requests, in order.
    pub headers: Vec<HeaderConfig>,
    /// Not in this build.
    pub additional_auth: NotBuilt,
}

/// What is done to a header. Its value comes from one of `value`, `from_context` and `from_attribute`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeaderConfig {
    /// When.
    pub action: Action,
    /// The header.
    pub key: String,
    /// A fixed value.
    pub value: Option<Secret>,
    /// The request header that the batch came in with, where its receiver has `include_metadata: true`. Batches of
    /// different values stay apart only with `metadata_keys`.
    pub from_context: Option<String>,
    /// What the receiver's authenticator said about the client, such as `subject` or `username`.
    pub from_attribute: Option<String>,
    /// The value where the batch brings none. Without it the header is left alone then.
    pub default_value: Option<Secret>,
    /// Not in this build.
    pub value_file: NotBuilt,
}

/// What is done to a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Adds it where there is none.
    Insert,
    /// Changes it where there is one.
    Update,
    /// Adds or changes it.
    #[default]
    Upsert,
    /// Takes it away.
    Delete,
}

impl HeaderConfig {
    fn problem(&self) -> Option<&'static str> {
        let sources = [self.value.is_some(), self.from_context.is_some(), self.from_attribute.is_some()];
        let sources = sources.into_iter().filter(|is_set| *is_set).count();
        let texts = [&self.value, &self.default_value];
        if self.key.parse::<HeaderName>().is_err() {
            Some("key must be a header name")
        } else if self.action == Action::Delete {
            (sources > 0).then_some("a header that is deleted needs no value")
        } else if sources != 1 {
            Some("set one of value, from_context and from_attribute")
        } else if self.default_value.is_some() && self.value.is_some() {
            Some("default_value stands in for from_context and from_attribute, not for value")
        } else if texts.iter().any(|text| text.as_ref().is_some_and(|text| !is_header(text))) {
            Some("a value has a character that no header may have")
        } else {
            None
        }
    }
}

fn is_header(text: &Secret) -> bool {
    HeaderValue::from_str(text.expose()).is_ok()
}

impl ComponentConfig for HeadersSetterConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.headers.is_empty() {
            problems.push(Problem::at("headers", "list at least one header"));
        }
        for header in &self.headers {
            if let Some(problem) = header.problem() {
                problems.push(Problem::at("headers", format!("header \"{}\": {problem}", header.key)));
            }
            header.value_file.report("headers.value_file", "use value: ${file:…}", &mut problems);
        }
        self.additional_auth.report("additional_auth", "remove it", &mut problems);
        problems
    }
}
