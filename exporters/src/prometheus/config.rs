//! The keys of the `prometheus` exporter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem, Reference},
    config::types::Duration,
    export::QueueConfig,
    http::server::HttpServerConfig,
    squash,
};
use sluice_protocols::prometheus::is_label_name;

squash! {
    /// The keys of the `prometheus` exporter.
    #[derive(Clone, Debug)]
    pub struct PrometheusConfig {
        /// The keys of the HTTP server that is scraped.
        pub server: HttpServerConfig,
        /// The exporter's own keys.
        pub own: PrometheusKeys,
    }
}

/// The keys of the `prometheus` exporter beside those of the HTTP server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrometheusKeys {
    /// What the name of every metric begins with.
    pub namespace: String,
    /// Labels that every series gets. They win over what telemetry says under the same name.
    pub const_labels: BTreeMap<String, String>,
    /// Whether samples carry the time of their data points rather than that of the scrape.
    pub send_timestamps: bool,
    /// How long a series is exposed after its last data point; 0 means for ever.
    pub metric_expiration: Duration,
    /// Whether scrapers that ask for OpenMetrics get it, with exemplars and `_created` series.
    pub enable_open_metrics: bool,
    /// Whether names end in unit and kind; deprecated in favour of `translation_strategy`, which wins.
    pub add_metric_suffixes: bool,
    /// How names become Prometheus's.
    pub translation_strategy: TranslationStrategy,
    /// Makes labels of resource attributes.
    pub resource_to_telemetry_conversion: ResourceConversion,
    /// Makes labels of some resource attributes, by patterns with `*` and `?`.
    pub resource_constant_labels: Selection,
    /// Leaves out the labels `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and those of scope attributes.
    pub without_scope_info: bool,
    /// How many series are held. Data points of further ones are refused and counted.
    pub max_series: usize,
    /// The queue before the series; off by default, since nothing is sent.
    pub sending_queue: QueueConfig,
}

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

impl Default for PrometheusKeys {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            send_timestamps: false,
            metric_expiration: Duration::from_secs(300),
            enable_open_metrics: false,
            add_metric_suffixes: true,
            translation_strategy: TranslationStrategy::default(),
            resource_to_telemetry_conversion: ResourceConversion::default(),
            resource_constant_labels: Selection::default(),
            without_scope_info: false,
            max_series: 1_000_000,
            sending_queue: QueueConfig::disabled(),
        }
    }
}

impl PrometheusKeys {
    /// Whether names end in unit and kind.
    pub(super) fn suffixes(&self) -> bool {
        match self.translation_strategy {
            TranslationStrategy::UnderscoreEscapingWithoutSuffixes => false,
            TranslationStrategy::Unset => self.add_metric_suffixes,
            _ => true,
        }
    }
}

impl Selection {
    /// Whether the attribute with this key is meant.
    pub(super) fn selects(&self, key: &str) -> bool {
        let any =
            |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern.as_bytes(), key.as_bytes()));
        any(&self.included) && !any(&self.excluded)
    }
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

impl ComponentConfig for PrometheusConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server.problems("");
        let own = &self.own;
        let unbuilt = match own.translation_strategy {
            TranslationStrategy::NoUtf8EscapingWithSuffixes => Some("NoUTF8EscapingWithSuffixes"),
            TranslationStrategy::NoTranslation => Some("NoTranslation"),
            _ => None,
        };
        if let Some(name) = unbuilt {
            let message = format!(
                "{name} is not in this build; use UnderscoreEscapingWithSuffixes or UnderscoreEscapingWithoutSuffixes"
            );
            problems.push(Problem::at("translation_strategy", message));
        }
        for name in own.const_labels.keys() {
            if !is_label_name(name) || name.starts_with("__") || matches!(name.as_str(), "le" | "quantile") {
                let message = format!(
                    "\"{name}\" cannot be the name of a label; use letters, digits and _, not le, quantile or a leading __"
                );
                problems.push(Problem::at("const_labels", message));
            }
        }
        if own.max_series == 0 {
            problems.push(Problem::at("max_series", "max_series must be at least 1"));
        }
        problems.extend(own.sending_queue.problems("sending_queue"));
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.server.file_problems("")
    }

    fn references(&self) -> Vec<Reference> {
        self.server.references("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_collectors() {
        let config = PrometheusConfig::default();
        let own = &config.own;
        assert_eq!(own.metric_expiration.get(), std::time::Duration::from_secs(300));
        assert!(own.add_metric_suffixes && own.suffixes() && !own.sending_queue.enabled);
        assert!(!own.send_timestamps && !own.enable_open_metrics && !own.without_scope_info);
        let keys: Vec<String> = config.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["endpoint"]);
    }

    #[test]
    fn what_cannot_work_is_said_at_its_key() {
        let mut config = PrometheusConfig::default();
        config.server.endpoint = "localhost:9464".to_owned();
        config.own.translation_strategy = TranslationStrategy::NoTranslation;
        config.own.max_series = 0;
        for name in ["le", "__name__", "a-b"] {
            config.own.const_labels.insert(name.to_owned(), "x".to_owned());
        }
        let keys: Vec<String> = config.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            ["translation_strategy", "const_labels", "const_labels", "const_labels", "max_series"]
        );
    }

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
