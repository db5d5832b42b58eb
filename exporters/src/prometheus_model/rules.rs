//! Configuration that the exporters share: how names are made, and which resource attributes become labels.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::Problem;
use sluice_protocols::prometheus::is_label_name;

/// How names become Prometheus's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TranslationStrategy {
    /// As `add_metric_suffixes` says.
    #[default]
    #[serde(rename = "")]
    Unset,
    /// What may not stand becomes `_`; unit and kind are appended.
    UnderscoreEscapingWithSuffixes,
    /// What may not stand becomes `_`.
    UnderscoreEscapingWithoutSuffixes,
    /// Not in this build.
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// Not in this build.
    NoTranslation,
}

/// Makes labels of resource attributes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceConversion {
    /// Whether every series gets them.
    pub enabled: bool,
    /// Whether `service.name`, `service.namespace` and `service.instance.id` are left out: `job` and `instance` say them.
    pub exclude_service_attributes: bool,
}

/// Which resource attributes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Selection {
    /// Those whose key matches one of these.
    pub included: Vec<String>,
    /// But none of these.
    pub excluded: Vec<String>,
}

impl TranslationStrategy {
    /// Whether names end in unit and kind; `add_metric_suffixes` decides where nothing is set.
    pub(crate) fn suffixes(self, add_metric_suffixes: bool) -> bool {
        match self {
            Self::UnderscoreEscapingWithoutSuffixes => false,
            Self::Unset => add_metric_suffixes,
            _ => true,
        }
    }
}

impl Selection {
    /// Whether the attribute with this key is meant.
    pub(crate) fn selects(&self, key: &str) -> bool {
        let any =
            |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern.as_bytes(), key.as_bytes()));
        any(&self.included) && !any(&self.excluded)
    }
}

/// What is wrong with a strategy.
pub(crate) fn strategy_problem(strategy: TranslationStrategy) -> Option<Problem> {
    let name = match strategy {
        TranslationStrategy::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
        TranslationStrategy::NoTranslation => "NoTranslation",
        _ => return None,
    };
    let message = format!(
        "{name} is not in this build; use UnderscoreEscapingWithSuffixes or UnderscoreEscapingWithoutSuffixes"
    );
    Some(Problem::at("translation_strategy", message))
}

/// What is wrong with the name of a configured label. `own` says whether names that begin with `__` may be used.
pub(crate) fn external_label_problem(key: &str, name: &str, own: bool) -> Option<Problem> {
    let taken = matches!(name, "le" | "quantile" | "__name__") || (!own && name.starts_with("__"));
    if is_label_name(name) && !taken {
        return None;
    }
    let beside = if own { "__name__" } else { "a leading __" };
    let message = format!(
        "\"{name}\" cannot be the name of a label; use letters, digits and _, not le, quantile or {beside}"
    );
    Some(Problem::at(key, message))
}

/// Whether a text matches a pattern in which `*` stands for any text and `?` for any byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to try again if what follows the last star does not match.
    let mut star = None;
    while let Some(byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                (at, seen) = (star_at + 1, from + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|left| *left == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_attributes() {
        let selection = |included: &[&str], excluded: &[&str]| Selection {
            included: included.iter().map(|text| (*text).to_owned()).collect(),
            excluded: excluded.iter().map(|text| (*text).to_owned()).collect(),
        };
        assert!(!selection(&[], &[]).selects("host.name"));
        assert!(selection(&["*"], &["os.*"]).selects("host.name"));
        assert!(!selection(&["*"], &["os.*"]).selects("os.type"));
        assert!(selection(&["k8s.*.name"], &[]).selects("k8s.pod.name"));
        assert!(!selection(&["k8s.*.name"], &[]).selects("k8s.pod.uid"));
        assert!(selection(&["a*b*c", "h?st"], &[]).selects("axxbxbc"));
        assert!(selection(&["h?st"], &[]).selects("host"));
        assert!(!selection(&["h?st"], &[]).selects("hst"));
    }
}
