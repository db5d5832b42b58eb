//! Opening: what earlier processes left is looked at, and nothing is changed before it is certain that it can be used.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
};

use super::{
    Cursor, Disk, Held, Log, Segment, Settings,
    format::{self, BLOCK, SegmentHeader, SegmentName},
};
use crate::file_storage::identity;

/// The files of a queue that are no part of its log.
const OTHER_FILES: [&str; 2] = [identity::FILE, identity::UNFINISHED];

/// Why a log cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::file_storage) enum OpenError {
    /// A file that is not the queue's.
    #[error("it holds \"{0}\", which is no file of a queue; move it elsewhere")]
    Foreign(String),
    /// A segment of a later format.
    #[error(
        "its segment {name} is of version {version} of the format and this build reads version {}; run the version \
         of Sluice that wrote it until the queue is empty",
        format::VERSION
    )]
    Newer {
        /// The segment.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The disk reports an error.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: String,
        /// The disk's reason.
        source: io::Error,
    },
}

impl<D: Disk> Log<D> {
    /// Opens the log with what earlier processes left in it. Counting what is in older segments is left to
    /// [`Log::survey`].
    ///
    /// # Errors
    /// [`OpenError`]; the log is as it was.
    pub(in crate::file_storage) fn open(disk: D, settings: Settings) -> Result<Self, OpenError> {
        let (names, settled) = list(&disk)?;
        let segments = keyed(&names);
        let mut log = Self {
            disk,
            settings,
            segments: BTreeMap::new(),
            tail: None,
            next_segment: segments.last().map_or(1, |(key, _)| key + 1),
            to_survey: segments.iter().map(|(key, _)| *key).collect(),
            cursor: Cursor { segment: 0, offset: BLOCK },
            outstanding: HashMap::new(),
            places: HashSet::new(),
            returned: VecDeque::new(),
            next_number: 1,
            held: Held::default(),
            losses: Vec::new(),
            directory_is_unsynced: false,
        };
        for (key, name) in &segments {
            let mut segment = log.open_segment(*name)?;
            if settled.contains(name) {
                segment.load_settlements(&log.disk).map_err(|source| OpenError::Disk {
                    doing: format!("cannot read {}", name.settled()),
                    source,
                })?;
            }
            log.segments.insert(*key, segment);
        }
        // Only now is it certain that the log can be used, and something may be changed.
        for name in settled.iter().filter(|name| !names.contains(name)) {
            let _ = log.disk.remove(&name.settled());
        }
        if let Some((last, _)) = segments.last() {
            log.cut_torn_tail(*last);
        }
        Ok(log)
    }

    fn open_segment(&self, name: SegmentName) -> Result<Segment<D>, OpenError> {
        let failed = |source| OpenError::Disk { doing: format!("cannot open {}", name.segment()), source };
        let file = self.disk.open(&name.segment()).map_err(failed)?;
        let length = self.disk.length(&file).map_err(failed)?;
        refuse_newer(&self.disk, &file, name)?.map_err(failed)?;
        let mut segment = Segment::new(name, file, length.max(BLOCK));
        segment.close();
        Ok(segment)
    }
}

/// Whether a log could be opened, as far as the names of its files and the headers of its segments tell. Changes nothing.
pub(in crate::file_storage) fn check<D: Disk>(disk: &D) -> Result<(), OpenError> {
    for name in list(disk)?.0 {
        let failed = |source| OpenError::Disk { doing: format!("cannot read {}", name.segment()), source };
        let file = disk.open(&name.segment()).map_err(failed)?;
        refuse_newer(disk, &file, name)?.map_err(failed)?;
    }
    Ok(())
}

fn refuse_newer<D: Disk>(disk: &D, file: &D::File, name: SegmentName) -> Result<io::Result<()>, OpenError> {
    let mut block = [0; BLOCK as usize];
    let count = match disk.read_at(file, 0, &mut block) {
        Ok(count) => count,
        Err(error) => return Ok(Err(error)),
    };
    match name.check_header(block.get(..count).unwrap_or_default()) {
        SegmentHeader::Newer(version) => Err(OpenError::Newer { name: name.segment(), version }),
        SegmentHeader::Readable | SegmentHeader::Damaged => Ok(Ok(())),
    }
}

/// The segments and `.settled` files, each in the order of their ids.
fn list<D: Disk>(disk: &D) -> Result<(Vec<SegmentName>, Vec<SegmentName>), OpenError> {
    let names = disk
        .list()
        .map_err(|source| OpenError::Disk { doing: "cannot list the directory".to_owned(), source })?;
    let (mut segments, mut settled) = (Vec::new(), Vec::new());
    for name in names {
        let parsed = name.rsplit_once('.').and_then(|(stem, ending)| Some((stem.parse().ok()?, ending)));
        match parsed {
            Some((segment, "segment")) => segments.push(segment),
            Some((segment, "settled")) => settled.push(segment),
            _ if OTHER_FILES.contains(&name.as_str()) => {}
            _ => return Err(OpenError::Foreign(name)),
        }
    }
    segments.sort_by_key(|name: &SegmentName| name.id);
    settled.sort_by_key(|name: &SegmentName| name.id);
    Ok((segments, settled))
}

/// The segments with what they are known by: their id, or the next number if a removal that was never synced has brought
/// back another segment of that id.
fn keyed(names: &[SegmentName]) -> Vec<(u64, SegmentName)> {
    let mut next = 0;
    names
        .iter()
        .map(|name| {
            let key = name.id.max(next);
            next = key + 1;
            (key, *name)
        })
        .collect()
}
