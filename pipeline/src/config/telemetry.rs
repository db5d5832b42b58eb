//! `service.telemetry`: what Sluice says of itself.
//!
//! The Collector's keys. What this build cannot do is an error at its key; what has no meaning here is a warning.

mod logs;
mod metrics;
mod traces;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Node, Problems, decode};
pub use logs::{Encoding, Level, LogSampling, Logs};
pub use metrics::{Metrics, MetricsLevel, PrometheusPull, Pull, PullExporter, Reader};
pub use traces::Traces;

/// What Sluice says of itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Telemetry {
    /// How Sluice logs.
    pub logs: Logs,
    /// Metrics about Sluice.
    pub metrics: Metrics,
    /// Spans about Sluice.
    pub traces: Traces,
    /// Attributes of Sluice as a resource; null removes one.
    pub resource: BTreeMap<String, Option<Value>>,
}

impl Telemetry {
    /// Reads `service.telemetry`; `None` if anything is wrong with it or not in this build.
    #[must_use]
    pub fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let telemetry = decode::<Self>(node, &mut found);
        if let Some(telemetry) = &telemetry {
            telemetry.logs.check(node, &mut found);
            telemetry.metrics.check(node, &mut found);
            telemetry.traces.check(node, &mut found);
            telemetry.check_resource(node, &mut found);
        }
        let sound = !found.has_errors();
        problems.extend(found);
        telemetry.filter(|_| sound)
    }

    fn check_resource(&self, node: &Node, problems: &mut Problems) {
        for (key, value) in &self.resource {
            if matches!(value, Some(Value::Array(_) | Value::Object(_))) {
                let message =
                    "only the map of attribute names to values is in this build, not the declarative form";
                problems.at_key(node, &format!("resource.{key}"), message);
            }
        }
    }
}

/// Reports a key whose effect this build does not have.
fn not_in_this_build(node: &Node, key: &str, what: &str, problems: &mut Problems) {
    problems.at_key(node, key, format!("{what} is not in this build; remove service.telemetry.{key}"));
}

#[cfg(test)]
mod tests;
