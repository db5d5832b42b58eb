//! The bytes of a queue on disk, version 1. The format is described in `docs/queue-format.md`.

use std::{fmt, str::FromStr};

/// The version of the format that this build writes, and the only one that it reads.
pub(in crate::file_storage) const VERSION: u32 = 1;
/// Records begin at multiples of this, in bytes.
pub(in crate::file_storage) const BLOCK: u64 = 64;
/// The size of a record's header, in bytes.
pub(in crate::file_storage) const HEADER: usize = 48;
/// The size of an entry of a `.settled` file, in bytes.
pub(in crate::file_storage) const ENTRY: usize = 16;

const MAGIC: [u8; 8] = *b"SLUICEQ\n";
const RECORD: [u8; 4] = *b"SREC";
const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// The name of a segment without its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::file_storage) struct SegmentName {
    pub(in crate::file_storage) id: u64,
    pub(in crate::file_storage) salt: u64,
}

/// What a segment's first block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentHeader {
    /// It is of this version.
    Readable,
    /// It is of a later one.
    Newer(u32),
    /// It is damaged. The segment's name has what is needed.
    Damaged,
}

/// What stands before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::file_storage) struct RecordHeader {
    /// Length of the payload in bytes.
    pub(in crate::file_storage) length: u32,
    /// CRC32C of the payload.
    pub(in crate::file_storage) checksum: u32,
    /// Spans, data points, log records or profile samples.
    pub(in crate::file_storage) items: u32,
    /// The block at which the record begins.
    pub(in crate::file_storage) block: u64,
    /// When it was appended, in milliseconds since 1970.
    pub(in crate::file_storage) appended_at: u64,
    /// Size of the encoded OTLP before compression.
    pub(in crate::file_storage) bytes: u64,
}

/// Why a record is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::file_storage) enum Outcome {
    Delivered = 1,
    GivenUp = 2,
    Expired = 3,
    Evicted = 4,
    Corrupt = 5,
    Moved = 6,
}

impl SegmentName {
    pub(in crate::file_storage) fn segment(self) -> String {
        format!("{self}.segment")
    }

    pub(in crate::file_storage) fn settled(self) -> String {
        format!("{self}.settled")
    }

    /// What checksums in the segment are continued from.
    fn seed(self) -> u32 {
        crc32c::crc32c(&self.salt.to_le_bytes())
    }

    /// The segment's first block.
    pub(in crate::file_storage) fn header(self) -> [u8; BLOCK as usize] {
        let mut block = ZEROS;
        put(&mut block, 0, &MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 12, &(BLOCK as u32).to_le_bytes());
        put(&mut block, 16, &self.id.to_le_bytes());
        put(&mut block, 24, &self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&block[..60]);
        put(&mut block, 60, &checksum.to_le_bytes());
        block
    }

    pub(super) fn check_header(self, block: &[u8]) -> SegmentHeader {
        let sealed = block.len() >= BLOCK as usize
            && block[..8] == MAGIC
            && number32(block, 60) == crc32c::crc32c(&block[..60]);
        match sealed.then(|| number32(block, 8)) {
            Some(version) if version > VERSION => SegmentHeader::Newer(version),
            Some(_) if block[..] == self.header() => SegmentHeader::Readable,
            _ => SegmentHeader::Damaged,
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}-{:016x}", self.id, self.salt)
    }
}

impl FromStr for SegmentName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, salt) = text.split_once('-').ok_or(())?;
        let parse = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| ());
        let name = Self { id: parse(id)?, salt: parse(salt)? };
        // Only one spelling is this program's own.
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

impl RecordHeader {
    pub(in crate::file_storage) fn encode(&self, segment: SegmentName) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        put(&mut header, 0, &RECORD);
        put(&mut header, 4, &self.length.to_le_bytes());
        put(&mut header, 8, &self.checksum.to_le_bytes());
        put(&mut header, 12, &self.items.to_le_bytes());
        put(&mut header, 16, &self.block.to_le_bytes());
        put(&mut header, 24, &self.appended_at.to_le_bytes());
        put(&mut header, 32, &self.bytes.to_le_bytes());
        let checksum = crc32c::crc32c_append(segment.seed(), &header[..44]);
        put(&mut header, 44, &checksum.to_le_bytes());
        header
    }

    /// The header at the begin of `bytes`, which are those of this block; `None` if there is none.
    pub(in crate::file_storage) fn decode(bytes: &[u8], segment: SegmentName, block: u64) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        if header[..4] != RECORD
            || number32(header, 44) != crc32c::crc32c_append(segment.seed(), &header[..44])
        {
            return None;
        }
        let decoded = Self {
            length: number32(header, 4),
            checksum: number32(header, 8),
            items: number32(header, 12),
            block: number64(header, 16),
            appended_at: number64(header, 24),
            bytes: number64(header, 32),
        };
        (decoded.block == block).then_some(decoded)
    }

    /// How much of the file the record takes, in bytes.
    pub(in crate::file_storage) fn span(&self) -> u64 {
        (HEADER as u64 + u64::from(self.length)).next_multiple_of(BLOCK)
    }

    /// What follows the payload.
    pub(super) fn padding(&self) -> &'static [u8] {
        let used = HEADER as u64 + u64::from(self.length);
        let count = usize::try_from(self.span() - used).unwrap_or(0);
        ZEROS.get(..count).unwrap_or_default()
    }
}

/// An entry of a `.settled` file.
pub(super) fn entry(segment: SegmentName, block: u64, outcome: Outcome) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    put(&mut entry, 0, &block.to_le_bytes());
    put(&mut entry, 8, &(outcome as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(segment.seed(), &entry[..12]);
    put(&mut entry, 12, &checksum.to_le_bytes());
    entry
}

/// The block that an entry settles; `None` if it is damaged.
pub(super) fn settled_block(segment: SegmentName, entry: &[u8]) -> Option<u64> {
    let entry = entry.get(..ENTRY)?;
    let sound = number32(entry, 12) == crc32c::crc32c_append(segment.seed(), &entry[..12]);
    sound.then(|| number64(entry, 0))
}

fn put(target: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = target.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The 32-bit number at `offset`; 0 beyond the end.
fn number32(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn number64(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentName = SegmentName { id: 0x0102, salt: 0xa1a2_a3a4_a5a6_a7a8 };

    fn record() -> RecordHeader {
        RecordHeader {
            length: 0x0a0b_0c0d,
            checksum: 0x1112_1314,
            items: 77,
            block: 0x2122_2324,
            appended_at: 0x3132_3334,
            bytes: 0x4142_4344,
        }
    }

    /// What other builds have written must stay readable: the bytes themselves, not only the way back.
    #[test]
    fn the_bytes_are_those_of_the_description() {
        let header = SEGMENT.header();
        assert_eq!(header[..12], *b"SLUICEQ\n\x01\0\0\0");
        assert_eq!(header[12..16], [64, 0, 0, 0]);
        assert_eq!(header[16..32], *b"\x02\x01\0\0\0\0\0\0\xa8\xa7\xa6\xa5\xa4\xa3\xa2\xa1");
        let record = record().encode(SEGMENT);
        assert_eq!(record[..16], *b"SREC\x0d\x0c\x0b\x0a\x14\x13\x12\x11\x4d\0\0\0");
        assert_eq!(record[16..24], *b"\x24\x23\x22\x21\0\0\0\0");
        let entry = entry(SEGMENT, 5, Outcome::Expired);
        assert_eq!(entry[..12], *b"\x05\0\0\0\0\0\0\0\x03\0\0\0");
        // CRC32C's check value.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(SEGMENT.segment(), "0000000000000102-a1a2a3a4a5a6a7a8.segment");
    }

    #[test]
    fn a_record_is_only_one_at_its_place_in_its_segment() {
        let bytes = record().encode(SEGMENT);
        assert_eq!(RecordHeader::decode(&bytes, SEGMENT, 0x2122_2324), Some(record()));
        assert_eq!(RecordHeader::decode(&bytes, SEGMENT, 1), None);
        let other = SegmentName { salt: 1, ..SEGMENT };
        assert_eq!(RecordHeader::decode(&bytes, other, 0x2122_2324), None);
        assert_eq!(RecordHeader::decode(&[0; 64], SEGMENT, 0), None);
        assert_eq!(RecordHeader::decode(&bytes[..47], SEGMENT, 0x2122_2324), None);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let (record, entry) = (record().encode(SEGMENT), entry(SEGMENT, 5, Outcome::Delivered));
        for bit in 0..HEADER * 8 {
            let mut bytes = record;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&bytes, SEGMENT, 0x2122_2324), None, "bit {bit}");
        }
        for bit in 0..ENTRY * 8 {
            let mut bytes = entry;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(settled_block(SEGMENT, &bytes), None, "bit {bit}");
        }
        assert_eq!(settled_block(SEGMENT, &entry), Some(5));
        assert_eq!(settled_block(SEGMENT, &[0; 16]), None);
    }

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(SEGMENT.to_string().parse(), Ok(SEGMENT));
        for other in ["", "1-2", "0000000000000102-A1A2A3A4A5A6A7A8", "+000000000000102-a1a2a3a4a5a6a7a8"] {
            assert_eq!(other.parse::<SegmentName>(), Err(()), "{other}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut block = SEGMENT.header();
        assert_eq!(SEGMENT.check_header(&block), SegmentHeader::Readable);
        block[8] = 2;
        assert_eq!(SEGMENT.check_header(&block), SegmentHeader::Damaged);
        let checksum = crc32c::crc32c(&block[..60]);
        block[60..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SEGMENT.check_header(&block), SegmentHeader::Newer(2));
        assert_eq!(SEGMENT.check_header(&[]), SegmentHeader::Damaged);
    }
}
