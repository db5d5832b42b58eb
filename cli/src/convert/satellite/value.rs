//! Values of Satellite's configuration, as Sluice's has them.

use sluice_pipeline::config::{Node, Value};

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// As it is written.
    Literal(String),
    /// Of a variable of the environment, or its default.
    Variable { name: String, default: String },
}

impl Setting {
    /// The value at this path; `None` if it is not there, or empty and not of a variable.
    pub(super) fn of(node: &Node, path: &str) -> Option<Self> {
        let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut node = node;
        for level in above.split('.').filter(|level| !level.is_empty()) {
            node = node.get(level)?;
        }
        let text = match &node.get(key)?.value {
            Value::String(text) => text.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return None,
        };
        Some(Self::parse(&text)).filter(|setting| *setting != Self::Literal(String::new()))
    }

    /// `${NAME:default}` or the value itself.
    fn parse(text: &str) -> Self {
        let bare = |text: &str| text.trim().trim_matches('"').to_owned();
        match text.trim().strip_prefix("${").and_then(|text| text.strip_suffix('}')) {
            Some(inside) => {
                let (name, default) = inside.split_once(':').unwrap_or((inside, ""));
                Self::Variable { name: name.trim().to_owned(), default: bare(default) }
            }
            None => Self::Literal(bare(text)),
        }
    }

    /// The value where no variable is set.
    pub(super) fn default(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Variable { default, .. } => default,
        }
    }

    /// As text with this unit behind it, quoted.
    pub(super) fn text_with(&self, unit: &str) -> String {
        let text = match self {
            // A dollar would begin a reference.
            Self::Literal(text) => text.replace('$', "$$"),
            Self::Variable { name, default } => format!("${{env:{name}:-{default}}}"),
        };
        format!("\"{}{unit}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// As text, quoted.
    pub(super) fn text(&self) -> String {
        self.text_with("")
    }

    /// As a number or a truth value; `None` if it is neither.
    pub(super) fn plain(&self) -> Option<String> {
        let default = self.default();
        let is_plain = default.parse::<f64>().is_ok_and(f64::is_finite) || default.parse::<bool>().is_ok();
        is_plain.then(|| match self {
            Self::Literal(text) => text.clone(),
            Self::Variable { name, default } => format!("${{env:{name}:-{default}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_defaults() {
        let address = Setting::parse("${SATELLITE_GRPC_ADDRESS:\":11800\"}");
        assert_eq!(address.default(), ":11800");
        assert_eq!(address.text(), "\"${env:SATELLITE_GRPC_ADDRESS:-:11800}\"");
        assert_eq!(Setting::parse("${PERIOD:5}").text_with("s"), "\"${env:PERIOD:-5}s\"");
        assert_eq!(Setting::parse("${EMPTY}").text(), "\"${env:EMPTY:-}\"");
    }

    #[test]
    fn what_is_written_stays_what_it_is() {
        assert_eq!(Setting::parse("pa$$\"word\\").text(), "\"pa$$$$\\\"word\\\\\"");
        assert_eq!(Setting::parse("75").plain().as_deref(), Some("75"));
        assert_eq!(Setting::parse("75\nreceivers: {}").plain(), None, "no keys come in by a value");
    }
}
