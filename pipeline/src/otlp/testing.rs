//! Test data: encoded OTLP of every signal, made from the schema.
//!
//! Decode it with the types of `opentelemetry-proto` where a test wants structs.

use fastrand::Rng;
use proptest::prelude::*;

use super::{
    schema::{self, Field, Message, Type},
    write::{Writer, varint},
};
use crate::signal::Signal;

/// How test data is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As SDKs do it.
    Canonical,
    /// Anything that protobuf allows.
    Valid,
}

/// Messages as SDKs encode them: fields in order, each singular one once, text valid, ids of the right length.
pub fn canonical_bytes(signal: Signal) -> impl Strategy<Value = Vec<u8>> {
    generated(signal, Form::Canonical)
}

/// Any protobuf encoding: repeated singular fields, several members of a `oneof`, any order, unknown fields and
/// groups, packed or not, numbers longer than need be. Text is valid and ids have the right length.
pub fn valid_bytes(signal: Signal) -> impl Strategy<Value = Vec<u8>> {
    generated(signal, Form::Valid)
}

/// [`valid_bytes`] with some bytes changed, removed, added or cut off.
pub fn mutated_bytes(signal: Signal) -> impl Strategy<Value = Vec<u8>> {
    (valid_bytes(signal), any::<u64>()).prop_map(|(mut bytes, seed)| {
        mutate(&mut bytes, &mut Rng::with_seed(seed));
        bytes
    })
}

/// Any signal.
pub fn any_signal() -> impl Strategy<Value = Signal> {
    proptest::sample::select(&Signal::ALL[..])
}

fn generated(signal: Signal, form: Form) -> impl Strategy<Value = Vec<u8>> {
    // The number of messages comes first, so that a failure shrinks to few.
    (1usize..300, any::<u64>()).prop_map(move |(messages, seed)| {
        let mut bytes = Vec::new();
        let mut generator = Generator { random: Rng::with_seed(seed), signal, form, messages };
        generator.message(schema::root(signal), &mut Writer::new(&mut bytes), 0);
        bytes
    })
}

struct Generator {
    random: Rng,
    signal: Signal,
    form: Form,
    /// How many messages may still be written.
    messages: usize,
}

/// Deep enough for values in values in attributes, and below every decoder's limit.
const MAX_DEPTH: usize = 14;

impl Generator {
    fn message(&mut self, message: &'static Message, output: &mut Writer<'_>, depth: usize) {
        let mut fields = self.chosen_fields(message);
        if self.form == Form::Valid && self.random.bool() {
            self.random.shuffle(&mut fields);
        }
        for field in fields {
            self.maybe_unknown_field(output);
            self.field(field, output, depth);
        }
        self.maybe_unknown_field(output);
    }

    /// A field is in the list as often as it is to be written.
    fn chosen_fields(&mut self, message: &'static Message) -> Vec<&'static Field> {
        let fields = message.fields.iter().filter(|field| self.may_have(field));
        let (members, others): (Vec<_>, Vec<_>) = fields.partition(|field| field.one_of != 0);
        let mut fields: Vec<&'static Field> = self.random.choice(&members).copied().into_iter().collect();
        if self.deviates() {
            fields.extend((0..4).filter_map(|_| self.random.choice(&members).copied()));
        }
        for field in others {
            let is_message = matches!(field.kind, Type::Message(_));
            let times = match (field.repeated, is_message) {
                (true, true) if holds_items(field) => 1..7,
                (true, true) => 0..4,
                (true, false) if self.form == Form::Canonical && is_number(field.kind) => 0..2,
                (true, false) => 0..4,
                (false, _) if self.deviates() => 0..4,
                (false, _) => 0..2,
            };
            fields.extend(std::iter::repeat_n(field, self.random.usize(times)));
        }
        fields.sort_by_key(|field| field.number);
        fields
    }

    /// References into the dictionary belong into profiles, but anybody can send them.
    fn may_have(&self, field: &Field) -> bool {
        self.form == Form::Valid || self.signal == Signal::Profiles || !field.json.ends_with("Strindex")
    }

    /// Whether to do here what no SDK does.
    fn deviates(&mut self) -> bool {
        self.form == Form::Valid && self.random.u8(..) < 40
    }

    fn field(&mut self, field: &'static Field, output: &mut Writer<'_>, depth: usize) {
        if let Type::Message(nested) = field.kind {
            if depth < MAX_DEPTH && self.messages > 0 {
                self.messages -= 1;
                output.message(field.number, |inner| self.message(nested, inner, depth + 1));
            }
        } else if field.repeated && is_number(field.kind) && !self.deviates() {
            let numbers = self.random.usize(..6);
            let mut packed = Vec::new();
            for _ in 0..numbers {
                self.number(field.kind, &mut packed);
            }
            output.bytes(field.number, &packed);
        } else {
            self.scalar(field, output);
        }
    }

    fn scalar(&mut self, field: &'static Field, output: &mut Writer<'_>) {
        match field.kind {
            Type::String => output.bytes(field.number, self.text().as_bytes()),
            Type::Bytes => {
                let length = self.random.usize(..20);
                let bytes: Vec<u8> = (0..length).map(|_| self.random.u8(..)).collect();
                output.bytes(field.number, &bytes);
            }
            Type::Id(length) => {
                let length = if self.random.u8(..) < 25 { 0 } else { length };
                let id: Vec<u8> = (0..length).map(|_| self.random.u8(..)).collect();
                output.bytes(field.number, &id);
            }
            kind => {
                let wire_type = match kind {
                    Type::Fixed32 => 5,
                    Type::Fixed64 | Type::Sfixed64 | Type::Double => 1,
                    _ => 0,
                };
                let mut raw = Vec::new();
                varint(&mut raw, u64::from(field.number) << 3 | wire_type);
                self.number(kind, &mut raw);
                output.raw(&raw);
            }
        }
    }

    fn number(&mut self, kind: Type, output: &mut Vec<u8>) {
        let wide = if self.random.bool() { self.random.u64(..) } else { self.random.u64(..300) };
        match kind {
            Type::Bool => varint(output, wide & 1),
            Type::Enum => varint(output, wide % 7),
            Type::Uint32 => self.varint(output, wide & u64::from(u32::MAX)),
            Type::Int32 | Type::Sint32 => self.varint(output, u64::from(wide as u32 >> 1)),
            Type::Fixed32 => output.extend_from_slice(&(wide as u32).to_le_bytes()),
            Type::Fixed64 | Type::Sfixed64 => output.extend_from_slice(&wide.to_le_bytes()),
            // Finite, so that what was decoded can be compared, and short: `serde_json` reads long ones one bit off.
            Type::Double => output.extend_from_slice(&(f64::from(wide as i32) / 8.0).to_le_bytes()),
            _ => self.varint(output, wide),
        }
    }

    fn varint(&mut self, output: &mut Vec<u8>, value: u64) {
        varint(output, value);
        // Below 2^56 there is room for a byte more than need be.
        if value < 1 << 56
            && self.deviates()
            && let Some(last) = output.last_mut()
        {
            *last |= 0x80;
            output.push(0);
        }
    }

    /// Often one of few, so that attribute keys repeat.
    fn text(&mut self) -> String {
        const FEW: [&str; 6] = ["", "k", "http.route", "service.name", "größe", "名前"];
        if self.random.bool() {
            return (*self.random.choice(&FEW).unwrap_or(&"")).to_owned();
        }
        let length = self.random.usize(..90);
        let is_ascii = self.random.bool();
        (0..length)
            .map(|_| if is_ascii { self.random.char(' '..='~') } else { self.random.char(..) })
            .collect()
    }

    fn maybe_unknown_field(&mut self, output: &mut Writer<'_>) {
        if !self.deviates() {
            return;
        }
        let number = self.random.u32(100..5000);
        match self.random.u8(..5) {
            0 => output.varint(number, self.random.u64(..)),
            1 => output.fixed64(number, self.random.u64(..)),
            2 => output.fixed32(number, self.random.u32(..)),
            3 => output.bytes(number, b"\xff unknown"),
            _ => {
                let mut group = Vec::new();
                varint(&mut group, u64::from(number) << 3 | 3);
                Writer::new(&mut group).bytes(1, b"inside");
                varint(&mut group, u64::from(number) << 3 | 4);
                output.raw(&group);
            }
        }
    }
}

/// Whether items are in this field, at whatever depth but attributes.
fn holds_items(field: &Field) -> bool {
    let Type::Message(nested) = field.kind else { return false };
    nested.is_item() || field.rank > 0 || nested.fields.iter().any(|field| field.rank > 0)
}

fn is_number(kind: Type) -> bool {
    !matches!(kind, Type::String | Type::Bytes | Type::Id(_) | Type::Message(_))
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    for _ in 0..random.usize(1..3) {
        if bytes.is_empty() {
            return;
        }
        let place = random.usize(..bytes.len());
        match random.u8(..6) {
            0 => bytes[place] ^= 1 << random.u8(..8),
            1 => bytes[place] = random.u8(..),
            2 => drop(bytes.remove(place)),
            3 => bytes.insert(place, random.u8(..)),
            4 => bytes.truncate(place),
            _ => {
                let end = (place + random.usize(..40)).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                let target = random.usize(..bytes.len());
                bytes.splice(target..target, copy);
            }
        }
    }
}
