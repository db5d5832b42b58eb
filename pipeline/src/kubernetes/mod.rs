//! What Kubernetes has of a resource, kept current: a small client for list and watch.
//!
//! One [`Informer`] lists the objects that a selection names and then watches them; all components of the process that
//! want the same share it ([`shared`]). What its server says is not trusted: sizes, counts and times are bounded, and
//! until a list has succeeded again the objects stay as they were. The whole API's client (`kube` with `k8s-openapi`) was
//! measured instead and left out: it more than doubles what a clean build of all dependencies takes.

mod access;
mod api;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod informer;
mod kubeconfig;
mod objects;
mod resources;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use self::{
    access::Access,
    config::ApiConfig,
    error::{KubernetesError, Refusal},
    informer::{Informer, Selection, shared},
    objects::Observer,
    resources::{
        Condition, Container, ContainerState, ContainerStatus, DaemonSet, Deployment, EndpointSlice, Job,
        Keep, Metadata, Namespace, Node, OwnerReference, Pod, PodAddress, PodSpec, PodStatus, ReplicaSet,
        Resource, Service, ServiceSpec, SliceConditions, SliceEndpoint, StatefulSet, Terminated, Wanted,
    },
};
