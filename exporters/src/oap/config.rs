//! The keys of the `oap` exporter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{Capability, ComponentConfig, ComponentId, Problem, Reference},
    config::types::Duration,
    export::{QueueConfig, RetryConfig},
};

use super::template::Template;

/// The keys of the `oap` exporter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OapConfig {
    /// The `oap` extension that has the connections.
    pub link: ComponentId,
    /// How long one attempt may take; 0 means no limit.
    pub timeout: Duration,
    /// What becomes a segment of the spans that did not come from SkyWalking.
    pub segments: SegmentSize,
    /// The calling service of a span whose parent is in another process and not in the batch.
    pub unknown_caller: String,
    /// What services, instances and layers are called, by attributes of resources: the first of which all attributes are
    /// there. Does not hold for what came from SkyWalking.
    pub services: Vec<EntityConfig>,
    /// The same for the processes of which the kernel's exchanges tell.
    pub processes: Vec<EntityConfig>,
    /// Whether and how failed requests are sent again.
    pub retry_on_failure: RetryConfig,
    /// The queue before the destination. Unlike in the Collector's exporters `wait_for_result` is true by default.
    pub sending_queue: QueueConfig,
}

/// What becomes a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SegmentSize {
    /// Each span.
    #[default]
    Span,
    /// The spans of one trace and resource that hang together. All spans of a trace must be in one batch: for use after
    /// `groupbytrace`.
    Whole,
}

/// What a service, its instance and its layer are called. In templates `{a|b}` is the first of these attributes that is
/// there, and `{a:-text}` is the text where none is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EntityConfig {
    /// Attributes that must have these values.
    pub when: BTreeMap<String, String>,
    /// The layer, such as `GENERAL` or `K8S_SERVICE`.
    pub layer: Template,
    /// The service.
    pub service: Template,
    /// The instance.
    pub instance: Template,
}

impl Default for OapConfig {
    fn default() -> Self {
        Self {
            link: ComponentId::of_type("oap"),
            timeout: Duration::from_secs(20),
            segments: SegmentSize::default(),
            unknown_caller: String::new(),
            services: vec![EntityConfig::of(
                "{service.layer:-}",
                "{service.name|faas.name|k8s.deployment.name|process.executable.name:-unknown_service}",
                "{service.instance.id|k8s.pod.name|container.id|host.name:-}",
            )],
            processes: EntityConfig::of_rover(),
            retry_on_failure: RetryConfig::default(),
            sending_queue: QueueConfig { wait_for_result: true, ..QueueConfig::default() },
        }
    }
}

impl EntityConfig {
    fn of(layer: &str, service: &str, instance: &str) -> Self {
        Self {
            when: BTreeMap::new(),
            layer: Template::parse(layer),
            service: Template::parse(service),
            instance: Template::parse(instance),
        }
    }

    /// As Rover's default configuration builds them, and for processes outside Kubernetes by their names.
    fn of_rover() -> Vec<Self> {
        let mesh = "{k8s.pod.label.service.istio.io/canonical-name|k8s.pod.labels.service.istio.io/canonical-name}.\
                    {k8s.namespace.name}";
        let proxy = Self {
            when: BTreeMap::from([("k8s.container.name".to_owned(), "istio-proxy".to_owned())]),
            ..Self::of("MESH_DP", mesh, "{k8s.pod.name}")
        };
        vec![
            proxy,
            Self::of("MESH", mesh, "{k8s.pod.name}"),
            Self::of("K8S_SERVICE", "{k8s.service.name}.{k8s.namespace.name}", "{k8s.pod.name}"),
            Self::of(
                "{service.layer:-K8S_SERVICE}",
                "{service.name|process.executable.name:-unknown_service}",
                "{service.instance.id|k8s.pod.name|container.id|host.name:-}",
            ),
        ]
    }

    fn problems(&self, key: &str) -> Vec<Problem> {
        let templates = [("layer", &self.layer), ("service", &self.service), ("instance", &self.instance)];
        let wrong = templates.into_iter().filter_map(|(name, template)| {
            template.problem().map(|message| Problem::at(format!("{key}.{name}"), message))
        });
        let mut problems: Vec<_> = wrong.collect();
        if self.service.is_empty() && self.service.problem().is_none() {
            problems.push(Problem::at(
                format!("{key}.service"),
                "a template is needed, such as \"{service.name}\"",
            ));
        }
        problems
    }
}

impl ComponentConfig for OapConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, entities) in [("services", &self.services), ("processes", &self.processes)] {
            if entities.is_empty() {
                problems.push(Problem::at(key, "at least one entry is needed"));
            }
            for (index, entity) in entities.iter().enumerate() {
                problems.extend(entity.problems(&format!("{key}.{index}")));
            }
        }
        problems.extend(self.retry_on_failure.problems("retry_on_failure"));
        problems.extend(self.sending_queue.problems("sending_queue"));
        problems
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference { key: "link".to_owned(), id: self.link.clone(), needs: Capability::Backend }]
    }
}
