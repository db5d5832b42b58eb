//! The resources that components ask for, with the fields that they read. Kubernetes' API reference has them all.

mod keep;
mod pod;
mod services;
#[cfg(test)]
mod tests;
mod workloads;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

pub use self::{
    keep::{Keep, Wanted},
    pod::{Container, ContainerState, ContainerStatus, Pod, PodAddress, PodSpec, PodStatus, Terminated},
    services::{EndpointSlice, Service, ServiceSpec, SliceConditions, SliceEndpoint},
    workloads::{DaemonSet, Deployment, Job, Namespace, Node, ReplicaSet, StatefulSet},
};

/// A kind of object.
pub trait Resource: DeserializeOwned + Default + Send + Sync + 'static {
    /// The path of its API, such as `api/v1` or `apis/apps/v1`.
    const API: &'static str;
    /// Its name in paths and in rules of roles.
    const PLURAL: &'static str;
    /// Whether nothing but the metadata is read, so that the server is asked for no more.
    const METADATA_ONLY: bool = false;

    /// What all objects have.
    fn metadata(&self) -> &Metadata;

    /// Lets go of what is not to be kept.
    fn trim(&mut self, keep: &Keep);

    /// About how many bytes of memory it takes.
    fn size(&self) -> usize {
        size_of::<Self>() + self.metadata().heap()
    }
}

/// What all objects have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name, unique in the namespace.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The namespace; empty where there is none.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Unique among all objects, also those that are gone.
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    /// The version, from which a watch goes on.
    #[serde(deserialize_with = "or_default")]
    pub resource_version: String,
    /// Its labels, as far as they are kept.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations, as far as they are kept.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// What it belongs to.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerReference>,
    /// Since when it is there, as RFC 3339 has it.
    pub creation_timestamp: Option<String>,
    /// Since when it is being deleted.
    pub deletion_timestamp: Option<String>,
}

/// What an object belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Such as `ReplicaSet`.
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    /// Its name, in the same namespace.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Unique among all objects.
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
}

/// Something that holds of an object, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What it is.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "or_default")]
    pub status: String,
}

impl Metadata {
    /// The first owner of this kind.
    #[must_use]
    pub fn owner(&self, kind: &str) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.kind == kind)
    }

    /// About how many bytes of memory it takes besides itself.
    fn heap(&self) -> usize {
        /// A node of a map is made for eleven pairs, and two thirds full as a rule.
        const NODE: usize = 11 * size_of::<(String, String)>() + 32;
        let maps = [&self.labels, &self.annotations];
        let nodes = maps.iter().map(|map| map.len().div_ceil(7) * NODE);
        let pairs = maps.into_iter().flatten().map(|(key, value)| of_text(key) + of_text(value));
        let owners = self.owner_references.iter().map(|OwnerReference { kind, name, uid }| {
            size_of::<OwnerReference>() + of_text(kind) + of_text(name) + of_text(uid)
        });
        let own = [&self.name, &self.namespace, &self.uid, &self.resource_version];
        let times = [&self.creation_timestamp, &self.deletion_timestamp].into_iter().flatten();
        let texts = own.into_iter().chain(times).map(|text| of_text(text));
        texts.chain(nodes).chain(pairs).chain(owners).sum()
    }
}

/// About how many bytes of memory a text takes besides its place; allocators round up.
pub(super) fn of_text(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + 16 }
}

/// Kubernetes leaves out what is empty, or writes `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
