//! What the fuzz harness calls: the reader of a queue's files, on files in memory.

use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc, time::Duration};

use sluice_pipeline::{Batch, budget::Budget};

use super::{
    disk::Disk,
    log::{Log, Record, Settings, format::SegmentName},
    record::{self, Encoded},
};

const SETTINGS: Settings = Settings { segment_size: u64::MAX, sync: true };
/// The segment under test.
const SEGMENT: SegmentName = SegmentName { id: 1, salt: 2 };
/// The most that one payload may decompress to, in bytes.
const LARGEST: u64 = 1 << 20;

/// Files in memory.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

/// The content of a segment that holds these batches.
///
/// # Errors
/// None in memory.
pub fn segment(batches: &[Batch]) -> io::Result<Vec<u8>> {
    let mut content = SEGMENT.header().to_vec();
    for batch in batches {
        let encoded = Encoded::new(batch);
        let record = Record {
            payload: encoded.payload(),
            items: u32::try_from(batch.items()).unwrap_or(u32::MAX),
            bytes: batch.bytes() as u64,
            appended_at: 1,
        };
        super::log::encode(&record, SEGMENT, &mut content).map_err(io::Error::other)?;
    }
    Ok(content)
}

/// The payload of a batch.
#[must_use]
pub fn payload(batch: &Batch) -> Vec<u8> {
    Encoded::new(batch).payload().concat()
}

/// Decodes a payload. Returns how many items it has, or why it has none.
///
/// # Errors
/// Why it is not one.
pub fn decode(payload: &[u8]) -> Result<usize, String> {
    let batch = record::decode(payload.to_vec(), LARGEST, Duration::ZERO, &Budget::new(u64::MAX));
    batch.map(|batch| batch.items()).map_err(|error| error.to_string())
}

/// Recovers a queue from a segment with this content and a `.settled` file with that. Returns the payloads that it would
/// deliver.
///
/// # Errors
/// Why it cannot be opened.
pub fn recover(segment: &[u8], settled: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let disk = Memory::default();
    disk.put(SEGMENT.segment(), segment);
    disk.put(SEGMENT.settled(), settled);
    let mut log = Log::open(disk, SETTINGS).map_err(|error| error.to_string())?;
    while log.is_surveying() {
        log.survey(u64::MAX);
    }
    let expected = log.held().records;
    let read: Vec<Vec<u8>> = std::iter::from_fn(|| log.read()).map(|read| read.payload).collect();
    let skipped = expected.saturating_sub(read.len() as u64);
    let counted: u64 = log.take_losses().iter().map(|loss| loss.records).sum();
    if skipped > counted {
        return Err(format!("{skipped} records were skipped and {counted} counted"));
    }
    Ok(read)
}

impl Memory {
    fn put(&self, name: String, content: &[u8]) {
        self.0.borrow_mut().insert(name, content.to_vec());
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        self.0.borrow_mut().get_mut(name).map(work).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Memory {
    type File = String;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<String> {
        self.put(name.to_owned(), &[]);
        Ok(name.to_owned())
    }

    fn open(&self, name: &str) -> io::Result<String> {
        self.with(name, |_| name.to_owned())
    }

    fn length(&self, file: &String) -> io::Result<u64> {
        self.with(file, |content| content.len() as u64)
    }

    fn read_at(&self, file: &String, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(file, |content| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = content.get(start..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer.iter_mut().zip(rest).for_each(|(target, byte)| *target = *byte);
            count
        })
    }

    fn write_at(&self, file: &String, offset: u64, pieces: &[&[u8]]) -> io::Result<()> {
        self.with(file, |content| {
            content.resize(usize::try_from(offset).unwrap_or(content.len()), 0);
            pieces.iter().for_each(|piece| content.extend_from_slice(piece));
        })
    }

    fn truncate(&self, file: &String, length: u64) -> io::Result<()> {
        self.with(file, |content| content.truncate(usize::try_from(length).unwrap_or(usize::MAX)))
    }

    fn sync(&self, _file: &String) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.0.borrow_mut().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.put(to.to_owned(), &content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.borrow_mut().remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}
