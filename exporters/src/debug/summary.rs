//! The line with the counts of a batch.

use sluice_pipeline::{
    Batch, Signal,
    otlp::view::{ResourceGroup, resource_groups},
};

/// What a batch holds: names as the Collector has them, with counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// `Traces`, `Metrics`, …
    pub(super) title: &'static str,
    /// Counts in the order in which they are printed.
    pub(super) counts: Vec<(&'static str, usize)>,
}

impl Summary {
    pub(super) fn of(batch: &Batch) -> Self {
        let groups = || batch.chunks().iter().flat_map(|chunk| resource_groups(chunk.bytes()));
        let members = |group: ResourceGroup<'_>| -> usize {
            group.scope_groups().map(|group| group.items().count()).sum()
        };
        let resources = groups().count();
        let items = batch.items();
        let (title, counts) = match batch.signal() {
            Signal::Traces => ("Traces", vec![("resource spans", resources), ("spans", items)]),
            Signal::Metrics => {
                let metrics = groups().map(members).sum();
                (
                    "Metrics",
                    vec![("resource metrics", resources), ("metrics", metrics), ("data points", items)],
                )
            }
            Signal::Logs => ("Logs", vec![("resource logs", resources), ("log records", items)]),
            Signal::Profiles => {
                let profiles = groups().map(members).sum();
                (
                    "Profiles",
                    vec![("resource profiles", resources), ("profiles", profiles), ("samples", items)],
                )
            }
        };
        Self { title, counts }
    }

    /// As plain text: the title and the counts as a JSON object.
    pub(super) fn line(&self) -> String {
        let counts: Vec<_> = self.counts.iter().map(|(name, count)| format!("\"{name}\": {count}")).collect();
        format!("{}\t{{{}}}\n", self.title, counts.join(", "))
    }
}
