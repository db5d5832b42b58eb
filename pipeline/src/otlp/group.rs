//! Collects items by resource and scope: what receivers that translate foreign protocols write.

use std::collections::HashMap;

use super::write::{Writer, varint_length};

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
    if resources.entries.iter().all(|(resource, scopes)| resource.is_empty() && scopes.is_empty()) {
        return;
    }
    let lengths: Vec<usize> =
        resources.entries.iter().map(|(resource, scopes)| length(resource, scopes)).collect();
    root.reserve(lengths.iter().map(|length| field_length(*length)).sum());
    let mut writer = Writer::new(root);
    for ((resource, scopes), length) in resources.entries.into_iter().zip(lengths) {
        writer.header(1, length);
        writer.bytes(1, &resource);
        for (scope, items) in scopes.entries {
            writer.header(2, scope_length(&scope, &items));
            if !scope.is_empty() {
                writer.bytes(1, &scope);
            }
            writer.raw(&items);
        }
    }
}

/// The length of a `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
fn length(resource: &[u8], scopes: &Keyed<Vec<u8>>) -> usize {
    let scopes = scopes.entries.iter().map(|(scope, items)| field_length(scope_length(scope, items)));
    field_length(resource.len()) + scopes.sum::<usize>()
}

fn scope_length(scope: &[u8], items: &[u8]) -> usize {
    let own = if scope.is_empty() { 0 } else { field_length(scope.len()) };
    own + items.len()
}

/// The length of a field of so many bytes, with its tag.
const fn field_length(content: usize) -> usize {
    1 + varint_length(content as u64) + content
}

impl Keyed<Vec<u8>> {
    /// Whether there are no items.
    fn is_empty(&self) -> bool {
        self.entries.iter().all(|(_, items)| items.is_empty())
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
