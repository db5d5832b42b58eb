//! Responses that were seen before their requests: where several threads share a connection, the calls may be reported in
//! another order than the bytes took. They wait here for the request.

use crate::ebpf_network::socket::Segment;

const MAX_SEGMENTS: usize = 16;
const MAX_BYTES: usize = 16 << 10;

/// Segments that wait. Empty nearly always.
#[derive(Debug, Default)]
pub(super) struct Parked {
    segments: Vec<(Segment<'static>, usize)>,
    bytes: Vec<u8>,
}

impl Parked {
    pub(super) const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds a segment; says whether there was room.
    pub(super) fn add(&mut self, segment: &Segment<'_>) -> bool {
        if self.segments.len() == MAX_SEGMENTS || self.bytes.len() + segment.bytes.len() > MAX_BYTES {
            return false;
        }
        self.bytes.extend_from_slice(segment.bytes);
        self.segments.push((Segment { bytes: &[], ..*segment }, segment.bytes.len()));
        true
    }

    /// The segments in the order in which they came.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.segments.iter().scan(0, |at, (segment, length)| {
            let begin = *at;
            *at += length;
            Some(Segment { bytes: self.bytes.get(begin..*at)?, ..*segment })
        })
    }

    /// The offset behind the last of them.
    pub(super) fn end(&self) -> Option<u64> {
        self.segments
            .iter()
            .map(|(segment, _)| segment.offset.saturating_add(u64::from(segment.length)))
            .max()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.segments.capacity() * size_of::<(Segment<'static>, usize)>()
    }
}
