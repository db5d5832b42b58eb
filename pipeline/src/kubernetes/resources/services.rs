//! Services and where they are served.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Keep, Metadata, Resource, of_text, or_default};

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

impl Resource for Service {
    const API: &'static str = "api/v1";
    const PLURAL: &'static str = "services";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&mut self, keep: &Keep) {
        keep.trim(&mut self.metadata);
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.metadata.heap() + of_text(&self.spec.cluster_ip)
    }
}

impl Resource for EndpointSlice {
    const API: &'static str = "apis/discovery.k8s.io/v1";
    const PLURAL: &'static str = "endpointslices";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&mut self, keep: &Keep) {
        keep.trim(&mut self.metadata);
        self.endpoints.shrink_to_fit();
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.addresses.shrink_to_fit());
    }

    fn size(&self) -> usize {
        let addresses = |endpoint: &SliceEndpoint| -> usize {
            endpoint.addresses.iter().map(|address| size_of::<String>() + of_text(address)).sum()
        };
        let endpoints =
            self.endpoints.iter().map(|endpoint| size_of::<SliceEndpoint>() + addresses(endpoint));
        size_of::<Self>() + self.metadata.heap() + endpoints.sum::<usize>()
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
