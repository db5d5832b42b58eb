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

use crate::prometheus_model::{
    LabelRules, ResourceConversion, Selection, TranslationStrategy, external_label_problem, strategy_problem,
};

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
        self.translation_strategy.suffixes(self.add_metric_suffixes)
    }

    /// What it says of labels.
    pub(super) fn label_rules(&self) -> LabelRules {
        LabelRules {
            constant: self.const_labels.clone(),
            fallback: BTreeMap::new(),
            conversion: self.resource_to_telemetry_conversion,
            resource_labels: self.resource_constant_labels.clone(),
            without_scope_info: self.without_scope_info,
        }
    }
}

impl ComponentConfig for PrometheusConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server.problems("");
        let own = &self.own;
        problems.extend(strategy_problem(own.translation_strategy));
        let names = own.const_labels.keys();
        problems.extend(names.filter_map(|name| external_label_problem("const_labels", name, false)));
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
}
