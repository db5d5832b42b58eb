use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value},
    profiles::v1development::{ProfilesData, ProfilesDictionary, ResourceProfiles, ScopeProfiles},
    resource::v1::Resource,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{
    batch::Chunk,
    otlp::rewrite::{self, Editor, Part, Visit, value},
    signal::Signal,
};

const TEXTS: [&str; 5] = ["", "host.name", "service.name", "secret", "名前"];

/// A key or a value, by index or as text.
fn key(by_index: bool, place: usize) -> KeyValue {
    if by_index {
        KeyValue { key_strindex: place as i32, ..KeyValue::default() }
    } else {
        KeyValue { key: TEXTS[place].to_owned(), ..KeyValue::default() }
    }
}

fn values() -> impl Strategy<Value = any_value::Value> {
    let leaf = prop_oneof![
        (0..TEXTS.len() as i32).prop_map(any_value::Value::StringValueStrindex),
        any::<i64>().prop_map(any_value::Value::IntValue),
        "[a-z]{0,200}".prop_map(any_value::Value::StringValue),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|values| {
                let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
                any_value::Value::ArrayValue(ArrayValue { values })
            }),
            proptest::collection::vec((any::<bool>(), 0..TEXTS.len(), inner), 0..3).prop_map(|pairs| {
                let values = pairs
                    .into_iter()
                    .map(|(by_index, place, value)| KeyValue {
                        value: Some(AnyValue { value: Some(value) }),
                        ..key(by_index, place)
                    })
                    .collect();
                any_value::Value::KvlistValue(KeyValueList { values })
            }),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (any::<bool>(), 0..TEXTS.len(), values()).prop_map(|(by_index, place, value)| KeyValue {
        value: Some(AnyValue { value: Some(value) }),
        ..key(by_index, place)
    });
    proptest::collection::vec(pair, 0..5)
}

fn data(groups: Vec<(Vec<KeyValue>, Vec<KeyValue>)>) -> ProfilesData {
    let string_table = TEXTS.map(str::to_owned).to_vec();
    ProfilesData {
        resource_profiles: groups
            .into_iter()
            .map(|(resource, scope)| ResourceProfiles {
                resource: Some(Resource { attributes: resource, ..Resource::default() }),
                scope_profiles: vec![ScopeProfiles {
                    scope: Some(InstrumentationScope {
                        attributes: scope,
                        ..InstrumentationScope::default()
                    }),
                    ..ScopeProfiles::default()
                }],
                ..ResourceProfiles::default()
            })
            .collect(),
        dictionary: Some(ProfilesDictionary { string_table, ..ProfilesDictionary::default() }),
    }
}

/// With text for every index, as the specification reads it.
fn resolved(mut data: ProfilesData) -> ProfilesData {
    for group in &mut data.resource_profiles {
        group.resource.iter_mut().flat_map(|resource| &mut resource.attributes).for_each(resolve_pair);
        for scope in group.scope_profiles.iter_mut().filter_map(|group| group.scope.as_mut()) {
            scope.attributes.iter_mut().for_each(resolve_pair);
        }
    }
    data
}

fn resolve_pair(pair: &mut KeyValue) {
    if let Some(text) = TEXTS.get(pair.key_strindex as usize).filter(|text| !text.is_empty()) {
        pair.key = (*text).to_owned();
        pair.key_strindex = 0;
    }
    pair.value.iter_mut().for_each(resolve_value);
}

fn resolve_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::StringValueStrindex(index)) => {
            value.value = Some(any_value::Value::StringValue(TEXTS[*index as usize].to_owned()));
        }
        Some(any_value::Value::ArrayValue(list)) => list.values.iter_mut().for_each(resolve_value),
        Some(any_value::Value::KvlistValue(list)) => list.values.iter_mut().for_each(resolve_pair),
        _ => {}
    }
}

/// Deletes one key, updates one, inserts one.
struct Edits {
    deleted: &'static str,
    updated: &'static str,
    inserted: &'static str,
}

impl Edits {
    fn on_structs(&self, attributes: &mut Vec<KeyValue>) {
        let number = |number| Some(AnyValue { value: Some(any_value::Value::IntValue(number)) });
        attributes.retain(|pair| pair.key != self.deleted);
        attributes.iter_mut().filter(|pair| pair.key == self.updated).for_each(|pair| pair.value = number(7));
        if attributes.iter().all(|pair| pair.key != self.inserted) {
            attributes.push(KeyValue {
                key: self.inserted.to_owned(),
                value: number(8),
                ..KeyValue::default()
            });
        }
    }

    fn on_bytes(&self, part: &mut Part<'_>) -> Visit {
        if let Some(attributes) = part.attributes() {
            attributes.delete(self.deleted.as_bytes());
            attributes.update(self.updated.as_bytes(), &value::int(7));
            attributes.insert(self.inserted.as_bytes(), &value::int(8));
        }
        Visit::Descend
    }
}

impl Editor for Edits {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        self.on_bytes(resource)
    }

    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        self.on_bytes(scope)
    }
}

struct Nothing;

impl Editor for Nothing {}

proptest! {
    #[test]
    fn keys_are_found_whichever_way_they_are_given(
        groups in proptest::collection::vec((attributes(), attributes()), 0..3),
        deleted in proptest::sample::select(&TEXTS[1..]),
        updated in proptest::sample::select(&TEXTS[1..]),
        inserted in proptest::sample::select(&TEXTS[1..]),
    ) {
        let mut edits = Edits { deleted, updated, inserted };
        let sent = data(groups);
        let mut expected = resolved(sent.clone());
        for group in &mut expected.resource_profiles {
            group.resource.iter_mut().for_each(|resource| edits.on_structs(&mut resource.attributes));
            for scope in group.scope_profiles.iter_mut().filter_map(|group| group.scope.as_mut()) {
                edits.on_structs(&mut scope.attributes);
            }
        }
        let chunk = Chunk::new(sent.encode_to_vec().into(), 0);
        let edited = rewrite::chunk(Signal::Profiles, chunk, &mut edits).unwrap();
        let edited = ProfilesData::decode(edited.bytes().clone()).unwrap();
        prop_assert_eq!(resolved(edited), expected);
    }

    #[test]
    fn what_nobody_changes_stays_as_it_came(groups in proptest::collection::vec((attributes(), attributes()), 0..3)) {
        let sent = data(groups).encode_to_vec();
        let chunk = Chunk::new(sent.clone().into(), 0);
        let kept = rewrite::chunk(Signal::Profiles, chunk, &mut Nothing).unwrap();
        prop_assert_eq!(kept.bytes().as_ref(), sent);
    }
}

#[test]
fn an_index_out_of_range_stays() {
    let lost = KeyValue { key_strindex: 99, ..KeyValue::default() };
    let sent = data(vec![(vec![lost.clone(), key(true, 3)], Vec::new())]);
    let edited = inlined(&sent.encode_to_vec()).unwrap();
    let edited = ProfilesData::decode(edited.as_slice()).unwrap();
    let attributes = &edited.resource_profiles[0].resource.as_ref().unwrap().attributes;
    assert_eq!(*attributes, [lost, key(false, 3)]);
}
