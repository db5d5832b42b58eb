//! Things that wait in order of arrival and are found by trace and span id.

use std::collections::{HashMap, VecDeque};

use crate::room::Room;

/// The low half of a trace id with a span id. Only the low half, since some tracers cut the other off on the way.
pub(super) type Key = (u64, u64);

/// How many things with the same key are looked at; nobody but a sender with bad intentions has more.
pub(super) const MOST_ALIKE: usize = 64;

/// The number of a thing, ascending in order of arrival.
pub(super) type Number = u64;

/// Things in order of arrival, each under up to two keys.
///
/// Those with the same key form a chain from the newest to the oldest. A thing that was taken out stays as an empty
/// link until it is the oldest.
pub(super) struct Store<T> {
    first: Number,
    slots: VecDeque<Slot<T>>,
    newest: HashMap<Key, Number>,
}

struct Slot<T> {
    thing: Option<(T, Room)>,
    keys: [Option<Key>; 2],
    /// The thing before this one with the same key.
    before: [Number; 2],
}

const NONE: Number = Number::MAX;

impl<T> Store<T> {
    pub(super) fn new() -> Self {
        Self { first: 0, slots: VecDeque::new(), newest: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn insert(&mut self, mut keys: [Option<Key>; 2], thing: T, room: Room) -> Number {
        if keys[0] == keys[1] {
            keys[1] = None;
        }
        let number = self.first + self.slots.len() as u64;
        let before = keys.map(|key| key.and_then(|key| self.newest.insert(key, number)).unwrap_or(NONE));
        self.slots.push_back(Slot { thing: Some((thing, room)), keys, before });
        number
    }

    pub(super) fn get(&self, number: Number) -> Option<&T> {
        self.slot(number)?.thing.as_ref().map(|(thing, _)| thing)
    }

    pub(super) fn get_mut(&mut self, number: Number) -> Option<&mut T> {
        Some(&mut self.thing_mut(number)?.0)
    }

    /// The thing with the room that it takes.
    pub(super) fn thing_mut(&mut self, number: Number) -> Option<&mut (T, Room)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(place)?.thing.as_mut()
    }

    pub(super) fn take(&mut self, number: Number) -> Option<(T, Room)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let taken = self.slots.get_mut(place)?.thing.take();
        self.forget_taken();
        taken
    }

    #[inline]
    pub(super) fn contains(&self, key: Key) -> bool {
        self.newest.contains_key(&key)
    }

    /// Those with this key, the newest first.
    pub(super) fn of(&self, key: Key) -> impl Iterator<Item = (Number, &T)> {
        let mut next = self.newest.get(&key).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let number = next;
            let slot = self.slot(number)?;
            let place = usize::from(slot.keys[0] != Some(key));
            next = slot.before[place];
            Some((number, slot))
        })
        .take(MOST_ALIKE)
        .filter_map(|(number, slot)| Some((number, &slot.thing.as_ref()?.0)))
    }

    /// The one that has waited longest.
    pub(super) fn oldest(&self) -> Option<(Number, &T)> {
        let (thing, _) = self.slots.front()?.thing.as_ref()?;
        Some((self.first, thing))
    }

    pub(super) fn take_oldest(&mut self) -> Option<(T, Room)> {
        let taken = self.slots.front_mut()?.thing.take();
        self.forget_taken();
        taken
    }

    fn slot(&self, number: Number) -> Option<&Slot<T>> {
        self.slots.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Removes the empty links that nothing older holds in place.
    fn forget_taken(&mut self) {
        while let Some(slot) = self.slots.front()
            && slot.thing.is_none()
        {
            for key in slot.keys.into_iter().flatten() {
                if self.newest.get(&key) == Some(&self.first) {
                    self.newest.remove(&key);
                }
            }
            self.slots.pop_front();
            self.first += 1;
        }
        if self.slots.capacity() > 1_024 && self.slots.capacity() / 8 > self.slots.len() {
            self.slots.shrink_to(self.slots.len() * 2);
            self.newest.shrink_to(self.newest.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::budget::Budget;

    use super::*;
    use crate::room::Rooms;

    fn room() -> Room {
        Rooms::new(u64::MAX, Budget::new(u64::MAX)).admit(1).unwrap()
    }

    fn found(store: &Store<char>, key: Key) -> String {
        store.of(key).map(|(_, thing)| *thing).collect()
    }

    #[test]
    fn things_are_found_by_either_key_while_they_are_there() {
        let (one, two) = ((1, 1), (1, 2));
        let mut store = Store::new();
        let numbers: Vec<_> = [
            ([Some(one), None], 'a'),
            ([Some(two), Some(one)], 'b'),
            ([Some(one), Some(one)], 'c'),
            ([None, Some(two)], 'd'),
        ]
        .map(|(keys, thing)| store.insert(keys, thing, room()))
        .into();
        assert_eq!((found(&store, one), found(&store, two)), ("cba".to_owned(), "db".to_owned()));
        assert_eq!(store.take(numbers[1]).map(|(thing, _)| thing), Some('b'));
        assert_eq!((found(&store, one), found(&store, two)), ("ca".to_owned(), "d".to_owned()));
        assert_eq!(store.take_oldest().map(|(thing, _)| thing), Some('a'));
        assert_eq!(
            store.oldest().map(|(_, thing)| *thing),
            Some('c'),
            "empty links go with what is before them"
        );
        assert_eq!(store.get(numbers[0]), None);
        drop((store.take_oldest(), store.take_oldest()));
        assert!(store.is_empty() && !store.contains(one) && !store.contains(two));
        store.insert([Some(one), None], 'e', room());
        assert_eq!(found(&store, one), "e");
    }

    #[test]
    fn many_with_the_same_key_cost_no_more_than_a_few() {
        let mut store = Store::new();
        for _ in 0..10_000 {
            store.insert([Some((1, 1)), None], 'x', room());
        }
        assert_eq!(found(&store, (1, 1)).len(), MOST_ALIKE);
    }
}
