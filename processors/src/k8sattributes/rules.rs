//! What is extracted of Kubernetes' objects.

use std::collections::BTreeMap;

use regex::Regex;
use sluice_pipeline::kubernetes::{Keep, Wanted};

use super::{
    block::Pairs,
    config::{ExcludeConfig, ExtractConfig, Field, FieldExtractConfig, Whose, whole},
};

/// What an annotation of a pod begins with that becomes an attribute.
const ATTRIBUTE_PREFIX: &str = "resource.opentelemetry.io/";
/// The annotation of pods that are to be left alone.
pub(super) const IGNORE: &str = "opentelemetry.io/k8s-processor/ignore";
/// The label that the pods of a replica set have, and its name ends with.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";
pub(super) const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
pub(super) const NAME_LABEL: &str = "app.kubernetes.io/name";
pub(super) const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// What is extracted of Kubernetes' objects.
#[derive(Debug)]
pub(super) struct Rules {
    fields: u64,
    labels: Vec<Rule>,
    annotations: Vec<Rule>,
    otel_annotations: bool,
    pub(super) deployment_from_replica_set: bool,
    exclude: Vec<Regex>,
}

#[derive(Debug)]
struct Rule {
    from: Whose,
    select: Select,
    /// The attribute; empty means the default one.
    tag: String,
}

#[derive(Debug)]
enum Select {
    Key(String),
    /// With whether its groups make the attribute.
    Pattern(Regex, bool),
}

impl Rules {
    /// Patterns that are none are left out: the configuration was checked.
    pub(super) fn new(extract: &ExtractConfig, exclude: &ExcludeConfig) -> Self {
        let rules = |rules: &[FieldExtractConfig]| rules.iter().filter_map(Rule::new).collect();
        let names = exclude.pods.iter().map(|pod| pod.name.as_str());
        let defaults = ["jaeger-agent", "jaeger-collector"].into_iter().filter(|_| exclude.pods.is_empty());
        Self {
            fields: extract.metadata.iter().fold(0, |fields, field| fields | 1 << *field as u32),
            labels: rules(&extract.labels),
            annotations: rules(&extract.annotations),
            otel_annotations: extract.otel_annotations,
            deployment_from_replica_set: extract.deployment_name_from_replicaset,
            exclude: names.chain(defaults).filter_map(|name| Regex::new(name).ok()).collect(),
        }
    }

    /// Whether this attribute is extracted.
    pub(super) fn has(&self, field: Field) -> bool {
        self.fields & 1 << field as u32 != 0
    }

    pub(super) fn has_any(&self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.has(*field))
    }

    /// Whether labels or annotations of such objects are extracted.
    pub(super) fn reads(&self, from: Whose) -> bool {
        self.labels.iter().chain(&self.annotations).any(|rule| rule.from == from)
    }

    /// Whether the name of the deployment comes from its replica set.
    pub(super) fn needs_replica_sets(&self) -> bool {
        let by_name = [Field::DeploymentName, Field::ServiceName];
        self.has(Field::DeploymentUid)
            || self.reads(Whose::Deployment)
            || (self.has_any(&by_name) && !self.deployment_from_replica_set)
    }

    pub(super) fn needs_containers(&self) -> bool {
        self.has_any(&[
            Field::ContainerName,
            Field::ContainerId,
            Field::ContainerImageName,
            Field::ContainerImageTag,
            Field::ContainerImageRepoDigests,
            Field::ServiceVersion,
            Field::ServiceInstanceId,
        ])
    }

    pub(super) fn excludes(&self, pod: &str) -> bool {
        self.exclude.iter().any(|name| name.is_match(pod))
    }

    /// How much is kept of such objects.
    pub(super) fn keep(&self, from: Whose) -> Keep {
        let wanted = |rules: &[Rule]| {
            let mut wanted = Wanted::default();
            for rule in rules.iter().filter(|rule| rule.from == from) {
                match &rule.select {
                    Select::Key(key) => drop(wanted.keys.insert(key.clone())),
                    Select::Pattern(..) => wanted = Wanted::all(),
                }
            }
            wanted
        };
        let mut keep =
            Keep { labels: wanted(&self.labels), annotations: wanted(&self.annotations), containers: false };
        if from == Whose::Pod {
            let labels = &mut keep.labels.keys;
            if self.has(Field::ServiceName) {
                labels.extend([INSTANCE_LABEL, NAME_LABEL].map(str::to_owned));
            }
            if self.has(Field::ServiceVersion) {
                labels.insert(VERSION_LABEL.to_owned());
            }
            if self.deployment_from_replica_set {
                labels.insert(TEMPLATE_HASH.to_owned());
            }
            keep.annotations.keys.insert(IGNORE.to_owned());
            if self.otel_annotations {
                keep.annotations.prefixes.insert(ATTRIBUTE_PREFIX.to_owned());
            }
            keep.containers = self.needs_containers();
        }
        keep
    }

    pub(super) fn labels(&self, from: Whose, labels: &BTreeMap<String, String>, pairs: &mut Pairs) {
        for rule in self.labels.iter().filter(|rule| rule.from == from) {
            rule.apply("label", labels, pairs);
        }
    }

    pub(super) fn annotations(&self, from: Whose, annotations: &BTreeMap<String, String>, pairs: &mut Pairs) {
        for rule in self.annotations.iter().filter(|rule| rule.from == from) {
            rule.apply("annotation", annotations, pairs);
        }
        if self.otel_annotations && from == Whose::Pod {
            for (key, value) in annotations {
                if let Some(attribute) = key.strip_prefix(ATTRIBUTE_PREFIX) {
                    pairs.set(attribute, value);
                }
            }
        }
    }
}

impl Rule {
    fn new(config: &FieldExtractConfig) -> Option<Self> {
        let select = if config.key_regex.is_empty() {
            Select::Key(config.key.clone())
        } else {
            let pattern = whole(&config.key_regex).ok()?;
            let has_groups = pattern.captures_len() > 1 && !config.tag_name.is_empty();
            Select::Pattern(pattern, has_groups)
        };
        Some(Self { from: config.from, select, tag: config.tag_name.clone() })
    }

    fn apply(&self, kind: &str, texts: &BTreeMap<String, String>, pairs: &mut Pairs) {
        match &self.select {
            Select::Key(key) => {
                let Some(value) = texts.get(key) else { return };
                let name =
                    if self.tag.is_empty() { self.from.attribute(kind, key) } else { self.tag.clone() };
                pairs.set(&name, value);
            }
            Select::Pattern(pattern, has_groups) => {
                for (key, value) in texts {
                    let Some(captures) = pattern.captures(key) else { continue };
                    let mut name = String::new();
                    if *has_groups {
                        captures.expand(&self.tag, &mut name);
                    } else {
                        name = self.from.attribute(kind, key);
                    }
                    pairs.set(&name, value);
                }
            }
        }
    }
}

impl Whose {
    /// The attribute of a label or annotation where none is named. The Collector's are in the plural for what it read
    /// first.
    fn attribute(self, kind: &str, key: &str) -> String {
        let (object, plural) = match self {
            Self::Pod => ("pod", "s"),
            Self::Namespace => ("namespace", "s"),
            Self::Node => ("node", "s"),
            Self::Deployment => ("deployment", ""),
            Self::StatefulSet => ("statefulset", ""),
            Self::DaemonSet => ("daemonset", ""),
            Self::Job => ("job", ""),
        };
        format!("k8s.{object}.{kind}{plural}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoded;

    fn rules(yaml: &str) -> Rules {
        let config = decoded::<crate::k8sattributes::K8sAttributesConfig>(yaml);
        assert_eq!(sluice_pipeline::component::ComponentConfig::problems(&config), []);
        Rules::new(&config.extract, &config.exclude)
    }

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn labels_become_attributes_by_key_or_pattern() {
        let rules = rules(
            "extract:
  labels:
    - {key: app}
    - {key: team, tag_name: owner, from: namespace}
    - {key_regex: 'example\\.com/(.*)', tag_name: 'x.$1'}
    - {key_regex: 'k.*'}
    - {key: tier, from: deployment}",
        );
        let labels =
            texts(&[("app", "a"), ("team", "t"), ("example.com/zone", "z"), ("kind", "k"), ("ok", "no")]);
        let mut pairs = Pairs::default();
        rules.labels(Whose::Pod, &labels, &mut pairs);
        let found = |pairs: &Pairs, key: &str| pairs.text(key).map(str::to_owned);
        assert_eq!(found(&pairs, "k8s.pod.labels.app").as_deref(), Some("a"));
        assert_eq!(found(&pairs, "x.zone").as_deref(), Some("z"));
        assert_eq!(found(&pairs, "k8s.pod.labels.kind").as_deref(), Some("k"));
        assert_eq!(found(&pairs, "owner"), None);
        assert_eq!(found(&pairs, "k8s.pod.labels.ok"), None, "the whole key must match");
        let mut pairs = Pairs::default();
        rules.labels(Whose::Namespace, &labels, &mut pairs);
        rules.labels(Whose::Deployment, &texts(&[("tier", "1")]), &mut pairs);
        assert_eq!(found(&pairs, "owner").as_deref(), Some("t"));
        assert_eq!(found(&pairs, "k8s.deployment.label.tier").as_deref(), Some("1"));

        assert!(rules.keep(Whose::Pod).labels.all);
        assert_eq!(rules.keep(Whose::Namespace).labels.keys, ["team".to_owned()].into());
        assert!(rules.reads(Whose::Namespace) && !rules.reads(Whose::Node));
    }

    #[test]
    fn annotations_of_opentelemetry_become_attributes() {
        let rules = rules("extract: {otel_annotations: true, metadata: []}");
        let mut pairs = Pairs::default();
        rules.annotations(
            Whose::Pod,
            &texts(&[("resource.opentelemetry.io/service.name", "shop"), ("other", "x")]),
            &mut pairs,
        );
        assert_eq!(pairs.text("service.name"), Some("shop"));
        assert!(!pairs.contains("other"));
        assert!(rules.keep(Whose::Pod).annotations.prefixes.contains(ATTRIBUTE_PREFIX));
        assert!(!rules.needs_containers() && !rules.needs_replica_sets());
    }

    #[test]
    fn some_pods_are_left_alone() {
        assert!(rules("").excludes("jaeger-agent-1"));
        let rules = rules("exclude: {pods: [{name: '^secret-'}]}");
        assert!(
            rules.excludes("secret-1") && !rules.excludes("jaeger-agent-1") && !rules.excludes("a-secret-1")
        );
    }
}
