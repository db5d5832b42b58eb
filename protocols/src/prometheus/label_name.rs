//! The names of labels.

use std::borrow::Cow;

/// The name of the label for an attribute: each character that may not stand becomes `_`.
///
/// A name that would begin with a digit gets `key_` before it, one that would begin with an underscore `key`: names that
/// begin with two are Prometheus's own, `__name__` above all.
#[must_use]
pub fn label_name(attribute: &str) -> Cow<'_, str> {
    if is_label_name(attribute) && !attribute.starts_with('_') {
        return Cow::Borrowed(attribute);
    }
    let replaced =
        attribute.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' });
    let prefix = match attribute.chars().next() {
        Some(first) if first.is_ascii_digit() => "key_",
        Some(first) if first.is_ascii_alphabetic() => "",
        Some(_) => "key",
        None => "key_",
    };
    Cow::Owned(prefix.chars().chain(replaced).collect())
}

/// Whether Prometheus takes this as the name of a label: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
