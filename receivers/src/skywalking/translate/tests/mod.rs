//! To OTLP and back is the identity, and OTLP reads as the mapping says.

mod back;
mod envoy;
mod hostile;
mod kept;
mod meters;
mod records;
mod samples;
mod spans;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogsData,
    metrics::v1::{MetricsData, metric::Data},
    trace::v1::{Span, TracesData},
};
use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::otlp::check::check;
use sluice_protocols::skywalking::{attributes::event_name, v3};

use super::*;

/// What messages of a kind become. It passes the check at the door as it is.
fn translate(kind: Kind, messages: &[Vec<u8>]) -> Option<Translated> {
    translate_by(kind, Rules::Distinct, messages)
}

fn translate_by(kind: Kind, rules: Rules, messages: &[Vec<u8>]) -> Option<Translated> {
    let mut translator = Translator::new(kind, rules);
    for message in messages {
        translator.push(message).unwrap();
    }
    let (translated, _) = translator.take()?;
    let checked = check(translated.signal, translated.bytes.clone().into()).unwrap();
    assert!(!checked.canonicalised, "not in canonical form");
    assert_eq!((checked.items, checked.repaired), (translated.items, 0), "what was repaired needs no more");
    Some(translated)
}

fn traces(translated: &Translated) -> TracesData {
    TracesData::decode(translated.bytes.as_slice()).unwrap()
}

fn logs(translated: &Translated) -> LogsData {
    LogsData::decode(translated.bytes.as_slice()).unwrap()
}

fn metrics(translated: &Translated) -> MetricsData {
    MetricsData::decode(translated.bytes.as_slice()).unwrap()
}

fn encoded<T: Message>(messages: &[T]) -> Vec<Vec<u8>> {
    messages.iter().map(Message::encode_to_vec).collect()
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let AnyValue { value } = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match attribute(attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    }
}

fn int(attributes: &[KeyValue], key: &str) -> i64 {
    match attribute(attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

fn pair(key: &str, value: &str) -> v3::KeyStringValuePair {
    v3::KeyStringValuePair { key: key.to_owned(), value: value.to_owned() }
}

fn spans_of(segments: &[v3::SegmentObject], rules: Rules) -> Vec<Span> {
    let translated = translate_by(Kind::Segment, rules, &encoded(segments)).unwrap();
    let groups = traces(&translated).resource_spans.into_iter();
    groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn segment(id: &str, spans: Vec<v3::SpanObject>) -> v3::SegmentObject {
    v3::SegmentObject {
        trace_id: "092ad022e4c511f189a702fc00000001".to_owned(),
        trace_segment_id: id.to_owned(),
        service: "shop".to_owned(),
        service_instance: "shop-1".to_owned(),
        spans,
        ..Default::default()
    }
}

fn span(id: i32, parent: i32) -> v3::SpanObject {
    v3::SpanObject { span_id: id, parent_span_id: parent, ..Default::default() }
}

fn reference(trace: &str, segment: &str, span: i32) -> v3::SegmentReference {
    v3::SegmentReference {
        trace_id: trace.to_owned(),
        parent_trace_segment_id: segment.to_owned(),
        parent_span_id: span,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn segments_come_back(segments in proptest::collection::vec(samples::segment(), 1..4)) {
        let translated = translate(Kind::Segment, &encoded(&segments)).unwrap();
        prop_assert_eq!(back::sorted(back::segments(traces(&translated))), back::sorted(segments));
    }

    #[test]
    fn logs_come_back(logs_sent in proptest::collection::vec(samples::log(), 1..4)) {
        let translated = translate(Kind::Log, &encoded(&logs_sent)).unwrap();
        prop_assert_eq!(back::sorted(back::logs(logs(&translated))), back::sorted(logs_sent));
    }

    #[test]
    fn meters_come_back(meters in proptest::collection::vec(samples::meter(), 1..5)) {
        let translated = translate(Kind::Meter, &encoded(&meters)).unwrap();
        prop_assert_eq!(back::sorted(back::meters(metrics(&translated))), back::sorted(meters));
    }

    #[test]
    fn metrics_of_the_jvm_come_back(collection in samples::jvm()) {
        let translated = translate(Kind::Jvm, &encoded(std::slice::from_ref(&collection)));
        let read = translated.map(|translated| back::jvm(metrics(&translated))).unwrap_or_default();
        prop_assert_eq!(read, back::with_content(collection.metrics));
    }

    #[test]
    fn any_bytes_of_any_kind_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in Kind::ALL {
            let mut translator = Translator::new(kind, Rules::Distinct);
            let _ = translator.push(&bytes);
            if let Some((translated, _)) = translator.take() {
                let checked = check(translated.signal, translated.bytes.into()).unwrap();
                prop_assert!(!checked.canonicalised, "{kind:?}");
                prop_assert_eq!(checked.items, translated.items);
            }
        }
    }
}
