//! Names made of attributes: `{service.name}.{k8s.namespace.name}`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A text with attributes in braces: `{a|b}` is the first of these that is there and not empty, `{a:-text}` the text
/// where none is.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Template {
    parts: Vec<Part>,
    is_broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Attribute { names: Vec<String>, default: Option<String> },
}

impl Template {
    pub(super) fn parse(text: &str) -> Self {
        let mut template = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            template.push_text(before);
            let Some((inside, after)) = after.split_once('}') else {
                return Self { is_broken: true, ..template };
            };
            let (names, default) = match inside.split_once(":-") {
                Some((names, default)) => (names, Some(default.to_owned())),
                None => (inside, None),
            };
            let names: Vec<String> = names.split('|').map(str::to_owned).collect();
            template.is_broken |= names.iter().any(String::is_empty);
            template.parts.push(Part::Attribute { names, default });
            rest = after;
        }
        template.is_broken |= rest.contains('}');
        template.push_text(rest);
        template
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.is_broken |= text.contains('}');
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        self.is_broken.then_some("each { needs a } and the name of an attribute, as in \"{service.name}\"")
    }

    /// The name, unless an attribute is missing.
    pub(super) fn render<'a>(&self, attribute: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Attribute { names, default } => {
                    let found =
                        names.iter().find_map(|name| attribute(name).filter(|value| !value.is_empty()));
                    match (found, default) {
                        (Some(value), _) => name.push_str(&value),
                        (None, Some(default)) => name.push_str(default),
                        (None, None) => return None,
                    }
                }
            }
        }
        Some(name)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> Option<String> {
        Template::parse(template).render(|name| match name {
            "service.name" => Some("shop".into()),
            "empty" => Some("".into()),
            _ => None,
        })
    }

    #[test]
    fn attributes_take_their_places() {
        assert_eq!(rendered("a-{service.name}.b").as_deref(), Some("a-shop.b"));
        assert_eq!(rendered("{missing|empty|service.name}").as_deref(), Some("shop"));
        assert_eq!(rendered("{missing:-none}/{service.name}").as_deref(), Some("none/shop"));
        assert_eq!(rendered("{empty:-}").as_deref(), Some(""));
        assert_eq!(rendered("x{missing}"), None);
        assert_eq!(rendered("").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_template_is_told() {
        for broken in ["{a", "a}", "{}", "{a|}", "{a}}"] {
            assert!(Template::parse(broken).problem().is_some(), "{broken}");
        }
        assert_eq!(Template::parse("{a}-{b:-x}").problem(), None);
    }
}
