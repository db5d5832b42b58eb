//! Collects spans by resource and scope.

use std::collections::HashMap;

use sluice_pipeline::otlp::write::Writer;

/// What a resource or scope costs beside its key and its spans, in bytes, roughly: entries of a list and a table.
const ENTRY_COST: usize = 512;

/// Encoded spans by encoded resource, then by encoded scope, in order of first appearance.
#[derive(Default)]
pub(super) struct Groups {
    resources: Keyed<Keyed<Vec<u8>>>,
    overhead: usize,
}

/// Values by encoded key. Most requests have one key, so the last one used is tried first.
struct Keyed<T> {
    places: HashMap<Vec<u8>, usize>,
    entries: Vec<(Vec<u8>, T)>,
    last: usize,
}

impl Groups {
    /// The encoded `ScopeSpans.spans` of this resource and scope, to be appended to.
    pub(super) fn spans(&mut self, resource: &[u8], scope: &[u8]) -> &mut Vec<u8> {
        self.resources.entry(resource, &mut self.overhead).entry(scope, &mut self.overhead)
    }

    /// Bytes held for keys and tables.
    pub(super) fn overhead(&self) -> usize {
        self.overhead
    }

    /// All groups as an encoded `TracesData`.
    pub(super) fn finish(self) -> Vec<u8> {
        let spans =
            |scopes: &Keyed<Vec<u8>>| scopes.entries.iter().map(|(_, spans)| spans.len()).sum::<usize>();
        let size = self
            .resources
            .entries
            .iter()
            .map(|(resource, scopes)| resource.len() + spans(scopes))
            .sum::<usize>();
        let mut traces = Vec::with_capacity(size + 64);
        let mut writer = Writer::new(&mut traces);
        for (resource, scopes) in self.resources.entries {
            writer.message(1, |writer| {
                writer.bytes(1, &resource);
                for (scope, spans) in scopes.entries {
                    writer.message(2, |writer| {
                        if !scope.is_empty() {
                            writer.bytes(1, &scope);
                        }
                        writer.raw(&spans);
                    });
                }
            });
        }
        traces
    }
}

impl<T: Default> Keyed<T> {
    /// The value of this key; what a new key costs is added to `overhead`.
    fn entry(&mut self, key: &[u8], overhead: &mut usize) -> &mut T {
        if self.entries.get(self.last).is_none_or(|(last, _)| last != key) {
            self.last = match self.places.get(key) {
                Some(place) => *place,
                None => {
                    *overhead += ENTRY_COST + 2 * key.len();
                    self.places.insert(key.to_vec(), self.entries.len());
                    self.entries.push((key.to_vec(), T::default()));
                    self.entries.len() - 1
                }
            };
        }
        &mut self.entries[self.last].1
    }
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), entries: Vec::new(), last: 0 }
    }
}
