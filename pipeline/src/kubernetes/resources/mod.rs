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

    /// About how many bytes of texts it keeps.
    fn size(&self) -> usize {
        self.metadata().size()
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

    fn size(&self) -> usize {
        let pairs = self.labels.iter().chain(&self.annotations).map(|(key, value)| key.len() + value.len());
        let owners =
            self.owner_references.iter().map(|owner| owner.kind.len() + owner.name.len() + owner.uid.len());
        let own = [&self.name, &self.namespace, &self.uid, &self.resource_version];
        let times = [&self.creation_timestamp, &self.deletion_timestamp].into_iter().flatten();
        own.into_iter().chain(times).map(String::len).chain(pairs).chain(owners).sum()
    }
}

/// Kubernetes leaves out what is empty, or writes `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
