//! What Kubernetes has of a resource, kept current: a small client for list and watch.
//!
//! One [`Informer`] lists the objects that a selection names and then watches them; all components of the process that
//! want the same share it ([`shared`]). What its server says is not trusted: sizes, counts and times are bounded, and
//! until a list has succeeded again the objects stay as they were. The whole API's client (`kube` with `k8s-openapi`) was
//! measured instead and left out: it more than doubles what a clean build of all dependencies takes.

mod api;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod informer;
mod resources;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use self::{
    config::ApiConfig,
    error::{KubernetesError, Refusal},
    informer::{Informer, Selection, shared},
    resources::{Condition, EndpointSlice, Metadata, Pod, Resource, Service},
};
