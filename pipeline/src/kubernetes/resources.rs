//! The resources that components ask for, with the fields that they read. Kubernetes' API reference has them all.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// A kind of object.
pub trait Resource: DeserializeOwned + Default + Send + Sync + 'static {
    /// The path of its API, such as `api/v1` or `apis/apps/v1`.
    const API: &'static str;
    /// Its name in paths and in rules of roles.
    const PLURAL: &'static str;

    /// What all objects have.
    fn metadata(&self) -> &Metadata;
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
    /// Its labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Since when it is being deleted.
    pub deletion_timestamp: Option<String>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// What all objects have.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// What it does now.
    #[serde(deserialize_with = "or_default")]
    pub status: PodStatus,
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
    /// Such as `Ready`.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
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

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Service {
    /// What all objects have.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// What it is meant to be.
    #[serde(deserialize_with = "or_default")]
    pub spec: ServiceSpec,
}

/// What a service is meant to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// Its address; `None` for a headless one.
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    pub cluster_ip: String,
}

/// A part of the endpoints of a service. Its label `kubernetes.io/service-name` names the service, whose labels it has too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// What all objects have.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// The endpoints.
    #[serde(deserialize_with = "or_default")]
    pub endpoints: Vec<SliceEndpoint>,
}

/// An endpoint of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SliceEndpoint {
    /// Its addresses, which are alike.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Whether it serves.
    #[serde(deserialize_with = "or_default")]
    pub conditions: SliceConditions,
}

/// Whether an endpoint serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SliceConditions {
    /// Absent means that it does.
    pub ready: Option<bool>,
}

impl Resource for Pod {
    const API: &'static str = "api/v1";
    const PLURAL: &'static str = "pods";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Resource for Service {
    const API: &'static str = "api/v1";
    const PLURAL: &'static str = "services";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Resource for EndpointSlice {
    const API: &'static str = "apis/discovery.k8s.io/v1";
    const PLURAL: &'static str = "endpointslices";

    fn metadata(&self) -> &Metadata {
        &self.metadata
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
}

impl Service {
    /// Its address; none of a headless one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.spec.cluster_ip.parse().ok()
    }
}

impl EndpointSlice {
    /// The addresses of the endpoints that serve, one of each.
    pub fn serving(&self) -> impl Iterator<Item = IpAddr> {
        let serving = self.endpoints.iter().filter(|endpoint| endpoint.conditions.ready != Some(false));
        serving.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_that_serve_have_addresses() {
        let pod = |status: &str, metadata: &str| {
            let text = format!(
                r#"{{"kind": "Pod", "metadata": {{{metadata}}}, "spec": {{}}, "status": {{{status}}}}}"#
            );
            serde_json::from_str::<Pod>(&text).unwrap().serves_at()
        };
        let ready =
            r#""phase": "Running", "podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]"#;
        assert_eq!(pod(ready, ""), "10.0.0.7".parse().ok());
        assert_eq!(pod(ready, r#""labels": null, "deletionTimestamp": "2026-01-01T00:00:00Z""#), None);
        assert_eq!(pod(&ready.replace("True", "False"), ""), None);
        assert_eq!(pod(&ready.replace("Running", "Pending"), ""), None);
        assert_eq!(pod(&ready.replace("10.0.0.7", ""), ""), None);
        assert_eq!(pod(r#""conditions": null"#, ""), None);
    }

    #[test]
    fn services_and_slices_have_theirs() {
        let service =
            |ip| serde_json::from_str::<Service>(&format!(r#"{{"spec": {{"clusterIP": "{ip}"}}}}"#));
        assert_eq!(service("fd00::1").unwrap().address(), "fd00::1".parse().ok());
        assert_eq!(service("None").unwrap().address(), None);
        let slice: EndpointSlice = serde_json::from_str(
            r#"{"endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}, {"addresses": ["10.0.0.4"]}]}"#,
        )
        .unwrap();
        let serving: Vec<String> = slice.serving().map(|address| address.to_string()).collect();
        assert_eq!(serving, ["10.0.0.1", "10.0.0.4"]);
    }
}
