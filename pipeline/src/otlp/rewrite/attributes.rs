//! The attributes of one message, with edits that are not yet written.

use super::{output::Output, patches::Patches, place::Place};
use crate::otlp::{
    wire::{Fields, Value},
    write::{Writer, varint_length},
};

/// The number of the key in a `KeyValue`.
const KEY: u32 = 1;
/// The number of the value in a `KeyValue`.
const VALUE: u32 = 2;

/// The attributes of a [`Part`](super::Part) in their order, as the edits so far left them.
///
/// Keys are bytes of UTF-8, values encoded `AnyValue`s ([`super::value`] makes them, the views read them). A message
/// may hold a key more than once: reading takes the first, update and delete act on all. In profiles keys and texts
/// that are indices into the dictionary are seen as the text.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    message: &'a [u8],
    /// The number of the fields of the message that are its attributes.
    number: u32,
    progress: Progress,
    /// Those of the message, once they are read, then those that edits added.
    entries: Vec<Entry<'a>>,
    /// How many of them edits added.
    added: usize,
    /// What edits brought in.
    arena: Vec<u8>,
    /// What a callback of [`Attributes::modify`] writes.
    spare: Vec<u8>,
    /// Where the last attribute of the message ends, once it was looked through.
    end: Option<usize>,
    /// Whether an attribute of the message is changed or deleted.
    is_edited: bool,
}

/// How far the message was looked at. A single insert or upsert of a key that it does not have is the most common of
/// all edits, and needs no list of what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Untouched,
    /// Looked through once for one key.
    Searched,
    /// All attributes are in the list.
    Read,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Where the attribute stands in the message, with its tag; nowhere (0 to 0) if an edit added it.
    start: usize,
    end: usize,
    /// The encoded `KeyValue` in the message.
    content: &'a [u8],
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untouched,
    Deleted,
    /// The range of the arena with the encoded `KeyValue` that is there instead.
    Written(usize, usize),
}

impl Entry<'_> {
    #[inline]
    fn is_there(&self) -> bool {
        self.state != State::Deleted
    }

    /// The encoded `KeyValue` as it is now.
    #[inline]
    fn pair<'s>(&'s self, arena: &'s [u8]) -> &'s [u8] {
        match self.state {
            State::Written(start, end) => arena.get(start..end).unwrap_or_default(),
            State::Untouched | State::Deleted => self.content,
        }
    }

    #[inline]
    fn key<'s>(&'s self, arena: &'s [u8]) -> &'s [u8] {
        key_of(self.pair(arena))
    }

    #[inline]
    fn value<'s>(&'s self, arena: &'s [u8]) -> &'s [u8] {
        value_of(self.pair(arena))
    }

    fn set(&mut self, arena: &mut Vec<u8>, value: &[u8]) {
        let start = arena.len();
        if let State::Written(from, to) = self.state {
            let pair = arena.get(from..to).unwrap_or_default().to_vec();
            with_value(&mut Writer::new(arena), &pair, value);
        } else {
            with_value(&mut Writer::new(arena), self.content, value);
        }
        self.state = State::Written(start, arena.len());
    }
}

impl<'a> Attributes<'a> {
    /// Keys with values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let unread = if self.progress == Progress::Read { &[] } else { self.message };
        let unread = Pairs::of(unread, self.number).map(|pair| pair.content);
        let there = self.entries.iter().filter(|entry| entry.is_there()).map(|entry| entry.pair(&self.arena));
        unread.chain(there).map(|pair| (key_of(pair), value_of(pair)))
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(candidate, _)| *candidate == key).map(|(_, value)| value)
    }

    /// Whether there is an attribute with this key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Adds an attribute, unless there is one with this key; says whether it did.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        let is_absent = self.certainly_lacks(key) || !self.contains(key);
        if is_absent {
            self.add(key, value);
        }
        is_absent
    }

    /// Gives every attribute with this key the value; says whether there was one.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> bool {
        if self.certainly_lacks(key) {
            return false;
        }
        self.read();
        let Self { entries, arena, is_edited, .. } = self;
        let mut is_found = false;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if entry.key(arena) != key {
                continue;
            }
            is_found = true;
            if entry.value(arena) != value {
                entry.set(arena, value);
                *is_edited = true;
            }
        }
        is_found
    }

    /// Updates the attributes with this key, or adds one if there is none.
    pub fn upsert(&mut self, key: &[u8], value: &[u8]) {
        if !self.update(key, value) {
            self.add(key, value);
        }
    }

    /// Deletes every attribute with this key; says whether there was one.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        if self.certainly_lacks(key) {
            return false;
        }
        self.read();
        let Self { entries, arena, is_edited, .. } = self;
        let mut is_found = false;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if entry.key(arena) == key {
                entry.state = State::Deleted;
                is_found = true;
            }
        }
        *is_edited |= is_found;
        is_found
    }

    /// Deletes the attributes for whose key and value `keep` says false.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        self.read();
        let Self { entries, arena, is_edited, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if !keep(entry.key(arena), entry.value(arena)) {
                entry.state = State::Deleted;
                *is_edited = true;
            }
        }
    }

    /// Shows the value of every attribute whose key `matches` to `change`, which writes another (an encoded
    /// `AnyValue`) to the buffer and says true, or says false to keep it. For hashing and converting.
    pub fn modify(
        &mut self,
        mut matches: impl FnMut(&[u8]) -> bool,
        mut change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) {
        self.read();
        let Self { entries, arena, spare, is_edited, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            spare.clear();
            if matches(entry.key(arena))
                && change(entry.value(arena), spare)
                && entry.value(arena) != spare.as_slice()
            {
                entry.set(arena, spare);
                *is_edited = true;
            }
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let start = self.arena.len();
        write_pair(&mut self.arena, key, value);
        let state = State::Written(start, self.arena.len());
        self.entries.push(Entry { start: 0, end: 0, content: &[], state });
        self.added += 1;
    }

    /// Turns to another message, whose attributes are its fields with this number.
    #[inline]
    pub(super) fn show(&mut self, message: &'a [u8], number: u32) {
        (self.message, self.number, self.progress) = (message, number, Progress::Untouched);
        self.entries.clear();
        self.arena.clear();
        (self.added, self.is_edited, self.end) = (0, false, None);
    }

    /// Whether a first look through the message finds no such key. Later ones are not worth it: then the list pays.
    fn certainly_lacks(&mut self, key: &[u8]) -> bool {
        if self.progress != Progress::Untouched {
            return false;
        }
        let mut end = None;
        for pair in Pairs::of(self.message, self.number) {
            if key_of(pair.content) == key {
                self.read();
                return false;
            }
            end = Some(pair.end);
        }
        (self.progress, self.end) = (Progress::Searched, end);
        true
    }

    /// Lists the attributes of the message, before those that edits added, unless that was done.
    fn read(&mut self) {
        if self.progress == Progress::Read {
            return;
        }
        self.progress = Progress::Read;
        let pairs = Pairs::of(self.message, self.number);
        self.entries.extend(pairs.map(|Pair { start, end, content }| Entry {
            start,
            end,
            content,
            state: State::Untouched,
        }));
        self.entries.rotate_left(self.added);
        self.end = self.of_message().last().map(|entry| entry.end);
    }

    fn of_message(&self) -> &[Entry<'a>] {
        self.entries.get(..self.entries.len() - self.added).unwrap_or_default()
    }

    /// Whether they are not what the message has.
    #[inline]
    pub(super) fn is_changed(&self) -> bool {
        self.is_edited || self.added > 0
    }

    /// Records the edits for a message of this length whose attributes are fields of this number.
    pub(super) fn record(&self, length: usize, number: u32, patches: &mut Patches) {
        if self.is_edited {
            for entry in self.of_message() {
                match entry.state {
                    State::Untouched => {}
                    State::Deleted => patches.replace(entry.start, entry.end, |_| ()),
                    State::Written(..) => patches.replace(entry.start, entry.end, |writer| {
                        writer.bytes(number, entry.pair(&self.arena));
                    }),
                }
            }
        }
        if self.added > 0 {
            let end = self.end.unwrap_or(length);
            patches.replace(end, end, |writer| {
                self.added().for_each(|pair| writer.bytes(number, pair));
            });
        }
    }

    /// Writes the message at `place` with the edits: what [`Attributes::record`] and [`Patches::write`] do, without
    /// the patches in between, for messages in which nothing else is changed.
    pub(super) fn write(&self, number: u32, output: &mut Output<'_>, place: Place<'_>) {
        let field = |pair: &[u8]| {
            varint_length(u64::from(number) << 3) + varint_length(pair.len() as u64) + pair.len()
        };
        let (mut removed, mut added) = (0, self.added().map(field).sum::<usize>());
        if self.is_edited {
            for entry in self.of_message() {
                match entry.state {
                    State::Untouched => continue,
                    State::Deleted => {}
                    State::Written(..) => added += field(entry.pair(&self.arena)),
                }
                removed += entry.end - entry.start;
            }
        }
        if removed == 0 && added == 0 {
            return;
        }
        let base = place.content_start();
        output.begin(place, place.content.len() + added - removed);
        if self.is_edited {
            for entry in self.of_message() {
                let there = match entry.state {
                    State::Untouched => continue,
                    State::Deleted => None,
                    State::Written(..) => Some(entry.pair(&self.arena)),
                };
                output.fields(base + entry.start, base + entry.end, number, there);
            }
        }
        if self.added > 0 {
            let end = base + self.end.unwrap_or(place.content.len());
            output.fields(end, end, number, self.added());
        }
        output.copy_to(place.end);
    }

    #[inline]
    fn added(&self) -> impl Iterator<Item = &[u8]> {
        let added = self.entries.get(self.entries.len() - self.added..).unwrap_or_default();
        added.iter().filter(|entry| entry.is_there()).map(|entry| entry.pair(&self.arena))
    }
}

/// The attributes of a message: its fields with this number.
struct Pairs<'a> {
    length: usize,
    rest: &'a [u8],
    number: u32,
    /// The tag, if it takes one byte.
    tag: Option<u8>,
}

/// Where an attribute stands in its message, with its tag, and what it holds.
struct Pair<'a> {
    start: usize,
    end: usize,
    content: &'a [u8],
}

impl<'a> Pairs<'a> {
    #[inline]
    fn of(message: &'a [u8], number: u32) -> Self {
        let tag = u8::try_from(number << 3 | 2).ok().filter(|tag| *tag < 0x80);
        Self { length: message.len(), rest: message, number, tag }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        while let [first, ref tail @ ..] = *self.rest {
            let start = self.length - self.rest.len();
            let (content, rest) = match (first, first & 7, tail) {
                (0..0x80, 2, [length @ 0..0x80, tail @ ..]) if tail.len() >= usize::from(*length) => {
                    tail.split_at(usize::from(*length))
                }
                // What else spans and log records have, in short: times, kinds and flags.
                (0..0x80, 0, [0..0x80, rest @ ..])
                | (0..0x80, 1, [_, _, _, _, _, _, _, _, rest @ ..])
                | (0x80.., 5, [1, _, _, _, _, rest @ ..]) => {
                    self.rest = rest;
                    continue;
                }
                _ => {
                    let mut fields = Fields::of(self.rest);
                    let field = fields.next()?.ok()?;
                    self.rest = fields.rest();
                    match field.value {
                        Value::Bytes(content) if field.number == self.number => {
                            return Some(Pair { start, end: self.length - self.rest.len(), content });
                        }
                        _ => continue,
                    }
                }
            };
            self.rest = rest;
            if Some(first) == self.tag {
                return Some(Pair { start, end: self.length - rest.len(), content });
            }
        }
        None
    }
}

/// Appends the content of an attribute.
fn write_pair(buffer: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let (Ok(key_length @ 0..0x80), Ok(value_length @ 0..0x80)) =
        (u8::try_from(key.len()), u8::try_from(value.len()))
    else {
        let mut writer = Writer::new(buffer);
        writer.bytes(KEY, key);
        writer.bytes(VALUE, value);
        return;
    };
    buffer.reserve(4 + key.len() + value.len());
    buffer.extend_from_slice(&[0x0a, key_length]);
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(&[0x12, value_length]);
    buffer.extend_from_slice(value);
}

/// Writes the content of an attribute with another value; whatever else it holds stays.
fn with_value(writer: &mut Writer<'_>, attribute: &[u8], value: &[u8]) {
    if let Some((key, _)) = plain(attribute) {
        writer.bytes(KEY, key);
    } else {
        for field in Fields::of(attribute).flatten().filter(|field| field.number != VALUE) {
            writer.raw(field.raw);
        }
    }
    writer.bytes(VALUE, value);
}

#[inline]
fn key_of(attribute: &[u8]) -> &[u8] {
    match attribute {
        [0x0a, length @ 0..0x80, rest @ ..] if rest.len() >= usize::from(*length) => {
            rest.split_at(usize::from(*length)).0
        }
        _ => member(attribute, KEY),
    }
}

#[inline]
fn value_of(attribute: &[u8]) -> &[u8] {
    plain(attribute).map_or_else(|| member(attribute, VALUE), |(_, value)| value)
}

/// Key and value of what nearly all are: a short key, a short value, nothing else.
#[inline]
fn plain(attribute: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = attribute else { return None };
    let (key, [0x12, value_length @ 0..0x80, value @ ..]) =
        rest.split_at_checked(usize::from(*key_length))?
    else {
        return None;
    };
    (value.len() == usize::from(*value_length)).then_some((key, value))
}

#[cold]
fn member(attribute: &[u8], number: u32) -> &[u8] {
    let found = Fields::of(attribute).flatten().find(|field| field.number == number);
    found.map_or(&[], |field| field.value.bytes())
}
