//! Log records under construction, grouped by process.

use std::collections::HashMap;

use bytes::Bytes;
use sluice_pipeline::otlp::write::Writer;

/// The name of the instrumentation scope.
const SCOPE: &str = "sluice.ebpf_network";

/// The most buffers that are kept for the next batch.
const SPARE_BUFFERS: usize = 256;

/// Encoded `ScopeLogs.log_records` by process.
#[derive(Debug, Default)]
pub(super) struct Batch {
    groups: Vec<Group>,
    places: HashMap<u64, usize>,
    last: usize,
    records: usize,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Group {
    process: u64,
    resource: Bytes,
    records: Vec<u8>,
}

impl Batch {
    /// Adds what `write` appends, which are the fields of a `LogRecord`.
    pub(super) fn push(&mut self, process: u64, resource: &Bytes, write: impl FnOnce(&mut Vec<u8>)) {
        let group = self.group(process, resource);
        let before = group.records.len();
        let mark = Writer::new(&mut group.records).begin(2);
        write(&mut group.records);
        Writer::new(&mut group.records).end(mark);
        self.bytes += group.records.len() - before;
        self.records += 1;
    }

    /// The records so far.
    pub(super) const fn records(&self) -> usize {
        self.records
    }

    /// Their bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// All records as an encoded `LogsData`, leaving none.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let resources: usize = self.groups.iter().map(|group| group.resource.len() + 64).sum();
        let mut logs = Vec::with_capacity(self.bytes + resources);
        let mut writer = Writer::new(&mut logs);
        for mut group in self.groups.drain(..) {
            writer.message(1, |writer| {
                writer.bytes(1, &group.resource);
                writer.message(2, |writer| {
                    writer.message(1, |scope| scope.bytes(1, SCOPE.as_bytes()));
                    writer.raw(&group.records);
                });
            });
            if self.spare.len() < SPARE_BUFFERS {
                group.records.clear();
                self.spare.push(group.records);
            }
        }
        self.places.clear();
        (self.last, self.records, self.bytes) = (0, 0, 0);
        logs
    }

    fn group(&mut self, process: u64, resource: &Bytes) -> &mut Group {
        let is_its = |group: &Group| group.process == process && group.resource == *resource;
        if !self.groups.get(self.last).is_some_and(is_its) {
            self.last = match self.places.get(&process) {
                Some(place) if is_its(&self.groups[*place]) => *place,
                // New, or what is known of the process has changed.
                _ => {
                    let records = self.spare.pop().unwrap_or_default();
                    self.groups.push(Group { process, resource: resource.clone(), records });
                    self.places.insert(process, self.groups.len() - 1);
                    self.groups.len() - 1
                }
            };
        }
        &mut self.groups[self.last]
    }
}
