//! Edits of encoded attributes equal the same edits of decoded ones.

use proptest::{collection::vec, prelude::*, sample::select};
use sluice_pipeline::otlp::rewrite;

use super::*;

const KEYS: [&str; 4] = ["a", "b", "http.method", "url"];

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&["", "x", "17", "1.5", "http://shop/cart"][..])
            .prop_map(|text| Value::StringValue(text.to_owned())),
        any::<i64>().prop_map(Value::IntValue),
        any::<bool>().prop_map(Value::BoolValue),
        (-1e9..1e9f64).prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((select(&KEYS[..]), values()).prop_map(|(key, value)| pair(key, value)), 0..6)
}

#[derive(Clone, Debug)]
enum Edit {
    Set { action: &'static str, key: &'static str, value: Option<i64>, from: &'static str },
    Delete(&'static str),
    Convert(&'static str, &'static str),
    Extract(&'static str),
}

fn edits() -> impl Strategy<Value = Edit> {
    let key = || select(&KEYS[..]);
    prop_oneof![
        (select(&["insert", "update", "upsert"][..]), key(), any::<Option<i64>>(), key())
            .prop_map(|(action, key, value, from)| Edit::Set { action, key, value, from }),
        key().prop_map(Edit::Delete),
        (key(), select(&["int", "double", "string"][..]))
            .prop_map(|(key, target)| Edit::Convert(key, target)),
        key().prop_map(Edit::Extract),
    ]
}

impl Edit {
    fn yaml(&self) -> String {
        match self {
            Self::Set { action, key, value: Some(value), .. } => {
                format!("{{key: {key}, action: {action}, value: {value}}}")
            }
            Self::Set { action, key, value: None, from } => {
                format!("{{key: {key}, action: {action}, from_attribute: {from}}}")
            }
            Self::Delete(key) => format!("{{key: {key}, action: delete}}"),
            Self::Convert(key, target) => {
                format!("{{key: {key}, action: convert, converted_type: {target}}}")
            }
            Self::Extract(key) => format!("{{key: {key}, action: extract, pattern: '^(?P<b>\\w+):'}}"),
        }
    }

    fn apply(&self, attributes: &mut Vec<KeyValue>) {
        match self {
            Self::Set { action, key, value, from } => {
                let value = match value {
                    Some(value) => Some(Value::IntValue(*value)),
                    None => first(attributes, from),
                };
                let Some(value) = value else { return };
                let there = attributes.iter().any(|pair| pair.key == *key);
                match (*action, there) {
                    ("insert" | "upsert", false) => attributes.push(pair(key, value)),
                    ("update" | "upsert", true) => set_all(attributes, key, &value),
                    _ => {}
                }
            }
            Self::Delete(key) => attributes.retain(|pair| pair.key != *key),
            Self::Convert(key, target) => {
                for each in attributes.iter_mut().filter(|pair| pair.key == *key) {
                    let value = each.value.clone().unwrap().value.unwrap();
                    if let Some(value) = converted(&value, target) {
                        *each = pair(key, value);
                    }
                }
            }
            Self::Extract(key) => {
                let Some(Value::StringValue(text)) = first(attributes, key) else { return };
                let Some((scheme, _)) = text.split_once(':') else { return };
                let value = Value::StringValue(scheme.to_owned());
                match attributes.iter().any(|pair| pair.key == "b") {
                    true => set_all(attributes, "b", &value),
                    false => attributes.push(pair("b", value)),
                }
            }
        }
    }
}

fn first(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

fn set_all(attributes: &mut [KeyValue], key: &str, value: &Value) {
    for each in attributes.iter_mut().filter(|pair| pair.key == key) {
        *each = pair(key, value.clone());
    }
}

fn converted(value: &Value, target: &str) -> Option<Value> {
    Some(match (target, value) {
        ("int", Value::DoubleValue(number)) => Value::IntValue(number.trunc() as i64),
        ("int", Value::BoolValue(truth)) => Value::IntValue((*truth).into()),
        ("int", Value::StringValue(text)) => Value::IntValue(text.parse().ok()?),
        ("double", Value::IntValue(number)) => Value::DoubleValue(*number as f64),
        ("double", Value::BoolValue(truth)) => Value::DoubleValue(if *truth { 1.0 } else { 0.0 }),
        ("double", Value::StringValue(text)) => Value::DoubleValue(text.parse().ok()?),
        ("string", Value::IntValue(number)) => Value::StringValue(number.to_string()),
        ("string", Value::BoolValue(truth)) => Value::StringValue(truth.to_string()),
        ("string", Value::DoubleValue(_) | Value::BytesValue(_)) => {
            let bytes = AnyValue { value: Some(value.clone()) }.encode_to_vec();
            let view = sluice_pipeline::otlp::view::AnyValue::of(&bytes);
            Value::StringValue(view.text().into_owned())
        }
        _ => return None,
    })
}

use sluice_pipeline::otlp::view::View;

proptest! {
    #[test]
    fn edits_of_bytes_equal_edits_of_structs(spans in vec(attributes(), 1..4), edits in vec(edits(), 1..5)) {
        let spans: Vec<Span> = spans.into_iter().map(|attributes| span("s", attributes)).collect();
        let mut expected = traces(Some("shop"), "library", spans);
        let batch = Batch::new(
            Signal::Traces,
            Chunk::new(expected.encode_to_vec().into(), 1),
            Context::default(),
        );
        for span in &mut expected.resource_spans[0].scope_spans[0].spans {
            edits.iter().for_each(|edit| edit.apply(&mut span.attributes));
        }
        let actions: Vec<_> = edits.iter().map(Edit::yaml).collect();
        let config: AttributesConfig = decoded(&format!("{{actions: [{}]}}", actions.join(", ")));
        prop_assert_eq!(config.problems(), []);
        let operations = action::compile(&config.actions);
        let (filter, edits) = (Filter::default(), Edits::new(&operations, batch.context()));
        let batch = rewrite::batch(batch.clone(), &mut ItemEditor::new(Signal::Traces, &filter, edits));
        prop_assert_eq!(TracesData::decode(batch.contiguous()).unwrap(), expected);
    }
}
