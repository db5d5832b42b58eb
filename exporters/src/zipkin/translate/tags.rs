//! Tags as Zipkin has them: a map.

use std::borrow::Cow;

/// A key and a value.
pub(super) type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Tags sorted by key, each key once.
#[derive(Debug, Default)]
pub(super) struct Tags<'a> {
    list: Vec<Tag<'a>>,
}

impl<'a> Tags<'a> {
    /// Of tags with the same key, the first one counts.
    pub(super) fn new(mut list: Vec<Tag<'a>>) -> Self {
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        list.dedup_by(|(later, _), (first, _)| later == first);
        Self { list }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Cow<'a, str>> {
        self.find(key).and_then(|place| self.list.get(place)).map(|(_, value)| value)
    }

    /// Removes a tag and returns what `read` makes of its value; a tag of which it makes nothing stays.
    pub(super) fn take<T>(&mut self, key: &str, read: impl FnOnce(&Cow<'a, str>) -> Option<T>) -> Option<T> {
        let place = self.find(key)?;
        let taken = read(&self.list.get(place)?.1)?;
        self.list.remove(place);
        Some(taken)
    }

    pub(super) fn into_list(self) -> Vec<Tag<'a>> {
        self.list
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.list.binary_search_by(|(known, _)| known.as_ref().cmp(key)).ok()
    }
}
