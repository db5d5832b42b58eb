//! What pods belong to and run on.

use std::collections::{HashMap, HashSet};

use sluice_pipeline::kubernetes::{Metadata, Pod};

use super::{
    block::Pairs,
    config::{Field, Whose},
    rules::Rules,
};

/// The namespace whose UID stands for the cluster.
pub(super) const CLUSTER: &str = "kube-system";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Known by its name.
    Namespace,
    /// Known by its name.
    Node,
    /// Known by their UIDs, as are those that follow.
    ReplicaSet,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
}

/// What is known of such an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Related {
    uid: String,
    /// What it gives to its pods.
    pub(super) pairs: Pairs,
    /// The same encoded, for resources whose pod is not known.
    pub(super) block: Box<[u8]>,
    /// Name and UID of the deployment of a replica set, and of the cron job of a job.
    pub(super) owner: Option<(String, String)>,
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Relations {
    known: HashMap<Kind, HashMap<String, Related>>,
    /// Those that have changed since their pods were last looked at.
    changed: HashSet<(Kind, String)>,
}

impl Relations {
    pub(super) fn get(&self, kind: Kind, key: &str) -> Option<&Related> {
        self.known.get(&kind)?.get(key)
    }

    pub(super) fn cluster_uid(&self) -> &str {
        self.get(Kind::Namespace, CLUSTER).map_or("", |namespace| namespace.uid.as_str())
    }

    /// Takes over what an object is now.
    pub(super) fn set(&mut self, kind: Kind, metadata: &Metadata, rules: &Rules) {
        let key = kind.key(metadata);
        let related = Related::new(kind, metadata, rules);
        let known = self.known.entry(kind).or_default();
        if known.get(key) != Some(&related) {
            known.insert(key.to_owned(), related);
            self.changed.insert((kind, key.to_owned()));
        }
    }

    /// The object is gone. Its pods keep what they have of it: telemetry may come late.
    pub(super) fn remove(&mut self, kind: Kind, metadata: &Metadata) {
        if let Some(known) = self.known.get_mut(&kind) {
            known.remove(kind.key(metadata));
        }
    }

    pub(super) fn take_changed(&mut self) -> HashSet<(Kind, String)> {
        std::mem::take(&mut self.changed)
    }

    /// Whether one of these says something of a pod.
    pub(super) fn concerns(&self, changed: &HashSet<(Kind, String)>, pod: &Pod) -> bool {
        let has = |kind: Kind, key: &str| changed.contains(&(kind, key.to_owned()));
        let metadata = &pod.metadata;
        has(Kind::Namespace, CLUSTER)
            || has(Kind::Namespace, &metadata.namespace)
            || has(Kind::Node, &pod.spec.node_name)
            || metadata.owner_references.iter().any(|owner| match owner.kind.as_str() {
                "ReplicaSet" => {
                    let above = self.get(Kind::ReplicaSet, &owner.uid).and_then(|set| set.owner.as_ref());
                    has(Kind::ReplicaSet, &owner.uid)
                        || above.is_some_and(|(_, uid)| has(Kind::Deployment, uid))
                }
                "StatefulSet" => has(Kind::StatefulSet, &owner.uid),
                "DaemonSet" => has(Kind::DaemonSet, &owner.uid),
                "Job" => has(Kind::Job, &owner.uid),
                _ => false,
            })
    }
}

impl Related {
    fn new(kind: Kind, metadata: &Metadata, rules: &Rules) -> Self {
        let mut pairs = Pairs::default();
        if let Some(from) = kind.from() {
            rules.labels(from, &metadata.labels, &mut pairs);
            rules.annotations(from, &metadata.annotations, &mut pairs);
        }
        if kind == Kind::Node && rules.has(Field::NodeUid) {
            pairs.add("k8s.node.uid", &metadata.uid);
        }
        let above = match kind {
            Kind::ReplicaSet => metadata.owner("Deployment"),
            Kind::Job => metadata.owner("CronJob"),
            _ => None,
        };
        let mut block = Vec::new();
        pairs.encode(&mut block);
        Self {
            uid: metadata.uid.clone(),
            block: block.into(),
            pairs,
            owner: above.map(|owner| (owner.name.clone(), owner.uid.clone())),
        }
    }
}

impl Kind {
    fn key(self, metadata: &Metadata) -> &str {
        match self {
            Self::Namespace | Self::Node => &metadata.name,
            _ => &metadata.uid,
        }
    }

    /// Whose labels and annotations are extracted.
    pub(super) fn from(self) -> Option<Whose> {
        Some(match self {
            Self::Namespace => Whose::Namespace,
            Self::Node => Whose::Node,
            Self::Deployment => Whose::Deployment,
            Self::StatefulSet => Whose::StatefulSet,
            Self::DaemonSet => Whose::DaemonSet,
            Self::Job => Whose::Job,
            Self::ReplicaSet => return None,
        })
    }
}
