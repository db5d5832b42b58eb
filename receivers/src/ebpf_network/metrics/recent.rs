//! Where the observations of a connection went last.

/// The series that observations of one pair went to last, so that most need not be looked up. It is kept with the pair, and
/// begun anew with another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    pub(super) http: Place,
    pub(super) tcp: Place,
}

/// The place of a series, which it keeps until the collection with this number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// 0 if nothing was found yet.
    collection: u32,
    place: u32,
    labels: u64,
}

impl Place {
    #[inline]
    pub(super) fn get(&self, collection: u32, labels: u64) -> Option<usize> {
        (self.collection == collection && self.labels == labels).then_some(self.place as usize)
    }

    #[inline]
    pub(super) fn set(&mut self, collection: u32, labels: u64, place: usize) -> Option<usize> {
        if let Ok(place) = u32::try_from(place) {
            *self = Self { collection, place, labels };
        }
        Some(place)
    }
}
