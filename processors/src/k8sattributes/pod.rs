//! What is known of a pod, ready to be added to resources.

use std::sync::atomic::{AtomicBool, Ordering};

use sluice_pipeline::kubernetes::{ContainerStatus, OwnerReference, Pod};

use super::{
    association::{self, Property},
    block::{Block, Pairs, Span},
    config::{Field, Whose},
    image::{self, Image},
    key::Key,
    related::{Kind, Related, Relations},
    rules::{IGNORE, INSTANCE_LABEL, NAME_LABEL, Rules, TEMPLATE_HASH, VERSION_LABEL},
};

/// What is known of a pod. What every resource reads stands together at the beginning.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Entry {
    /// Whether it is to be left alone.
    pub(super) is_ignored: bool,
    has_ended: bool,
    is_gone: AtomicBool,
    /// What its resources get, encoded: that of all, then that of each container.
    bytes: Box<[u8]>,
    usual: Span,
    all: Span,
    containers: Box<[Container]>,
    /// Tells pods apart: the UID.
    pub(super) identity: Box<str>,
    /// What it is known by: tables with keys.
    pub(super) keys: Box<[(usize, Key)]>,
    /// Since when it is there, as Kubernetes writes it.
    started: Box<str>,
}

/// How often a resource says that its container had been started again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Restarts {
    Untold,
    /// `None` is no number.
    Told(Option<i64>),
}

/// What is known of a container.
#[derive(Debug)]
struct Container {
    name: Box<str>,
    /// Empty until it was started.
    id: Box<str>,
    /// Before it was last started again; empty if it never was.
    previous_id: Box<str>,
    restarts: i64,
    /// Whether it is no init container.
    is_main: bool,
    /// What holds of it however often it is started again.
    always: Span,
    /// What holds of it as it runs now; stands after that.
    run: Span,
}

impl Entry {
    pub(super) fn new(pod: &Pod, rules: &Rules, tables: &[Vec<Property>], relations: &Relations) -> Self {
        let metadata = &pod.metadata;
        let pairs = attributes(pod, rules, relations);
        let mut bytes = Vec::with_capacity(1024);
        let all = pairs.encode(&mut bytes);
        let containers = if rules.needs_containers() || uses_containers(tables) {
            containers(pod, rules, &pairs, &mut bytes)
        } else {
            Vec::new()
        };
        // The first container is a main one, if there is any.
        let usual = match sole(&containers) {
            Some(container) => all.with(container.always).with(container.run),
            None => all,
        };
        let keys = tables.iter().enumerate().flat_map(|(table, properties)| {
            let values: Vec<Vec<Vec<u8>>> =
                properties.iter().map(|property| values(property, pod, &pairs, &containers)).collect();
            association::keys(&values).into_iter().map(move |key| (table, Key::of(&key)))
        });
        let asks_to_be_left = metadata.annotations.get(IGNORE);
        Self {
            identity: identity(pod),
            keys: keys.collect(),
            bytes: bytes.into(),
            usual,
            all,
            containers: containers.into(),
            is_ignored: rules.excludes(&metadata.name)
                || asks_to_be_left.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
            started: pod
                .status
                .start_time
                .as_deref()
                .or(metadata.creation_timestamp.as_deref())
                .unwrap_or_default()
                .into(),
            has_ended: pod.has_ended(),
            is_gone: AtomicBool::new(false),
        }
    }

    /// What a resource gets that says nothing of its container.
    #[inline]
    pub(super) fn usual(&self) -> Block<'_> {
        self.usual.of(&self.bytes)
    }

    /// What all its resources get.
    pub(super) fn all(&self) -> Block<'_> {
        self.all.of(&self.bytes)
    }

    /// What a resource gets besides that has these attributes: the name of its container, its id, and how often it had
    /// been started again.
    pub(super) fn of_container(&self, name: &[u8], id: &[u8], restarts: Restarts) -> Option<Block<'_>> {
        let container = self.container(name, id)?;
        let is_current = match restarts {
            Restarts::Untold => true,
            Restarts::Told(restarts) => restarts == Some(container.restarts),
        };
        let span = match is_current && container.runs_as(id) {
            true => container.always.with(container.run),
            false => container.always,
        };
        Some(span.of(&self.bytes))
    }

    /// The container that these attributes of a resource mean; of several, none without a name or an id.
    fn container(&self, name: &[u8], id: &[u8]) -> Option<&Container> {
        if !name.is_empty() {
            return self.containers.iter().find(|container| container.name.as_bytes() == name);
        }
        if !id.is_empty() {
            let is_it = |it: &&Container| it.id.as_bytes() == id || it.previous_id.as_bytes() == id;
            return self.containers.iter().find(is_it);
        }
        sole(&self.containers)
    }

    /// Of several pods with the same key the one with the highest rank is meant: one that runs, then the newest.
    pub(super) fn rank(&self) -> (bool, &str) {
        (!self.has_ended && !self.is_gone(), &self.started)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_known_by(&self, table: usize, key: &Key) -> bool {
        self.keys.iter().any(|(known, own)| *known == table && own == key)
    }
}

/// The only main container.
fn sole(containers: &[Container]) -> Option<&Container> {
    let mut main = containers.iter().filter(|container| container.is_main);
    main.next().filter(|_| main.next().is_none())
}

/// Tells pods apart.
pub(super) fn identity(pod: &Pod) -> Box<str> {
    match pod.metadata.uid.as_str() {
        "" => format!("{}/{}", pod.metadata.namespace, pod.metadata.name).into(),
        uid => uid.into(),
    }
}

fn uses_containers(tables: &[Vec<Property>]) -> bool {
    tables.iter().flatten().any(|property| *property == Property::ContainerId)
}

/// What a pod has of a property.
fn values(property: &Property, pod: &Pod, pairs: &Pairs, containers: &[Container]) -> Vec<Vec<u8>> {
    let text = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.as_bytes().to_vec()] };
    match property {
        Property::Address => pod.addresses().map(association::address).collect(),
        Property::Uid => text(&pod.metadata.uid),
        Property::Name => text(&pod.metadata.name),
        Property::Namespace => text(&pod.metadata.namespace),
        Property::ContainerId => {
            let ids = containers.iter().flat_map(|container| [&container.id, &container.previous_id]);
            ids.filter(|id| !id.is_empty()).map(|id| id.as_bytes().to_vec()).collect()
        }
        Property::Attribute(name) => text(pairs.text(name).unwrap_or_default()),
    }
}

/// What all resources of a pod have.
fn attributes(pod: &Pod, rules: &Rules, relations: &Relations) -> Pairs {
    let metadata = &pod.metadata;
    let mut pairs = Pairs::default();
    for (field, key, text) in [
        (Field::NamespaceName, "k8s.namespace.name", metadata.namespace.as_str()),
        (Field::PodName, "k8s.pod.name", &metadata.name),
        (Field::PodUid, "k8s.pod.uid", &metadata.uid),
        (Field::PodHostName, "k8s.pod.hostname", &pod.spec.hostname),
        (Field::PodIp, "k8s.pod.ip", &pod.status.pod_ip),
        (
            Field::PodStartTime,
            "k8s.pod.start_time",
            metadata.creation_timestamp.as_deref().unwrap_or_default(),
        ),
        (Field::NodeName, "k8s.node.name", &pod.spec.node_name),
        (Field::ClusterUid, "k8s.cluster.uid", relations.cluster_uid()),
        (Field::ServiceNamespace, "service.namespace", &metadata.namespace),
        (Field::ServiceName, "service.name", &metadata.name),
    ] {
        if rules.has(field) {
            pairs.set(key, text);
        }
    }
    for owner in &metadata.owner_references {
        owned(owner, pod, rules, relations, &mut pairs);
    }
    rules.labels(Whose::Pod, &metadata.labels, &mut pairs);
    for (field, key, label) in [
        (Field::ServiceName, "service.name", NAME_LABEL),
        (Field::ServiceName, "service.name", INSTANCE_LABEL),
        (Field::ServiceVersion, "service.version", VERSION_LABEL),
    ] {
        if let Some(value) = metadata.labels.get(label).filter(|value| rules.has(field) && !value.is_empty())
        {
            pairs.set(key, value);
        }
    }
    rules.annotations(Whose::Pod, &metadata.annotations, &mut pairs);
    for related in relations.of(pod) {
        pairs.add_all(&related.pairs);
    }
    pairs
}

fn owned(owner: &OwnerReference, pod: &Pod, rules: &Rules, relations: &Relations, pairs: &mut Pairs) {
    let OwnerReference { kind, name, uid } = owner;
    let (name_field, name_key, uid_field, uid_key) = match kind.as_str() {
        "ReplicaSet" => {
            (Field::ReplicaSetName, "k8s.replicaset.name", Field::ReplicaSetUid, "k8s.replicaset.uid")
        }
        "DaemonSet" => (Field::DaemonSetName, "k8s.daemonset.name", Field::DaemonSetUid, "k8s.daemonset.uid"),
        "StatefulSet" => {
            (Field::StatefulSetName, "k8s.statefulset.name", Field::StatefulSetUid, "k8s.statefulset.uid")
        }
        "Job" => (Field::JobName, "k8s.job.name", Field::JobUid, "k8s.job.uid"),
        _ => return,
    };
    let mut set = |field: Field, key: &str, text: &str| {
        if rules.has(field) && !text.is_empty() {
            pairs.set(key, text);
        }
    };
    set(name_field, name_key, name);
    set(uid_field, uid_key, uid);
    set(Field::ServiceName, "service.name", name);
    let (above_name, above_uid) = match kind.as_str() {
        "ReplicaSet" => deployment(owner, pod, rules, relations),
        "Job" => cron_job(owner, relations),
        _ => return,
    };
    let (name_field, name_key, uid_field, uid_key) = match kind.as_str() {
        "Job" => (Field::CronJobName, "k8s.cronjob.name", Field::CronJobUid, "k8s.cronjob.uid"),
        _ => (Field::DeploymentName, "k8s.deployment.name", Field::DeploymentUid, "k8s.deployment.uid"),
    };
    set(name_field, name_key, &above_name);
    set(uid_field, uid_key, &above_uid);
    set(Field::ServiceName, "service.name", &above_name);
}

/// Name and UID of the deployment of a replica set.
fn deployment(owner: &OwnerReference, pod: &Pod, rules: &Rules, relations: &Relations) -> (String, String) {
    let above = relations.get(Kind::ReplicaSet, &owner.uid).and_then(|set| set.owner.clone());
    let (mut name, uid) = above.unwrap_or_default();
    if rules.deployment_from_replica_set {
        let hash = pod.metadata.labels.get(TEMPLATE_HASH).filter(|hash| !hash.is_empty());
        let trimmed = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        name = trimmed.unwrap_or_default().to_owned();
    }
    (name, uid)
}

/// Name and UID of the cron job of a job. The name is known without watching jobs: a job of a cron job ends with the
/// minute that it is for, counted from 1970 (older Kubernetes: the second).
fn cron_job(owner: &OwnerReference, relations: &Relations) -> (String, String) {
    if let Some(above) = relations.get(Kind::Job, &owner.uid).and_then(|job| job.owner.clone()) {
        return above;
    }
    let parts = owner.name.rsplit_once('-');
    let is_time =
        |text: &str| (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = parts.filter(|(_, time)| is_time(time)).map_or("", |(name, _)| name);
    (name.to_owned(), String::new())
}

/// What is known of the containers, the main ones first; encodes what their resources get.
fn containers(pod: &Pod, rules: &Rules, of_pod: &Pairs, bytes: &mut Vec<u8>) -> Vec<Container> {
    let (spec, status) = (&pod.spec, &pod.status);
    let main = spec.containers.iter().map(|container| (container, true, &status.container_statuses));
    let init =
        spec.init_containers.iter().map(|container| (container, false, &status.init_container_statuses));
    let mut containers = Vec::with_capacity(spec.containers.len() + spec.init_containers.len());
    for (container, is_main, statuses) in main.chain(init) {
        let nothing = ContainerStatus::default();
        let status = statuses.iter().find(|status| status.name == container.name).unwrap_or(&nothing);
        let mut always = Pairs::default();
        if rules.has(Field::ContainerName) {
            always.add("k8s.container.name", &container.name);
        }
        if let Some(image) = Image::parse(&container.image) {
            if rules.has(Field::ContainerImageName) {
                always.add("container.image.name", image.repository);
            }
            if rules.has(Field::ContainerImageTag) {
                always.add("container.image.tag", image.tag.unwrap_or("latest"));
            }
            if rules.has(Field::ServiceVersion) {
                always.add("service.version", &image.version().unwrap_or_default());
            }
        }
        let mut run = Pairs::default();
        if rules.has(Field::ServiceInstanceId) {
            let names = [&pod.metadata.namespace, &pod.metadata.name, &container.name];
            run.add("service.instance.id", &names.map(String::as_str).join("."));
        }
        let id = bare(&status.container_id);
        if rules.has(Field::ContainerId) {
            run.add("container.id", id);
        }
        if rules.has(Field::ContainerImageRepoDigests) {
            let digests = image::canonical(&status.image_id).into_iter().collect();
            run.add_list("container.image.repo_digests", digests);
        }
        containers.push(Container {
            name: container.name.as_str().into(),
            id: id.into(),
            previous_id: bare(&status.last_state.terminated.container_id).into(),
            restarts: status.restart_count,
            is_main,
            always: always.without(of_pod).encode(bytes),
            run: run.without(of_pod).encode(bytes),
        });
    }
    containers
}

/// An id without the name of the runtime: of `containerd://1` it is `1`.
fn bare(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}

impl Container {
    /// Whether an id is that of its run now, or of none that is known.
    fn runs_as(&self, id: &[u8]) -> bool {
        id.is_empty() || self.previous_id.is_empty() || self.previous_id.as_bytes() != id
    }
}

impl Relations {
    /// What a pod belongs to and runs on, the nearest first.
    fn of<'s>(&'s self, pod: &Pod) -> impl Iterator<Item = &'s Related> + use<'s> {
        let metadata = &pod.metadata;
        let owner = |kind: &str| metadata.owner(kind).map_or("", |owner| owner.uid.as_str());
        let deployment = self.get(Kind::ReplicaSet, owner("ReplicaSet")).and_then(|set| set.owner.as_ref());
        let related = [
            (Kind::Namespace, metadata.namespace.as_str()),
            (Kind::Node, &pod.spec.node_name),
            (Kind::Deployment, deployment.map_or("", |(_, uid)| uid)),
            (Kind::StatefulSet, owner("StatefulSet")),
            (Kind::DaemonSet, owner("DaemonSet")),
            (Kind::Job, owner("Job")),
        ];
        related.map(|(kind, key)| self.get(kind, key)).into_iter().flatten()
    }
}
