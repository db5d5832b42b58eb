//! Splits a batch by the file that the resources in it name.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sluice_pipeline::{
    Batch, Signal,
    otlp::{
        count::count,
        view::{AnyValue, ResourceGroup, Text, View},
        wire::Fields,
    },
};

use super::writer::{Conflict, Writer};

/// A batch split by path segment.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// For each path segment the messages for its file; each is a whole encoded message of the signal.
    pub(super) messages: BTreeMap<PathBuf, Vec<Vec<u8>>>,
    /// How many items have no usable path segment.
    pub(super) homeless: usize,
}

impl Groups {
    /// Splits a batch by the text of this resource attribute.
    pub(super) fn of(batch: &Batch, attribute: &str) -> Self {
        let mut groups = Self::default();
        for chunk in batch.chunks() {
            groups.add(batch.signal(), chunk.bytes(), attribute);
        }
        groups
    }

    fn add(&mut self, signal: Signal, message: &[u8], attribute: &str) {
        let mut parts: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        // What belongs to the whole message, such as the dictionary of profiles, goes to each file.
        let mut shared = Vec::new();
        for field in Fields::of(message).flatten() {
            if field.number != 1 {
                shared.extend_from_slice(field.raw);
                continue;
            }
            match segment(ResourceGroup::of(field.value.bytes()), attribute) {
                Some(segment) => parts.entry(segment).or_default().extend_from_slice(field.raw),
                None => self.homeless += count(signal, field.raw),
            }
        }
        for (segment, mut part) in parts {
            part.extend_from_slice(&shared);
            self.messages.entry(segment).or_default().push(part);
        }
    }
}

/// The relative path that a resource names; it cannot lead out of the directory of the configured path.
fn segment(group: ResourceGroup<'_>, attribute: &str) -> Option<PathBuf> {
    let pair = group.resource().attributes().find(|pair| pair.key == attribute.as_bytes())?;
    let AnyValue::String(text) = pair.value else { return None };
    let text = text.as_str();
    if text.contains('\0') {
        return None;
    }
    let path: PathBuf = text.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The writers of the files in use; the one unused for longest is closed for a new one.
#[derive(Debug)]
pub(super) struct Writers {
    before: String,
    after: String,
    limit: usize,
    open: Mutex<OpenWriters>,
}

#[derive(Debug, Default)]
struct OpenWriters {
    by_segment: HashMap<PathBuf, (u64, Arc<Writer>)>,
    uses: u64,
}

impl Writers {
    /// Writers for a path with one `*`.
    pub(super) fn new(path: &str, limit: usize) -> Self {
        let (before, after) = path.split_once('*').unwrap_or((path, ""));
        Self { before: before.to_owned(), after: after.to_owned(), limit, open: Mutex::default() }
    }

    /// The writer for this segment, opened by `open` if need be, and the one that made room for it.
    pub(super) fn get(
        &self,
        segment: &Path,
        open: impl FnOnce(&Path) -> Result<Arc<Writer>, Conflict>,
    ) -> Result<(Arc<Writer>, Option<Arc<Writer>>), Conflict> {
        let mut writers = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        writers.uses += 1;
        let now = writers.uses;
        if let Some((used, writer)) = writers.by_segment.get_mut(segment) {
            *used = now;
            return Ok((Arc::clone(writer), None));
        }
        let writer = open(&self.path(segment))?;
        let closed = if writers.by_segment.len() >= self.limit { writers.remove_oldest() } else { None };
        writers.by_segment.insert(segment.to_owned(), (now, Arc::clone(&writer)));
        Ok((writer, closed))
    }

    /// The directory below which all files lie.
    pub(super) fn directory(&self) -> &Path {
        let beginning = self.before.rsplit_once('/').map_or("", |(directory, _)| directory);
        match beginning {
            "" if self.before.starts_with('/') => Path::new("/"),
            "" => Path::new("."),
            directory => Path::new(directory),
        }
    }

    /// All that are open.
    pub(super) fn all(&self) -> Vec<Arc<Writer>> {
        let writers = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        writers.by_segment.values().map(|(_, writer)| Arc::clone(writer)).collect()
    }

    fn path(&self, segment: &Path) -> PathBuf {
        let mut path = std::ffi::OsString::from(&self.before);
        path.push(segment);
        path.push(&self.after);
        path.into()
    }
}

impl OpenWriters {
    fn remove_oldest(&mut self) -> Option<Arc<Writer>> {
        let oldest = self.by_segment.iter().min_by_key(|(_, (used, _))| *used)?.0.clone();
        self.by_segment.remove(&oldest).map(|(_, writer)| writer)
    }
}
