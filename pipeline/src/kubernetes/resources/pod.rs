//! Pods.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Condition, Keep, Metadata, Resource, of_text, or_default};

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// What all objects have.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// What it is meant to be.
    #[serde(deserialize_with = "or_default")]
    pub spec: PodSpec,
    /// What it does now.
    #[serde(deserialize_with = "or_default")]
    pub status: PodStatus,
}

/// What a pod is meant to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Where it runs; empty until that is decided.
    #[serde(deserialize_with = "or_default")]
    pub node_name: String,
    /// Its host name, if it is not its own name.
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    /// Whether its address is that of its node.
    #[serde(deserialize_with = "or_default")]
    pub host_network: bool,
    /// What runs in it.
    #[serde(deserialize_with = "or_default")]
    pub containers: Vec<Container>,
    /// What runs before that, or beside it.
    #[serde(deserialize_with = "or_default")]
    pub init_containers: Vec<Container>,
}

/// A container as it is meant to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name, unique in the pod.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Such as `registry.example.com/shop/api:1.2`.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
}

/// What a pod does now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "or_default")]
    pub phase: String,
    /// Its address; empty until it has one.
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pub pod_ip: String,
    /// All its addresses: one of each family.
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pub pod_ips: Vec<PodAddress>,
    /// Since when its node knows of it, as RFC 3339 has it.
    pub start_time: Option<String>,
    /// Such as `Ready`.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    /// How its containers are.
    #[serde(deserialize_with = "or_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// How its init containers are.
    #[serde(deserialize_with = "or_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodAddress {
    /// The address.
    #[serde(deserialize_with = "or_default")]
    pub ip: String,
}

/// How a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name, unique in the pod.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Such as `containerd://` and 64 hexadecimal digits; empty until it was started.
    #[serde(rename = "containerID", deserialize_with = "or_default")]
    pub container_id: String,
    /// What runs, such as `registry.example.com/shop/api@sha256:` and 64 hexadecimal digits.
    #[serde(rename = "imageID", deserialize_with = "or_default")]
    pub image_id: String,
    /// How often it was started again.
    #[serde(deserialize_with = "or_default")]
    pub restart_count: i64,
    /// How it was before that.
    #[serde(deserialize_with = "or_default")]
    pub last_state: ContainerState,
}

/// How a container was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// If it had ended.
    #[serde(deserialize_with = "or_default")]
    pub terminated: Terminated,
}

/// A container that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Terminated {
    /// As [`ContainerStatus::container_id`].
    #[serde(rename = "containerID", deserialize_with = "or_default")]
    pub container_id: String,
}

impl Resource for Pod {
    const API: &'static str = "api/v1";
    const PLURAL: &'static str = "pods";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&mut self, keep: &Keep) {
        keep.trim(&mut self.metadata);
        if !keep.containers {
            (self.spec.containers, self.spec.init_containers) = (Vec::new(), Vec::new());
            self.status.container_statuses = Vec::new();
            self.status.init_container_statuses = Vec::new();
        }
        let vectors = [&mut self.spec.containers, &mut self.spec.init_containers];
        vectors.into_iter().for_each(Vec::shrink_to_fit);
        let vectors = [&mut self.status.container_statuses, &mut self.status.init_container_statuses];
        vectors.into_iter().for_each(Vec::shrink_to_fit);
        self.status.conditions.retain(|condition| condition.kind == "Ready");
        self.status.conditions.shrink_to_fit();
        self.status.pod_ips.shrink_to_fit();
    }

    fn size(&self) -> usize {
        let PodSpec { node_name, hostname, containers, init_containers, .. } = &self.spec;
        let PodStatus { phase, pod_ip, pod_ips, start_time, conditions, .. } = &self.status;
        let containers = containers
            .iter()
            .chain(init_containers)
            .map(|it| size_of::<Container>() + of_text(&it.name) + of_text(&it.image));
        let statuses =
            self.status.container_statuses.iter().chain(&self.status.init_container_statuses).map(|it| {
                let texts =
                    [&it.name, &it.container_id, &it.image_id, &it.last_state.terminated.container_id];
                size_of::<ContainerStatus>() + texts.into_iter().map(|text| of_text(text)).sum::<usize>()
            });
        let addresses = pod_ips.iter().map(|address| size_of::<PodAddress>() + of_text(&address.ip));
        let conditions =
            conditions.iter().map(|it| size_of::<Condition>() + of_text(&it.kind) + of_text(&it.status));
        let own =
            [node_name, hostname, phase, pod_ip].into_iter().chain(start_time).map(|text| of_text(text));
        let parts = own.chain(containers).chain(statuses).chain(addresses).chain(conditions);
        size_of::<Self>() + self.metadata.heap() + parts.sum::<usize>()
    }
}

impl Pod {
    /// Its address, if it serves: it runs, is ready and is not being deleted.
    #[must_use]
    pub fn serves_at(&self) -> Option<IpAddr> {
        let is_ready = self.status.conditions.iter().any(|it| it.kind == "Ready" && it.status == "True");
        let serves = is_ready && self.status.phase == "Running" && self.metadata.deletion_timestamp.is_none();
        if serves { self.status.pod_ip.parse().ok() } else { None }
    }

    /// Its addresses, each once. Those of a pod in its node's network are the node's, and so none.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let first = self.status.pod_ip.parse().ok().map(|address: IpAddr| address.to_canonical());
        let others = self.status.pod_ips.iter().filter_map(|address| address.ip.parse::<IpAddr>().ok());
        let others =
            others.map(|address| address.to_canonical()).filter(move |address| Some(*address) != first);
        first.into_iter().chain(others).filter(|_| !self.spec.host_network)
    }

    /// Whether all its containers have ended, so that its address may be another's.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}
