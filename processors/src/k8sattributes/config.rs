//! The keys of the `k8sattributes` processor.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::Duration,
};

/// How many sources an association has at most.
const MOST_SOURCES: usize = 4;

/// The keys of the `k8sattributes` processor.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct K8sAttributesConfig {
    /// How the API server is reached.
    pub auth_type: AuthType,
    /// With `auth_type: kubeConfig`: the context of the file, if it is not the current one.
    pub context: String,
    /// With `auth_type: kubeConfig`: the file; empty means what `KUBECONFIG` names, else `~/.kube/config`.
    pub kube_config_path: String,
    /// Only adds the address of the client as `k8s.pod.ip`, for a gateway that associates by it. Kubernetes is not asked.
    pub passthrough: bool,
    /// What is added.
    pub extract: ExtractConfig,
    /// Which pods are known.
    pub filter: FilterConfig,
    /// How the pod of a resource is found: by the first rule all of whose sources are there. Without rules by `k8s.pod.ip`,
    /// `ip`, `k8s.pod.uid`, the address of the client, or `host.name` if it is an IP address.
    pub pod_association: Vec<PodAssociationConfig>,
    /// Which pods are left alone.
    pub exclude: ExcludeConfig,
    /// Starts to receive only once everything has been listed.
    pub wait_for_metadata: bool,
    /// How long that may take; then Sluice does not start.
    pub wait_for_metadata_timeout: Duration,
    /// How often everything that is known is gone through again; 0 means never.
    pub watch_sync_period: Duration,
    /// How long a pod is known after it is gone, for telemetry that comes late.
    pub pod_delete_grace_period: Duration,
}

/// How the API server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthType {
    /// As the service account of the pod that Sluice runs in.
    #[default]
    ServiceAccount,
    /// By a kubeconfig file.
    KubeConfig,
    /// In a pod, without credentials and without a look at the server's certificate.
    None,
    /// The Collector knows the word, but no way to the API server by it; not in this build.
    Tls,
}

/// What is added.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExtractConfig {
    /// Attributes, by their names.
    pub metadata: Vec<Field>,
    /// Labels of Kubernetes' objects.
    pub labels: Vec<FieldExtractConfig>,
    /// Annotations of Kubernetes' objects.
    pub annotations: Vec<FieldExtractConfig>,
    /// Adds the annotations `resource.opentelemetry.io/<name>` of pods as `<name>`.
    pub otel_annotations: bool,
    /// Takes the name of the deployment from that of the replica set and the label `pod-template-hash`, so that replica
    /// sets need not be watched.
    pub deployment_name_from_replicaset: bool,
}

/// An attribute of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum Field {
    /// The namespace.
    #[serde(rename = "k8s.namespace.name")]
    NamespaceName,
    /// The pod.
    #[serde(rename = "k8s.pod.name")]
    PodName,
    /// The pod's UID.
    #[serde(rename = "k8s.pod.uid")]
    PodUid,
    /// The pod's host name, if its spec has one.
    #[serde(rename = "k8s.pod.hostname")]
    PodHostName,
    /// The pod's address.
    #[serde(rename = "k8s.pod.ip")]
    PodIp,
    /// When the pod was created, RFC 3339.
    #[serde(rename = "k8s.pod.start_time")]
    PodStartTime,
    /// The deployment.
    #[serde(rename = "k8s.deployment.name")]
    DeploymentName,
    /// The deployment's UID.
    #[serde(rename = "k8s.deployment.uid")]
    DeploymentUid,
    /// The replica set.
    #[serde(rename = "k8s.replicaset.name")]
    ReplicaSetName,
    /// The replica set's UID.
    #[serde(rename = "k8s.replicaset.uid")]
    ReplicaSetUid,
    /// The daemon set.
    #[serde(rename = "k8s.daemonset.name")]
    DaemonSetName,
    /// The daemon set's UID.
    #[serde(rename = "k8s.daemonset.uid")]
    DaemonSetUid,
    /// The stateful set.
    #[serde(rename = "k8s.statefulset.name")]
    StatefulSetName,
    /// The stateful set's UID.
    #[serde(rename = "k8s.statefulset.uid")]
    StatefulSetUid,
    /// The job.
    #[serde(rename = "k8s.job.name")]
    JobName,
    /// The job's UID.
    #[serde(rename = "k8s.job.uid")]
    JobUid,
    /// The cron job, from the name of the job.
    #[serde(rename = "k8s.cronjob.name")]
    CronJobName,
    /// The cron job's UID.
    #[serde(rename = "k8s.cronjob.uid")]
    CronJobUid,
    /// The node.
    #[serde(rename = "k8s.node.name")]
    NodeName,
    /// The node's UID.
    #[serde(rename = "k8s.node.uid")]
    NodeUid,
    /// The UID of the namespace `kube-system`, which stands for the cluster.
    #[serde(rename = "k8s.cluster.uid")]
    ClusterUid,
    /// The container's name.
    #[serde(rename = "k8s.container.name")]
    ContainerName,
    /// The container's id.
    #[serde(rename = "container.id")]
    ContainerId,
    /// The repository of the container's image.
    #[serde(rename = "container.image.name")]
    ContainerImageName,
    /// The tag of the container's image.
    #[serde(rename = "container.image.tag")]
    ContainerImageTag,
    /// What the container runs, by digest.
    #[serde(rename = "container.image.repo_digests")]
    ContainerImageRepoDigests,
    /// The namespace.
    #[serde(rename = "service.namespace")]
    ServiceNamespace,
    /// The label `app.kubernetes.io/instance` or `app.kubernetes.io/name`, or the name of what the pod belongs to.
    #[serde(rename = "service.name")]
    ServiceName,
    /// The label `app.kubernetes.io/version`, or tag and digest of the image.
    #[serde(rename = "service.version")]
    ServiceVersion,
    /// Namespace, pod and container.
    #[serde(rename = "service.instance.id")]
    ServiceInstanceId,
}

/// A label or annotation to add.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FieldExtractConfig {
    /// The attribute; empty means such as `k8s.pod.labels.<key>`. With groups in `key_regex` it may refer to them, `$$1`.
    pub tag_name: String,
    /// The label or annotation.
    pub key: String,
    /// All whose whole key matches this.
    pub key_regex: String,
    /// Whose.
    pub from: Whose,
    /// Gone from the Collector as well; not in this build.
    pub regex: NotBuilt,
}

/// Whose labels and annotations.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// The pod's.
    #[default]
    Pod,
    /// Its namespace's.
    Namespace,
    /// Its node's.
    Node,
    /// Its deployment's.
    Deployment,
    /// Its stateful set's.
    StatefulSet,
    /// Its daemon set's.
    DaemonSet,
    /// Its job's.
    Job,
}

/// Which pods are known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FilterConfig {
    /// Those of this node.
    pub node: String,
    /// The same, by the variable of the environment that has the node's name.
    pub node_from_env_var: String,
    /// Those of this namespace, or of these.
    #[serde(deserialize_with = "one_or_several")]
    #[schemars(with = "OneOrSeveral")]
    pub namespace: Vec<String>,
    /// Those with these fields, such as `status.phase`.
    pub fields: Vec<FieldFilterConfig>,
    /// Those with these labels.
    pub labels: Vec<FieldFilterConfig>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

/// A field or label that pods must have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FieldFilterConfig {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// How the value is compared.
    pub op: Operation,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It is this.
    #[default]
    #[serde(alias = "")]
    Equals,
    /// It is something else, or there is none.
    NotEquals,
    /// Labels: there is one.
    Exists,
    /// Labels: there is none.
    DoesNotExist,
}

/// A way to find the pod of a resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PodAssociationConfig {
    /// What the pod must have in common with the resource, one to four.
    pub sources: Vec<SourceConfig>,
}

/// Something that a pod has in common with a resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SourceConfig {
    /// Where it is taken from; required.
    #[schemars(required)]
    pub from: Option<SourceFrom>,
    /// With `resource_attribute`: which, such as `k8s.pod.uid` or `container.id`.
    pub name: String,
}

/// Where something is taken from that a pod has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFrom {
    /// The address of the client. What joins or holds batches (`batch`, `groupbytrace`) comes after this processor.
    Connection,
    /// An attribute of the resource.
    ResourceAttribute,
}

/// Which pods are left alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExcludeConfig {
    /// Empty means `jaeger-agent` and `jaeger-collector`.
    pub pods: Vec<ExcludePodConfig>,
}

/// Pods that are left alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExcludePodConfig {
    /// A regular expression that matches somewhere in the name.
    pub name: String,
}

impl Default for K8sAttributesConfig {
    fn default() -> Self {
        Self {
            auth_type: AuthType::default(),
            context: String::new(),
            kube_config_path: String::new(),
            passthrough: false,
            extract: ExtractConfig::default(),
            filter: FilterConfig::default(),
            pod_association: Vec::new(),
            exclude: ExcludeConfig::default(),
            wait_for_metadata: false,
            wait_for_metadata_timeout: Duration::from_secs(10),
            watch_sync_period: Duration::from_secs(300),
            pod_delete_grace_period: Duration::from_secs(120),
        }
    }
}

impl Default for ExtractConfig {
    fn default() -> Self {
        Self {
            metadata: vec![
                Field::NamespaceName,
                Field::PodName,
                Field::PodUid,
                Field::PodStartTime,
                Field::DeploymentName,
                Field::NodeName,
                Field::ContainerImageName,
                Field::ContainerImageTag,
            ],
            labels: Vec::new(),
            annotations: Vec::new(),
            otel_annotations: false,
            deployment_name_from_replicaset: false,
        }
    }
}

impl ComponentConfig for K8sAttributesConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut at = |key: String, message: &str| problems.push(Problem::at(key, message));
        if self.auth_type == AuthType::Tls {
            let message =
                "tls is not in this build; use kubeConfig with a client-certificate, or serviceAccount";
            at("auth_type".to_owned(), message);
        }
        if self.auth_type != AuthType::KubeConfig {
            for (key, value) in [("context", &self.context), ("kube_config_path", &self.kube_config_path)] {
                if !value.is_empty() {
                    at(key.to_owned(), "this has an effect with auth_type: kubeConfig only; remove it");
                }
            }
        }
        if !self.filter.node.is_empty() && !self.filter.node_from_env_var.is_empty() {
            at("filter.node".to_owned(), "node_from_env_var is set as well; keep one of the two");
        }
        for (list, filters) in [("fields", &self.filter.fields), ("labels", &self.filter.labels)] {
            for (number, filter) in filters.iter().enumerate() {
                let key = format!("filter.{list}.{number}");
                if filter.key.is_empty() {
                    at(key, "a key is needed");
                } else if list == "fields" && matches!(filter.op, Operation::Exists | Operation::DoesNotExist)
                {
                    at(format!("{key}.op"), "fields can be compared with equals and not-equals only");
                }
            }
        }
        for (number, association) in self.pod_association.iter().enumerate() {
            let key = format!("pod_association.{number}");
            if association.sources.is_empty() || association.sources.len() > MOST_SOURCES {
                at(format!("{key}.sources"), "one to four sources are needed");
            }
            for (number, source) in association.sources.iter().enumerate() {
                let key = format!("{key}.sources.{number}");
                match source.from {
                    None => at(key, "\"from\" is needed: connection or resource_attribute"),
                    Some(SourceFrom::ResourceAttribute) if source.name.is_empty() => {
                        at(key, "\"name\" is needed: the attribute of the resource, such as k8s.pod.uid");
                    }
                    Some(_) => {}
                }
            }
        }
        for (number, pod) in self.exclude.pods.iter().enumerate() {
            if let Err(error) = Regex::new(&pod.name) {
                at(format!("exclude.pods.{number}.name"), &format!("no regular expression: {error}"));
            }
        }
        for (list, rules) in [("labels", &self.extract.labels), ("annotations", &self.extract.annotations)] {
            for (number, rule) in rules.iter().enumerate() {
                rule.report(&format!("extract.{list}.{number}"), &mut problems);
            }
        }
        problems
    }
}

impl FieldExtractConfig {
    fn report(&self, key: &str, problems: &mut Vec<Problem>) {
        self.regex.report(format!("{key}.regex"), "take the whole value, and edit it further on", problems);
        match (self.key.is_empty(), self.key_regex.is_empty()) {
            (true, true) => problems.push(Problem::at(key, "a key or a key_regex is needed")),
            (false, false) => {
                problems
                    .push(Problem::at(format!("{key}.key_regex"), "key is set as well; keep one of the two"));
            }
            (false, true) => {}
            (true, false) => {
                if let Err(error) = whole(&self.key_regex) {
                    problems.push(Problem::at(
                        format!("{key}.key_regex"),
                        format!("no regular expression: {error}"),
                    ));
                }
            }
        }
    }
}

/// The regular expression that matches the whole of a key.
pub(super) fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(one) if one.is_empty() => Vec::new(),
        OneOrSeveral::One(one) => vec![one],
        OneOrSeveral::Several(several) => several,
    })
}
