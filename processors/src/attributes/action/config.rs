//! The keys of an action.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::attributes::literal::Literal;

/// One thing that is done to attributes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ActionConfig {
    /// The attribute that it is done to.
    pub key: String,
    /// What is done; required. In lower or upper case.
    #[schemars(required)]
    pub action: Option<ActionKind>,
    /// For `insert`, `update` and `upsert`: the value, with the type that YAML gives it.
    pub value: Option<Literal>,
    /// For `insert`, `update` and `upsert`: the attribute whose value is taken. Without it nothing is done.
    pub from_attribute: String,
    /// For `insert`, `update` and `upsert`: what is taken from the request. `metadata.` and a header's name (needs
    /// `include_metadata` on the receiver), `auth.` and what the authenticator knows, or `client.address`. Several
    /// values are joined with `;`. Without any nothing is done.
    pub from_context: String,
    /// For `insert`, `update` and `upsert`: the value where the attribute or the request has none.
    pub default_value: Option<Literal>,
    /// For `delete` and `hash`: does it to all attributes whose key matches this regular expression, beside `key`.
    /// For `extract`: the regular expression whose named groups become attributes.
    pub pattern: String,
    /// For `convert`: `int`, `double` or `string`.
    pub converted_type: String,
}

/// What is done to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(rename_all = "lowercase")]
pub enum ActionKind {
    /// Adds it if there is none.
    Insert,
    /// Changes it if there is one.
    Update,
    /// Adds or changes it.
    Upsert,
    /// Removes it.
    Delete,
    /// Replaces its value by the SHA-256 of it, in hexadecimal. Numbers count as their 8 bytes, little-endian, truth
    /// values as one byte; lists, maps and bytes become empty text.
    Hash,
    /// Takes attributes out of its text with the named groups of a regular expression.
    Extract,
    /// Gives its value another type; what cannot be converted stays.
    Convert,
}

impl ActionKind {
    const ALL: [(&'static str, Self); 7] = [
        ("insert", Self::Insert),
        ("update", Self::Update),
        ("upsert", Self::Upsert),
        ("delete", Self::Delete),
        ("hash", Self::Hash),
        ("extract", Self::Extract),
        ("convert", Self::Convert),
    ];

    /// The name in configuration and messages.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl TryFrom<String> for ActionKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("unknown action {text:?}; it is one of {names}")
        })
    }
}
