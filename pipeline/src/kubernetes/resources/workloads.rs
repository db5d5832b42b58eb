//! What pods belong to and run on. Only the metadata is read.

use serde::Deserialize;

use super::{Keep, Metadata, Resource, or_default};

macro_rules! metadata_only {
    ($($(#[$docs:meta])* $name:ident, $api:literal, $plural:literal;)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default)]
        pub struct $name {
            /// What all objects have.
            #[serde(deserialize_with = "or_default")]
            pub metadata: Metadata,
        }

        impl Resource for $name {
            const API: &'static str = $api;
            const PLURAL: &'static str = $plural;
            const METADATA_ONLY: bool = true;

            fn metadata(&self) -> &Metadata {
                &self.metadata
            }

            fn trim(&mut self, keep: &Keep) {
                keep.trim(&mut self.metadata);
            }
        }
    )*};
}

metadata_only! {
    /// A namespace.
    Namespace, "api/v1", "namespaces";
    /// A node.
    Node, "api/v1", "nodes";
    /// What keeps the pods of one version of a deployment.
    ReplicaSet, "apis/apps/v1", "replicasets";
    /// A deployment.
    Deployment, "apis/apps/v1", "deployments";
    /// A stateful set.
    StatefulSet, "apis/apps/v1", "statefulsets";
    /// A daemon set.
    DaemonSet, "apis/apps/v1", "daemonsets";
    /// A job.
    Job, "apis/batch/v1", "jobs";
}
