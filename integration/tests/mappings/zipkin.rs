//! What survives between Zipkin and OTLP: the translations of the `zipkin` receiver and exporter, back to back.

use std::{borrow::Cow, collections::BTreeMap};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData, span},
};
use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use sluice_exporters::zipkin as exporter;
use sluice_protocols::zipkin::{self, Annotation, Endpoint, Kind, SpanListJson, tag, write_span_protobuf};
use sluice_receivers::zipkin as receiver;

const FORMATS: [(receiver::Format, exporter::Format); 2] = [
    (receiver::Format::Json, exporter::Format::Json),
    (receiver::Format::Protobuf, exporter::Format::Protobuf),
];

fn export(format: exporter::Format, traces: &[u8]) -> Vec<u8> {
    let requests: Vec<_> = exporter::Requests::of(format, "", vec![traces]).collect();
    assert_eq!(requests.len(), 1);
    requests.into_iter().map(|request| request.body).next().unwrap()
}

/// The latest time in microseconds of which the sum of two fits.
const LATEST: u64 = zipkin::MAX_TIME / 2;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9./\"\\\\ é😀{}:,-]{0,12}"
}

fn id64() -> impl Strategy<Value = [u8; 8]> {
    (1..=u64::MAX).prop_map(u64::to_be_bytes)
}

fn id128() -> impl Strategy<Value = [u8; 16]> {
    (1..=u128::MAX).prop_map(u128::to_be_bytes)
}

// Zipkin to OTLP and back.

fn endpoint(service_name: impl Strategy<Value = String>) -> impl Strategy<Value = Endpoint<'static>> {
    (service_name, any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), any::<u16>()).prop_map(
        |(service_name, ipv4, ipv6, port)| Endpoint {
            service_name: service_name.into(),
            ipv4: ipv4.map(Into::into),
            ipv6: ipv6.map(Into::into),
            port,
        },
    )
}

/// Tags that say how a span ended go together: an exporter says it in all of them.
fn ending() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![(tag::STATUS_CODE, "Ok".to_owned())]),
        text().prop_map(|error| vec![(tag::STATUS_CODE, "Error".to_owned()), (tag::ERROR, error)]),
        "[a-z]{1,9}".prop_map(|description| vec![
            (tag::STATUS_CODE, "Error".to_owned()),
            (tag::ERROR, "true".to_owned()),
            (tag::STATUS_DESCRIPTION, description),
        ]),
    ]
}

/// Tags with a meaning in OTLP, as an exporter writes them.
fn meaningful() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let pairs = (ending(), option::of("[a-z]{1,5}"), option::of("[a-z]{1,3}=[a-z]{1,3}"), any::<[bool; 4]>());
    pairs.prop_map(|(mut tags, scope, trace_state, choices)| {
        if let Some(name) = scope {
            tags.extend([(tag::SCOPE_NAME, name.clone()), (tag::LIBRARY_NAME, name)]);
        }
        tags.extend(trace_state.map(|state| (tag::TRACE_STATE, state)));
        let fixed = [
            (tag::DROPPED_EVENTS, "3"),
            ("host.name", "h1"),
            ("otlp.link.0", r#"463ac35c9f6413ad48485a3953bb6124|a2fb4a1d1a96d312|k=v|{"a":[1,true]}|2"#),
            ("k8s.pod.uid", "p"),
        ];
        let chosen = fixed.into_iter().zip(choices).filter(|(_, chosen)| *chosen);
        tags.extend(chosen.map(|((key, value), _)| (key, value.to_owned())));
        tags
    })
}

prop_compose! {
    /// Any span but one without a service name (it gains the Collector's stand-in) and one whose tags have names that
    /// mean something in OTLP without being what an exporter writes: `peer.service`, `net.host.ip`, half a status …
    fn zipkin_span()(
        ids in (id128(), id64(), option::of(id64())),
        kind in prop_oneof![
            Just(None), Just(Some(Kind::Client)), Just(Some(Kind::Server)), Just(Some(Kind::Producer)),
            Just(Some(Kind::Consumer)),
        ],
        name in text(),
        times in (0..=LATEST, 0..=LATEST),
        local_endpoint in endpoint("[a-z]{1,8}".boxed()),
        remote_endpoint in endpoint(text()),
        annotations in vec((0..=LATEST, prop_oneof![
            text(),
            Just(r#"e|{"a":1.5,"b":"x|y"}|4"#.to_owned()),
            "(Start|Finished) Syscall Write-[1-3]",
        ]), 0..6),
        tags in proptest::collection::btree_map("tag[.a-z]{0,4}|syscall\\.write-[1-3]\\.tags", text(), 0..6),
        meaningful in meaningful(),
        flags in any::<(bool, bool)>(),
    ) -> zipkin::Span<'static> {
        let (trace_id, id, parent_id) = ids;
        let mut tags: BTreeMap<Cow<'static, str>, Cow<'static, str>> =
            tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        tags.extend(meaningful.into_iter().map(|(key, value)| (key.into(), value.into())));
        zipkin::Span {
            trace_id,
            id,
            parent_id: parent_id.filter(|parent_id| *parent_id != id),
            kind,
            name: name.into(),
            timestamp: times.0,
            duration: times.1,
            local_endpoint,
            remote_endpoint,
            annotations: annotations
                .into_iter()
                .map(|(timestamp, value)| Annotation { timestamp, value: value.into() })
                .collect(),
            tags: tags.into_iter().collect(),
            debug: flags.0,
            shared: flags.1,
        }
    }
}

fn write(format: receiver::Format, spans: &[zipkin::Span<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    match format {
        receiver::Format::Json => {
            let mut list = SpanListJson::begin(&mut body);
            spans.iter().for_each(|span| list.push(span));
            list.end();
        }
        receiver::Format::Protobuf => spans.iter().for_each(|span| write_span_protobuf(&mut body, span)),
        receiver::Format::V1Json | receiver::Format::V1Thrift => unreachable!("nothing writes v1"),
    }
    body
}

proptest! {
    #[test]
    fn zipkin_to_otlp_to_zipkin_is_the_identity(span in zipkin_span()) {
        for (incoming, outgoing) in FORMATS {
            let body = write(incoming, std::slice::from_ref(&span));
            let traces = receiver::translate(incoming, &body, false).unwrap().traces;
            let returned = export(outgoing, &traces);
            prop_assert_eq!(
                String::from_utf8_lossy(&returned).into_owned(), String::from_utf8_lossy(&body).into_owned()
            );
        }
    }
}

// OTLP to Zipkin and back.

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue {
                values: values.into_iter().map(|value| AnyValue { value: Some(value) }).collect()
            })),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|pairs| Value::KvlistValue(KeyValueList { values: attributes(pairs) })),
        ]
    })
}

fn attributes(pairs: BTreeMap<String, Value>) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: impl Into<String>, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Attributes with names that mean nothing to either side.
fn some_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    proptest::collection::btree_map("my[.a-z]{0,4}", value(), 0..5).prop_map(attributes)
}

prop_compose! {
    fn otlp_span()(
        ids in (id128(), id64(), option::of(id64())),
        names in (text(), "([a-z]=[a-z])?"),
        kind in 0..=5,
        times in (0..=u64::MAX / 2, 0..=u64::MAX / 2),
        attributes in some_attributes(),
        counts in any::<[u8; 3]>(),
        events in vec((any::<u64>(), "[a-z |]{0,6}", some_attributes(), any::<u8>()), 0..3),
        links in vec((id128(), id64(), "([a-z]=[a-z])?", some_attributes(), any::<u8>()), 0..3),
        status in (0..=2, "[a-z]{0,5}"),
        flags in any::<u32>(),
    ) -> Span {
        let (trace_id, span_id, parent_id) = ids;
        Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            parent_span_id: parent_id.filter(|id| *id != span_id).map(Vec::from).unwrap_or_default(),
            name: names.0,
            trace_state: names.1,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.0 + times.1,
            attributes,
            dropped_attributes_count: counts[0].into(),
            dropped_events_count: counts[1].into(),
            dropped_links_count: counts[2].into(),
            events: events
                .into_iter()
                .map(|(time_unix_nano, name, attributes, dropped)| span::Event {
                    time_unix_nano, name, attributes, dropped_attributes_count: dropped.into(),
                })
                .collect(),
            links: links
                .into_iter()
                .map(|(trace_id, span_id, trace_state, attributes, dropped)| span::Link {
                    trace_id: trace_id.to_vec(), span_id: span_id.to_vec(), trace_state, attributes,
                    dropped_attributes_count: dropped.into(), flags,
                })
                .collect(),
            status: Some(Status { code: status.0, message: status.1 }),
            flags,
        }
    }
}

fn wrap(resource: Vec<KeyValue>, span: Span) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "lib".to_owned(),
                    version: "1".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// What is left of a span, by the specification of the transformation and the Collector's packing of events and links:
///
/// - times are whole microseconds, and a duration below one counts as one;
/// - a start of 0 is absent, which the receiver says in an attribute;
/// - values of attributes are text: arrays and maps JSON, bytes base64;
/// - the message of an unset status, and the flags of span and links, have no place;
/// - attributes of events and links are JSON: keys in order, bytes base64, whole doubles integers, NaN and infinities
///   text.
///
/// Beside a span are lost: schema URLs, attributes of the scope, dropped counts of resource and scope, and where an
/// attribute that is no known resource attribute was (it becomes one of the span). Not generated here: attributes whose
/// names mean something to Zipkin or the receiver, duplicate keys (the first counts), `error` on a span without an error
/// (it is dropped), events whose names look like packed ones.
fn left_of(mut span: Span) -> Span {
    let start = span.start_time_unix_nano / 1_000 * 1_000;
    let duration = match span.end_time_unix_nano - span.start_time_unix_nano {
        0 => 0,
        duration => (duration / 1_000).max(1) * 1_000,
    };
    span.start_time_unix_nano = start;
    span.end_time_unix_nano = start + duration;
    for attribute in &mut span.attributes {
        let value = attribute.value.take().and_then(|value| value.value).unwrap();
        attribute.value = Some(AnyValue { value: Some(Value::StringValue(as_text(&value))) });
    }
    if start == 0 {
        span.attributes.push(pair(tag::ABSENT_TIMESTAMP, Value::BoolValue(true)));
    }
    span.attributes.sort_by(|one, other| one.key.cmp(&other.key));
    span.flags = 0;
    span.status = span.status.filter(|status| status.code != 0);
    for event in &mut span.events {
        event.time_unix_nano = event.time_unix_nano / 1_000 * 1_000;
        event.attributes.iter_mut().for_each(through_json);
    }
    for link in &mut span.links {
        link.flags = 0;
        link.attributes.iter_mut().for_each(through_json);
    }
    span
}

fn as_text(value: &Value) -> String {
    let bytes = AnyValue { value: Some(value.clone()) }.encode_to_vec();
    <sluice_pipeline::otlp::view::AnyValue<'_> as sluice_pipeline::otlp::view::View<'_>>::of(&bytes)
        .text()
        .into_owned()
}

fn through_json(attribute: &mut KeyValue) {
    if let Some(value) = attribute.value.as_mut().and_then(|value| value.value.as_mut()) {
        value_through_json(value);
    }
}

fn value_through_json(value: &mut Value) {
    match value {
        Value::BytesValue(_) => *value = Value::StringValue(as_text(value)),
        Value::DoubleValue(double) if !double.is_finite() => *value = Value::StringValue(as_text(value)),
        Value::DoubleValue(_) => {
            if let Ok(integer) = as_text(value).parse() {
                *value = Value::IntValue(integer);
            }
        }
        Value::ArrayValue(array) => {
            array.values.iter_mut().filter_map(|value| value.value.as_mut()).for_each(value_through_json);
        }
        Value::KvlistValue(list) => list.values.iter_mut().for_each(through_json),
        _ => {}
    }
}

proptest! {
    #[test]
    fn otlp_to_zipkin_to_otlp_loses_only_what_is_listed(span in otlp_span()) {
        let resource = vec![
            pair("host.name", Value::StringValue("h".to_owned())),
            pair("service.name", Value::StringValue("shop".to_owned())),
        ];
        let traces = wrap(resource.clone(), span.clone()).encode_to_vec();
        let expected = wrap(resource, left_of(span));
        for (incoming, outgoing) in FORMATS {
            let body = export(outgoing, &traces);
            let returned = receiver::translate(incoming, &body, false).unwrap().traces;
            let mut returned = TracesData::decode(returned.as_slice()).unwrap();
            let span = &mut returned.resource_spans[0].scope_spans[0].spans[0];
            span.attributes.sort_by(|one, other| one.key.cmp(&other.key));
            prop_assert_eq!(&returned, &expected);
        }
    }
}
