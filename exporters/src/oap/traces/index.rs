//! Where each span of a batch stands: in which segment, and with which number.

use std::collections::HashMap;

use sluice_pipeline::otlp::view::{Span, Text};

use crate::oap::{config::SegmentSize, wire::hexadecimal};

/// Trace id and span id.
pub(super) type Id = ([u8; 16], [u8; 8]);

/// How far up a trace its spans are followed.
const HIGHEST: usize = 64;

/// Where a span stands.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) id: Id,
    /// The first span of its segment.
    pub(super) root: [u8; 8],
    /// Its number in the segment; 0 is the first span.
    pub(super) number: i32,
    pub(super) parent: Option<[u8; 8]>,
    /// Which resource of the batch it is of.
    pub(super) source: usize,
    pub(super) kind: i32,
    pub(super) name: &'a str,
}

/// The spans of a batch that did not come from SkyWalking.
#[derive(Debug)]
pub(super) struct Index<'a> {
    size: SegmentSize,
    places: HashMap<Id, Place<'a>>,
    /// In the order of the batch, so that numbers are too.
    order: Vec<Id>,
}

impl<'a> Index<'a> {
    pub(super) fn new(size: SegmentSize) -> Self {
        Self { size, places: HashMap::new(), order: Vec::new() }
    }

    /// Adds a span of this resource; false if it has no ids.
    pub(super) fn add(&mut self, span: &Span<'a>, source: usize) -> bool {
        let (Some(trace), Some(id)) = (present(span.trace_id), present(span.span_id)) else { return false };
        let place = Place {
            id: (trace, id),
            root: id,
            number: 0,
            parent: present(span.parent_span_id).filter(|parent| *parent != id),
            source,
            kind: span.kind,
            name: span.name.as_str(),
        };
        if self.places.insert(place.id, place).is_none() {
            self.order.push((trace, id));
        }
        true
    }

    /// Finds the segments, once all spans are there.
    pub(super) fn settle(&mut self) {
        if self.size == SegmentSize::Span {
            return;
        }
        let mut lengths: HashMap<Id, i32> = HashMap::new();
        for id in self.order.clone() {
            let root = self.root(id);
            let number = match id.1 == root {
                true => 0,
                false => {
                    let last = lengths.entry((id.0, root)).or_default();
                    *last += 1;
                    *last
                }
            };
            if let Some(place) = self.places.get_mut(&id) {
                (place.root, place.number) = (root, number);
            }
        }
    }

    /// The highest span that this one hangs on within its resource.
    fn root(&self, id: Id) -> [u8; 8] {
        let Some(place) = self.places.get(&id) else { return id.1 };
        let mut root = place;
        let mut left = self.places.len();
        while let Some(parent) = self.parent(root).filter(|parent| parent.source == place.source) {
            // Spans that are each other's parents have no highest one: the first of them by id is.
            if left == 0 {
                return self.lowest_of_circle(root);
            }
            left -= 1;
            if parent.number > 0 || parent.root != parent.id.1 {
                return parent.root;
            }
            root = parent;
        }
        root.id.1
    }

    fn lowest_of_circle(&self, start: &Place<'a>) -> [u8; 8] {
        let mut lowest = start.id.1;
        let mut place = start;
        while let Some(parent) = self.parent(place) {
            lowest = lowest.min(parent.id.1);
            if parent.id == start.id {
                break;
            }
            place = parent;
        }
        lowest
    }

    pub(super) fn get(&self, id: Id) -> Option<&Place<'a>> {
        self.places.get(&id)
    }

    /// Where the parent of a span stands, if it is in the batch.
    pub(super) fn parent(&self, place: &Place<'a>) -> Option<&Place<'a>> {
        self.places.get(&(place.id.0, place.parent?))
    }

    /// The span, its parent and so on within the resource.
    pub(super) fn way_up(&self, place: &Place<'a>) -> impl Iterator<Item = &Place<'a>> {
        let source = place.source;
        std::iter::successors(self.places.get(&place.id), move |place| {
            self.parent(place).filter(|parent| parent.source == source)
        })
        .take(HIGHEST)
    }
}

/// The id of the segment that begins with this span.
pub(in crate::oap) fn segment_id(trace: &[u8], root: &[u8]) -> String {
    let mut id = hexadecimal(trace);
    id.push('.');
    id.push_str(&hexadecimal(root));
    id
}

/// An id that is there: of the right length and not all zeros.
pub(super) fn present<const BYTES: usize>(id: &[u8]) -> Option<[u8; BYTES]> {
    <[u8; BYTES]>::try_from(id).ok().filter(|id| *id != [0; BYTES])
}
