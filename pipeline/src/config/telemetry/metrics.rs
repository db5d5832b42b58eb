//! `service.telemetry.metrics`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::not_in_this_build;
use crate::config::{Node, Problems};

/// Metrics about Sluice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metrics {
    /// How many there are.
    pub level: MetricsLevel,
    /// How they are read. Without this key they are served at localhost:8888.
    pub readers: Vec<Reader>,
    /// Accepted and not used, as in the Collector since 0.123; use readers.
    pub address: Option<String>,
    /// Changes of metrics before they are read; not in this build.
    pub views: Vec<Value>,
}

/// How many metrics there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum MetricsLevel {
    /// None, and nothing is served.
    #[serde(rename = "none", alias = "None")]
    None,
    /// What was received, refused, processed, sent, lost, refused by a full queue; how full queues are; the process.
    #[serde(rename = "basic", alias = "Basic")]
    Basic,
    /// Besides, why and in which sizes batches leave `batch` (`otelcol_processor_batch_*` in items), the bytes and the
    /// age of what queues hold (`sluice_exporter_queue_bytes`, `…_oldest_seconds`), requests under way.
    #[default]
    #[serde(rename = "normal", alias = "Normal")]
    Normal,
    /// Besides, the sizes of batches in bytes (`otelcol_processor_batch_batch_send_size_bytes`).
    #[serde(rename = "detailed", alias = "Detailed")]
    Detailed,
}

/// How metrics are read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reader {
    /// They are served to whoever asks.
    pub pull: Option<Pull>,
    /// They are sent in intervals; not in this build.
    pub periodic: Option<Value>,
}

/// Metrics are served to whoever asks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pull {
    /// In which format.
    pub exporter: PullExporter,
}

/// The format in which metrics are served.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PullExporter {
    /// Prometheus' text format.
    #[serde(alias = "prometheus/development", alias = "prometheus=null")]
    pub prometheus: Option<PrometheusPull>,
}

/// Where and how metrics are served to Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrometheusPull {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Leaves out the labels of the instrumentation scope; only true.
    pub without_scope_info: bool,
    /// Leaves out units in names; only true.
    pub without_units: bool,
    /// Leaves out `_total`; only true.
    pub without_type_suffix: bool,
    /// Resource attributes as labels of every metric; only none.
    pub with_resource_constant_labels: Option<ConstantLabels>,
}

/// Which resource attributes become labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConstantLabels {
    /// Patterns of attributes to take; only an empty list.
    pub included: Option<Vec<String>>,
    /// Patterns of attributes to leave out of those.
    pub excluded: Vec<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        let prometheus = Some(PrometheusPull::default());
        let reader = Reader { pull: Some(Pull { exporter: PullExporter { prometheus } }), periodic: None };
        Self { level: MetricsLevel::default(), readers: vec![reader], address: None, views: Vec::new() }
    }
}

impl Default for PrometheusPull {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8888,
            without_scope_info: true,
            without_units: true,
            without_type_suffix: true,
            with_resource_constant_labels: None,
        }
    }
}

impl Metrics {
    /// Where metrics are served; nowhere at level none.
    pub fn served(&self) -> impl Iterator<Item = &PrometheusPull> {
        let on = self.level != MetricsLevel::None;
        self.readers
            .iter()
            .filter(move |_| on)
            .filter_map(|reader| reader.pull.as_ref())
            .filter_map(|pull| pull.exporter.prometheus.as_ref())
    }

    pub(super) fn check(&self, node: &Node, problems: &mut Problems) {
        if self.readers.is_empty() && self.level != MetricsLevel::None {
            let message = "collector telemetry metrics reader should exist when metric level is not none";
            problems.at_key(node, "metrics.readers", message);
        }
        if !self.views.is_empty() {
            not_in_this_build(node, "metrics.views", "changing Sluice's own metrics by views", problems);
        }
        if self.address.is_some() {
            let place = node.nearest("metrics.address");
            let message = "metrics.address is not used, as in the Collector since 0.123; use metrics.readers";
            problems.warning(&place.location, message);
        }
        for (index, reader) in self.readers.iter().enumerate() {
            reader.check(node, &format!("metrics.readers.{index}"), problems);
        }
    }
}

impl Reader {
    fn check(&self, node: &Node, path: &str, problems: &mut Problems) {
        if self.periodic.is_some() {
            not_in_this_build(node, &format!("{path}.periodic"), "sending Sluice's own metrics", problems);
        }
        match &self.pull {
            Some(Pull { exporter: PullExporter { prometheus: Some(prometheus) } }) => {
                prometheus.check(node, &format!("{path}.pull.exporter.prometheus"), problems);
            }
            Some(_) => {
                problems.at_key(node, &format!("{path}.pull"), "a pull reader needs exporter.prometheus")
            }
            None if self.periodic.is_none() => problems.at_key(node, path, "a reader needs pull"),
            None => {}
        }
    }
}

impl PrometheusPull {
    fn check(&self, node: &Node, path: &str, problems: &mut Problems) {
        for (key, set) in [
            ("without_scope_info", self.without_scope_info),
            ("without_units", self.without_units),
            ("without_type_suffix", self.without_type_suffix),
        ] {
            if !set {
                not_in_this_build(node, &format!("{path}.{key}"), &format!("{key}: false"), problems);
            }
        }
        let all_or_some =
            |labels: &ConstantLabels| labels.included.as_ref().is_none_or(|included| !included.is_empty());
        if self.with_resource_constant_labels.as_ref().is_some_and(all_or_some) {
            let key = format!("{path}.with_resource_constant_labels");
            not_in_this_build(node, &key, "resource attributes as labels", problems);
        }
    }
}
