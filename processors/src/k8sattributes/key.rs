//! What a pod is known by.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// How long a key may be that stands in its table itself, which UIDs and addresses do.
const SHORT: usize = 38;

/// A key of a table of pods.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Short(u8, [u8; SHORT]),
    Long(Arc<[u8]>),
}

impl Key {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Self::Short(length, short)
            }
            _ => Self::Long(bytes.into()),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn keys_of_any_length_are_found_by_their_bytes() {
        let bytes: Vec<u8> = (0..80).collect();
        let table: HashMap<Key, usize> = (0..80).map(|length| (Key::of(&bytes[..length]), length)).collect();
        for length in 0..80 {
            assert_eq!(table.get(&bytes[..length]), Some(&length));
            assert_eq!(table.get(&[&bytes[..length], &[255]].concat()[..]), None);
        }
        assert_eq!(size_of::<Key>(), 40);
    }
}
