//! Collects items by resource and scope: what receivers that translate foreign protocols write.

use std::collections::HashMap;

use super::write::Writer;

/// What a resource or scope costs beside its key and its items, in bytes, roughly: entries of a list and a table.
const ENTRY_COST: usize = 512;

/// Encoded spans, metrics or log records by encoded resource, then by encoded scope, in order of first appearance.
#[derive(Default)]
pub struct Groups {
    finished: Vec<u8>,
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
    /// The encoded `spans`, `metrics` or `log_records` of this resource and scope, tags included, to be appended to: all
    /// three are field 2.
    pub fn items(&mut self, resource: &[u8], scope: &[u8]) -> &mut Vec<u8> {
        self.resources.entry(resource, &mut self.overhead).entry(scope, &mut self.overhead)
    }

    /// What comes now is kept apart from what came before, even below the same resource and scope.
    pub fn separate(&mut self) {
        let resources = std::mem::take(&mut self.resources);
        write(&mut self.finished, resources);
    }

    /// Bytes held for keys and tables.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.overhead
    }

    /// All groups as an encoded `TracesData`, `MetricsData` or `LogsData`.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut root = self.finished;
        write(&mut root, self.resources);
        root
    }
}

fn write(root: &mut Vec<u8>, resources: Keyed<Keyed<Vec<u8>>>) {
    let items = |scopes: &Keyed<Vec<u8>>| scopes.entries.iter().map(|(_, items)| items.len()).sum::<usize>();
    let size =
        resources.entries.iter().map(|(resource, scopes)| resource.len() + items(scopes)).sum::<usize>();
    if size == 0 {
        return;
    }
    root.reserve(size + 64);
    let mut writer = Writer::new(root);
    for (resource, scopes) in resources.entries {
        writer.message(1, |writer| {
            writer.bytes(1, &resource);
            for (scope, items) in scopes.entries {
                writer.message(2, |writer| {
                    if !scope.is_empty() {
                        writer.bytes(1, &scope);
                    }
                    writer.raw(&items);
                });
            }
        });
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
