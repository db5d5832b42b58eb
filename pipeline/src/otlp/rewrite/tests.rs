use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::{LogRecord, LogsData},
    metrics::v1::{Metric, MetricsData, metric},
    resource::v1::Resource,
    trace::v1::{Span, TracesData, span::Event},
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::{
    testing,
    wire::{Fields, Value},
    write::Writer,
};

/// An edit of attributes that is made on bytes and on structs.
#[derive(Clone, Debug)]
enum Action {
    Insert(&'static str, i64),
    Update(&'static str, i64),
    Upsert(&'static str, i64),
    Delete(&'static str),
    DeleteLongerThan(usize),
    /// Texts become their length.
    Measure(&'static str),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let key = || proptest::sample::select(vec!["", "k", "http.route", "service.name", "名前", "new"]);
    let action = prop_oneof![
        (key(), any::<i64>()).prop_map(|(key, value)| Action::Insert(key, value)),
        (key(), any::<i64>()).prop_map(|(key, value)| Action::Update(key, value)),
        (key(), 0..3i64).prop_map(|(key, value)| Action::Upsert(key, value)),
        key().prop_map(Action::Delete),
        (4..20usize).prop_map(Action::DeleteLongerThan),
        key().prop_map(Action::Measure),
    ];
    proptest::collection::vec(action, 0..4)
}

impl Action {
    fn on_bytes(&self, attributes: &mut Attributes<'_>) {
        match self {
            Self::Insert(key, number) => drop(attributes.insert(key.as_bytes(), &value::int(*number))),
            Self::Update(key, number) => drop(attributes.update(key.as_bytes(), &value::int(*number))),
            Self::Upsert(key, number) => attributes.upsert(key.as_bytes(), &value::int(*number)),
            Self::Delete(key) => drop(attributes.delete(key.as_bytes())),
            Self::DeleteLongerThan(length) => attributes.retain(|key, _| key.len() <= *length),
            Self::Measure(key) => attributes.modify(
                |candidate| candidate == key.as_bytes(),
                |old, new| {
                    let text = Fields::of(old).flatten().find(|field| field.number == 1);
                    new.extend(
                        text.map(|text| value::int(text.value.bytes().len() as i64)).unwrap_or_default(),
                    );
                    text.is_some()
                },
            ),
        }
    }

    fn on_structs(&self, attributes: &mut Vec<KeyValue>) {
        match self {
            Self::Insert(key, number) if attributes.iter().all(|each| each.key != *key) => {
                attributes.push(attribute(key, *number));
            }
            Self::Insert(..) => {}
            Self::Upsert(key, number) if attributes.iter().all(|each| each.key != *key) => {
                attributes.push(attribute(key, *number));
            }
            Self::Update(key, number) | Self::Upsert(key, number) => {
                for each in attributes.iter_mut().filter(|each| each.key == *key) {
                    each.value = attribute(key, *number).value;
                }
            }
            Self::Delete(key) => attributes.retain(|each| each.key != *key),
            Self::DeleteLongerThan(length) => attributes.retain(|each| each.key.len() <= *length),
            Self::Measure(key) => {
                for each in attributes.iter_mut().filter(|each| each.key == *key) {
                    if let Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }) = &each.value {
                        each.value = attribute(key, text.len() as i64).value;
                    }
                }
            }
        }
    }
}

fn attribute(key: &str, value: i64) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::IntValue(value)) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// What happens at each level, decided by what both sides can see.
#[derive(Clone, Debug)]
struct Plan {
    resource: Vec<Action>,
    scope: Vec<Action>,
    item: Vec<Action>,
    event: Vec<Action>,
    drop_at: usize,
    keep_at: usize,
}

fn plans() -> impl Strategy<Value = Plan> {
    (actions(), actions(), actions(), actions(), 0..6usize, 0..6usize).prop_map(
        |(resource, scope, item, event, drop_at, keep_at)| Plan {
            resource,
            scope,
            item,
            event,
            drop_at,
            keep_at,
        },
    )
}

impl Plan {
    fn visit(&self, attributes: usize) -> Visit {
        match attributes {
            count if count == self.drop_at => Visit::Drop,
            count if count == self.keep_at => Visit::Keep,
            _ => Visit::Descend,
        }
    }

    fn part(&self, actions: &[Action], part: &mut Part<'_>) -> Visit {
        let Some(attributes) = part.attributes() else { return Visit::Descend };
        let visit = self.visit(attributes.iter().count());
        actions.iter().for_each(|action| action.on_bytes(attributes));
        visit
    }

    fn structs(&self, actions: &[Action], attributes: &mut Vec<KeyValue>) -> Visit {
        let visit = self.visit(attributes.len());
        actions.iter().for_each(|action| action.on_structs(attributes));
        visit
    }

    fn resource(&self, resource: &mut Option<Resource>) -> Visit {
        let mut edited = resource.clone().unwrap_or_default();
        let visit = self.structs(&self.resource, &mut edited.attributes);
        if resource.is_some() || edited != Resource::default() {
            *resource = Some(edited);
        }
        visit
    }

    fn span(&self, span: &mut Span) -> bool {
        span.dropped_attributes_count = if span.attributes.len().is_multiple_of(2) { 77 } else { 0 };
        let visit = self.structs(&self.item, &mut span.attributes);
        if visit == Visit::Descend {
            span.events
                .retain_mut(|Event { attributes, .. }| self.structs(&self.event, attributes) != Visit::Drop);
        }
        visit != Visit::Drop
    }

    fn log_record(&self, record: &mut LogRecord) -> bool {
        self.structs(&self.item, &mut record.attributes) != Visit::Drop
    }

    fn metric(&self, metric: &mut Metric) -> bool {
        let visit = self.visit(metric.unit.len());
        if visit != Visit::Descend {
            metric.unit = "changed".to_owned();
            return visit == Visit::Keep;
        }
        let item = |attributes: &mut Vec<KeyValue>| self.structs(&self.item, attributes) != Visit::Drop;
        match &mut metric.data {
            None => true,
            Some(metric::Data::Gauge(data)) => {
                each(&mut data.data_points, |point| item(&mut point.attributes))
            }
            Some(metric::Data::Sum(data)) => each(&mut data.data_points, |point| item(&mut point.attributes)),
            Some(metric::Data::Histogram(data)) => {
                each(&mut data.data_points, |point| item(&mut point.attributes))
            }
            Some(metric::Data::ExponentialHistogram(data)) => {
                each(&mut data.data_points, |point| item(&mut point.attributes))
            }
            Some(metric::Data::Summary(data)) => {
                each(&mut data.data_points, |point| item(&mut point.attributes))
            }
        }
    }
}

/// Keeps what is to be kept; false if that leaves nothing of something.
fn each<T>(members: &mut Vec<T>, keep: impl FnMut(&mut T) -> bool) -> bool {
    let was_empty = members.is_empty();
    members.retain_mut(keep);
    was_empty || !members.is_empty()
}

impl Editor for Plan {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        self.part(&self.resource, resource)
    }

    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        self.part(&self.scope, scope)
    }

    fn metric(&mut self, metric: &mut Part<'_>) -> Visit {
        let unit = Fields::of(metric.bytes()).flatten().find(|field| field.number == 3);
        let visit = self.visit(unit.map_or(0, |unit| unit.value.bytes().len()));
        if visit != Visit::Descend {
            metric.set(3, |writer| writer.bytes(3, b"replaced"));
            metric.set(3, |writer| writer.bytes(3, b"changed"));
        }
        visit
    }

    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        if item.message().name == "Span" {
            // The field that follows the attributes.
            let is_even = item.attributes().unwrap().iter().count().is_multiple_of(2);
            item.set(10, |span| (0..i32::from(is_even)).for_each(|_| span.varint(10, 77)));
        }
        self.part(&self.item, item)
    }

    fn event(&mut self, event: &mut Part<'_>) -> Visit {
        self.part(&self.event, event)
    }
}

/// Makes the same edits in the structs of a signal.
macro_rules! on_structs {
    ($plan:expr, $groups:expr, $scopes:ident, $items:ident, $item:ident) => {
        each($groups, |group| match $plan.resource(&mut group.resource) {
            Visit::Drop => false,
            Visit::Keep => true,
            Visit::Descend => each(&mut group.$scopes, |group| {
                let mut scope = group.scope.clone().unwrap_or_default();
                let visit = $plan.structs(&$plan.scope, &mut scope.attributes);
                if group.scope.is_some() || !scope.attributes.is_empty() {
                    group.scope = Some(scope);
                }
                match visit {
                    Visit::Drop => false,
                    Visit::Keep => true,
                    Visit::Descend => each(&mut group.$items, |item| $plan.$item(item)),
                }
            }),
        })
    };
}

fn items(signal: Signal, bytes: &[u8]) -> usize {
    match signal {
        Signal::Traces => {
            let data = TracesData::decode(bytes).unwrap();
            data.resource_spans
                .iter()
                .flat_map(|group| &group.scope_spans)
                .map(|group| group.spans.len())
                .sum()
        }
        Signal::Logs => {
            let data = LogsData::decode(bytes).unwrap();
            data.resource_logs
                .iter()
                .flat_map(|group| &group.scope_logs)
                .map(|group| group.log_records.len())
                .sum()
        }
        _ => {
            let data = MetricsData::decode(bytes).unwrap();
            let metrics = data
                .resource_metrics
                .iter()
                .flat_map(|group| &group.scope_metrics)
                .flat_map(|group| &group.metrics);
            metrics
                .map(|metric| match &metric.data {
                    None => 0,
                    Some(metric::Data::Gauge(data)) => data.data_points.len(),
                    Some(metric::Data::Sum(data)) => data.data_points.len(),
                    Some(metric::Data::Histogram(data)) => data.data_points.len(),
                    Some(metric::Data::ExponentialHistogram(data)) => data.data_points.len(),
                    Some(metric::Data::Summary(data)) => data.data_points.len(),
                })
                .sum()
        }
    }
}

/// The rewritten bytes, and whether they are the original ones. Checks the count of items.
fn rewritten(signal: Signal, bytes: Vec<u8>, editor: &mut impl Editor) -> Option<Bytes> {
    let original = Chunk::new(bytes.clone().into(), items(signal, &bytes));
    let changed = chunk(signal, original.clone(), editor)?;
    assert_eq!(changed.items(), items(signal, changed.bytes()));
    assert_eq!(changed.origin(), original.origin());
    if changed.bytes() == original.bytes() {
        assert_eq!(changed.bytes().as_ptr(), original.bytes().as_ptr(), "an unchanged chunk was copied");
    }
    Some(changed.bytes().clone())
}

proptest! {
    #[test]
    fn traces_as_edited_in_structs(bytes in testing::canonical_bytes(Signal::Traces), mut plan in plans()) {
        let mut expected = TracesData::decode(bytes.as_slice()).unwrap();
        let _ = on_structs!(plan, &mut expected.resource_spans, scope_spans, spans, span);
        match rewritten(Signal::Traces, bytes, &mut plan) {
            Some(bytes) => prop_assert_eq!(TracesData::decode(bytes).unwrap(), expected),
            None => prop_assert_eq!(items(Signal::Traces, &expected.encode_to_vec()), 0),
        }
    }

    #[test]
    fn logs_as_edited_in_structs(bytes in testing::canonical_bytes(Signal::Logs), mut plan in plans()) {
        let mut expected = LogsData::decode(bytes.as_slice()).unwrap();
        let _ = on_structs!(plan, &mut expected.resource_logs, scope_logs, log_records, log_record);
        match rewritten(Signal::Logs, bytes, &mut plan) {
            Some(bytes) => prop_assert_eq!(LogsData::decode(bytes).unwrap(), expected),
            None => prop_assert_eq!(items(Signal::Logs, &expected.encode_to_vec()), 0),
        }
    }

    #[test]
    fn metrics_as_edited_in_structs(bytes in testing::canonical_bytes(Signal::Metrics), mut plan in plans()) {
        let mut expected = MetricsData::decode(bytes.as_slice()).unwrap();
        let _ = on_structs!(plan, &mut expected.resource_metrics, scope_metrics, metrics, metric);
        match rewritten(Signal::Metrics, bytes, &mut plan) {
            Some(bytes) => prop_assert_eq!(MetricsData::decode(bytes).unwrap(), expected),
            None => prop_assert_eq!(items(Signal::Metrics, &expected.encode_to_vec()), 0),
        }
    }

    #[test]
    fn any_bytes_are_rewritten_without_panic(
        signal in testing::any_signal(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        mut plan in plans(),
    ) {
        let _ = chunk(signal, Chunk::new(bytes.into(), 1), &mut plan);
    }

    #[test]
    fn broken_messages_are_rewritten_without_panic(
        (signal, bytes) in testing::any_signal().prop_flat_map(|signal| {
            (Just(signal), testing::mutated_bytes(signal))
        }),
        mut plan in plans(),
    ) {
        let _ = chunk(signal, Chunk::new(bytes.into(), 1), &mut plan);
    }
}

/// Writes an unknown field into every message, edits every attribute list and counts the unknown fields.
#[test]
fn unknown_fields_survive() {
    const UNKNOWN: u32 = 900;
    let write_attribute = |writer: &mut Writer<'_>, number| {
        writer.message(number, |attribute| {
            attribute.bytes(1, b"key");
            attribute.bytes(2, &value::int(1));
            attribute.varint(UNKNOWN, 1);
        });
    };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.varint(UNKNOWN, 1);
    writer.message(1, |group| {
        group.message(1, |resource| {
            write_attribute(resource, 1);
            resource.varint(UNKNOWN, 1);
        });
        group.message(2, |group| {
            group.message(2, |span| {
                write_attribute(span, 9);
                span.varint(UNKNOWN, 1);
                span.message(11, |event| {
                    event.varint(UNKNOWN, 1);
                    write_attribute(event, 3);
                });
            });
            group.varint(UNKNOWN, 1);
        });
        group.varint(UNKNOWN, 1);
    });
    fn unknown(bytes: &[u8]) -> usize {
        Fields::of(bytes)
            .flatten()
            .map(|field| match field.value {
                Value::Varint(1) if field.number == UNKNOWN => 1,
                Value::Bytes(inner) if !inner.starts_with(b"key") => unknown(inner),
                _ => 0,
            })
            .sum()
    }
    let actions = vec![Action::Update("key", 7), Action::Upsert("new", 1)];
    let mut plan = Plan {
        resource: actions.clone(),
        scope: actions.clone(),
        item: actions.clone(),
        event: actions,
        drop_at: 9,
        keep_at: 9,
    };
    assert_eq!(unknown(&bytes), 9);
    let changed = rewritten(Signal::Traces, bytes, &mut plan).unwrap();
    assert_eq!(unknown(&changed), 9);
    let data = TracesData::decode(changed).unwrap();
    let group = &data.resource_spans[0];
    let expected = [attribute("key", 7), attribute("new", 1)];
    assert_eq!(group.resource.as_ref().unwrap().attributes, expected);
    assert_eq!(group.scope_spans[0].scope.as_ref().unwrap().attributes, expected[1..]);
    assert_eq!(group.scope_spans[0].spans[0].attributes, expected);
    assert_eq!(group.scope_spans[0].spans[0].events[0].attributes, expected);
}

/// Drops every other profile, counting its samples.
#[test]
fn a_dropped_profile_takes_its_samples_along() {
    struct DropLong;
    impl Editor for DropLong {
        fn item(&mut self, profile: &mut Part<'_>) -> Visit {
            assert!(profile.attributes().is_none());
            if profile.bytes().len() > 4 { Visit::Drop } else { Visit::Keep }
        }
    }
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(2, |group| {
            for samples in [1, 2, 5] {
                group.message(2, |profile| (0..samples).for_each(|_| profile.bytes(2, b"")));
            }
        });
    });
    let changed = chunk(Signal::Profiles, Chunk::new(bytes.into(), 8), &mut DropLong).unwrap();
    assert_eq!(changed.items(), 3);
}

#[test]
fn a_span_gets_an_event_and_another_name() {
    struct Annotate;
    impl Editor for Annotate {
        fn item(&mut self, span: &mut Part<'_>) -> Visit {
            span.append(|span| span.message(11, |event| event.bytes(2, b"new")));
            span.set(5, |span| span.bytes(5, b"renamed"));
            Visit::Descend
        }

        fn event(&mut self, event: &mut Part<'_>) -> Visit {
            event.set(1, |_| ());
            Visit::Keep
        }
    }
    let event = |name: &str, time| Event { name: name.to_owned(), time_unix_nano: time, ..Event::default() };
    let span = Span { name: "long ".repeat(40), events: vec![event("old", 5)], ..Span::default() };
    let mut data = TracesData::default();
    data.resource_spans.push(Default::default());
    data.resource_spans[0].scope_spans.push(Default::default());
    data.resource_spans[0].scope_spans[0].spans = vec![span.clone(), span];
    let changed = rewritten(Signal::Traces, data.encode_to_vec(), &mut Annotate).unwrap();
    for span in &mut data.resource_spans[0].scope_spans[0].spans {
        span.name = "renamed".to_owned();
        span.events = vec![event("old", 0), event("new", 0)];
    }
    assert_eq!(TracesData::decode(changed).unwrap(), data);
}

#[test]
fn a_batch_loses_the_chunks_with_nothing_left() {
    struct DropAll;
    impl Editor for DropAll {
        fn scope(&mut self, _: &mut Part<'_>) -> Visit {
            Visit::Drop
        }
    }
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| group.message(2, |group| group.message(2, |_| ())));
    let original = Batch::new(Signal::Logs, Chunk::new(bytes.into(), 1), Default::default());
    let changed = batch(original, &mut DropAll);
    assert!(changed.chunks().is_empty());
    assert_eq!(changed.items(), 0);
}
