//! How much of objects is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Metadata;

/// How much of objects is kept. Nothing that is not asked for, since annotations alone may be 256 KiB an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keep {
    /// Which labels.
    pub labels: Wanted,
    /// Which annotations.
    pub annotations: Wanted,
    /// The containers of pods.
    pub containers: bool,
}

/// Which labels or annotations are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// All.
    pub all: bool,
    /// Those with these keys.
    pub keys: BTreeSet<String>,
    /// Those whose keys begin like this.
    pub prefixes: BTreeSet<String>,
}

impl Wanted {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn trim(&self, pairs: &mut BTreeMap<String, String>) {
        if !self.all {
            let begins = |key: &str| self.prefixes.iter().any(|prefix| key.starts_with(prefix));
            let kept = |(key, _): &(String, String)| self.keys.contains(key) || begins(key);
            // Made anew: a map that was emptied keeps a node.
            *pairs = std::mem::take(pairs).into_iter().filter(kept).collect();
        }
    }
}

impl Keep {
    /// Lets go of the labels and annotations that are not kept, and of room that lists were read into.
    pub(super) fn trim(&self, metadata: &mut Metadata) {
        metadata.owner_references.shrink_to_fit();
        self.labels.trim(&mut metadata.labels);
        self.annotations.trim(&mut metadata.annotations);
    }
}
