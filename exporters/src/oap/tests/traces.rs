//! Spans as segments.

use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData,
    span::{Event, Link},
};
use sluice_pipeline::{Native, grpc::frame::Messages};
use sluice_protocols::skywalking::COLLECT_SEGMENTS;
use sluice_protocols::skywalking::v3::{
    RefType, SegmentObject, SegmentReference, SpanAttachedEvent, SpanLayer, SpanObject, SpanType,
};

use super::*;

const TRACE: [u8; 16] = [7; 16];
const TRACE_TEXT: &str = "07070707070707070707070707070707";
const SECOND: u64 = 1_000_000_000;

fn span(id: u8, parent: u8, kind: i32, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: TRACE.to_vec(),
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: format!("span {id}"),
        kind,
        start_time_unix_nano: 1_700_000_000 * SECOND,
        end_time_unix_nano: 1_700_000_001 * SECOND,
        attributes,
        ..Span::default()
    }
}

fn group(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: resource(&[("service.name", service), ("service.instance.id", &format!("{service}-1"))]),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn traces(groups: Vec<ResourceSpans>) -> Batch {
    batch(Signal::Traces, &TracesData { resource_spans: groups })
}

fn segments(batch: &Batch, yaml: &str) -> Vec<SegmentObject> {
    sent(batch, &configured(yaml), Method::Segments)
}

fn segment(root: u8) -> String {
    format!("{TRACE_TEXT}.{}", format!("{root:02x}").repeat(8))
}

fn tag(span: &SpanObject, key: &str) -> Option<String> {
    span.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone())
}

/// A request from `web` to `stock`, which asks a database.
fn shop() -> Vec<ResourceSpans> {
    let place = |host: &str, port| vec![text("server.address", host), int("server.port", port)];
    let http = |host, port| [vec![text("http.request.method", "GET")], place(host, port)].concat();
    let database =
        [vec![text("db.system.name", "mysql"), text("db.query.text", "SELECT 1")], place("db", 3306)];
    vec![
        group(
            "web",
            vec![
                span(1, 0, 2, http("web", 80)),
                span(2, 1, 3, http("stock", 8080)),
                span(3, 1, 1, Vec::new()),
            ],
        ),
        group("stock", vec![span(4, 2, 2, http("stock", 8080)), span(5, 4, 3, database.concat())]),
    ]
}

#[test]
fn each_span_is_a_segment_of_its_own() {
    let segments = segments(&traces(shop()), "{}");
    let ids: Vec<_> = segments.iter().map(|segment| segment.trace_segment_id.clone()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5].map(segment));
    let spans: Vec<&SpanObject> = segments.iter().map(|segment| &segment.spans[0]).collect();
    for (segment, span) in segments.iter().zip(&spans) {
        assert_eq!(segment.trace_id, TRACE_TEXT);
        assert_eq!(span.span_id, 0);
        assert_eq!((span.start_time, span.end_time), (1_700_000_000_000, 1_700_000_001_000));
    }
    let types: Vec<_> = spans.iter().map(|span| span.span_type()).collect();
    assert_eq!(types, [SpanType::Entry, SpanType::Exit, SpanType::Local, SpanType::Entry, SpanType::Exit]);
    assert_eq!(
        (spans[1].span_layer(), spans[1].peer.as_str(), spans[1].component_id),
        (SpanLayer::Http, "stock:8080", 49)
    );
    assert_eq!(
        (spans[4].span_layer(), spans[4].peer.as_str(), spans[4].component_id),
        (SpanLayer::Database, "db:3306", 5)
    );
    assert_eq!(tag(spans[4], "db.type").as_deref(), Some("mysql"), "the names that OAP reads");
    assert_eq!(tag(spans[4], "db.statement").as_deref(), Some("SELECT 1"));
    assert_eq!(spans[0].refs, []);
    assert_eq!(
        spans[3].refs,
        [SegmentReference {
            ref_type: RefType::CrossProcess.into(),
            trace_id: TRACE_TEXT.to_owned(),
            parent_trace_segment_id: segment(2),
            parent_span_id: 0,
            parent_service: "web".to_owned(),
            parent_service_instance: "web-1".to_owned(),
            parent_endpoint: "span 1".to_owned(),
            network_address_used_at_peer: "stock:8080".to_owned(),
        }],
        "the address is the peer of the caller's span, so that OAP knows whose it is"
    );
    // A request that leaves the process has a local span before it that refers to its cause: OAP would take the request
    // itself for an endpoint if it did.
    let [exit, stand_in] = segments[1].spans.as_slice() else { panic!("two spans") };
    assert_eq!(
        (exit.parent_span_id, exit.refs.len(), stand_in.span_id, stand_in.parent_span_id),
        (1, 0, 1, -1)
    );
    assert_eq!(
        (stand_in.span_type(), stand_in.skip_analysis, exit.skip_analysis),
        (SpanType::Local, true, false)
    );
    let cause = &stand_in.refs[0];
    assert_eq!((cause.ref_type(), cause.parent_service.as_str()), (RefType::CrossThread, "web"));
    assert_eq!(cause.parent_trace_segment_id, segment(1));
    assert_eq!((spans[2].refs.len(), spans[2].skip_analysis), (1, true));
}

#[test]
fn an_unknown_caller_is_called_as_configured() {
    let only = traces(vec![shop().remove(1)]);
    let reference = |yaml: &str| segments(&only, yaml)[0].spans[0].refs[0].clone();
    assert_eq!(reference("{}").parent_service, "");
    assert_eq!(reference("{}").parent_trace_segment_id, segment(2));
    assert_eq!(reference("{unknown_caller: nobody}").parent_service, "nobody");
}

#[test]
fn spans_that_hang_together_are_one_segment_if_asked() {
    let segments = segments(&traces(shop()), "{segments: whole}");
    assert_eq!(segments.len(), 2);
    let numbers: Vec<_> = segments[0].spans.iter().map(|span| (span.span_id, span.parent_span_id)).collect();
    assert_eq!(numbers, [(0, -1), (1, 0), (2, 0)]);
    let [entry, exit] = segments[1].spans.as_slice() else { panic!("two spans") };
    assert_eq!(segments[1].trace_segment_id, segment(4));
    assert_eq!(
        (entry.refs[0].parent_trace_segment_id.clone(), entry.refs[0].parent_span_id),
        (segment(1), 1)
    );
    assert_eq!((exit.span_id, exit.parent_span_id, exit.refs.len()), (1, 0, 0));
}

#[test]
fn spans_that_are_their_own_ancestors_end_somewhere() {
    let circle = traces(vec![group(
        "a",
        vec![span(1, 1, 1, Vec::new()), span(2, 3, 1, Vec::new()), span(3, 2, 1, Vec::new())],
    )]);
    for yaml in ["{}", "{segments: whole}"] {
        let spans: usize = segments(&circle, yaml).iter().map(|segment| segment.spans.len()).sum();
        assert_eq!(spans, 3, "{yaml}");
    }
    let deep: Vec<Span> = (0..20_000u32)
        .map(|number| Span {
            span_id: u64::from(number + 1).to_be_bytes().to_vec(),
            parent_span_id: u64::from(number).to_be_bytes().to_vec(),
            ..span(1, 0, 1, Vec::new())
        })
        .collect();
    let whole = segments(&traces(vec![group("a", deep)]), "{segments: whole}");
    assert_eq!((whole.len(), whole[0].spans.len()), (1, 20_000));
}

#[test]
fn spans_without_ids_are_left_out() {
    let nameless = Span { trace_id: vec![0; 16], ..span(1, 0, 1, Vec::new()) };
    let batch = traces(vec![group("a", vec![nameless, span(2, 0, 1, Vec::new())])]);
    assert_eq!(segments(&batch, "{}").len(), 1);
}

#[test]
fn errors_and_events_are_what_agents_say() {
    let event = Event {
        time_unix_nano: 1_700_000_000 * SECOND,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "ValueError"), text("exception.message", "no")],
        ..Event::default()
    };
    let status = Some(Status { code: 2, message: "bad".to_owned() });
    let failed = Span { events: vec![event], status, ..span(1, 0, 2, Vec::new()) };
    let span = segments(&traces(vec![group("a", vec![failed])]), "{}").remove(0).spans.remove(0);
    assert!(span.is_error);
    assert_eq!(tag(&span, "otel.status_description").as_deref(), Some("bad"));
    let data: Vec<_> =
        span.logs[0].data.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
    assert_eq!(data, [("event", "error"), ("error.kind", "ValueError"), ("message", "no")]);
    assert_eq!(span.logs[0].time, 1_700_000_000_000);
}

#[test]
fn peers_are_written_as_the_other_end_writes_itself() {
    let peer = |attributes: Vec<KeyValue>| {
        segments(&traces(vec![group("a", vec![span(1, 0, 3, attributes)])]), "{}")[0].spans[0].peer.clone()
    };
    let http = || text("http.method", "GET");
    for (attributes, expected) in [
        (vec![http(), text("url.full", "https://user:secret@shop.test/a?b")], "shop.test:443"),
        (vec![http(), text("http.url", "http://shop.test:81/")], "shop.test:81"),
        (vec![http(), text("server.address", "::1"), int("server.port", 80)], "[::1]:80"),
        (vec![http(), text("server.address", "a"), text("url.scheme", "http")], "a:80"),
        (vec![text("network.peer.address", "10.0.0.1"), int("network.peer.port", 5)], "10.0.0.1:5"),
        (vec![text("db.system", "redis")], "redis"),
        (vec![text("peer.service", "other")], "other"),
        (vec![], ""),
    ] {
        assert_eq!(peer(attributes.clone()), expected, "{attributes:?}");
    }
}

#[test]
fn a_message_queue_is_between_producer_and_consumer() {
    let queue = || {
        vec![text("messaging.system", "kafka"), text("server.address", "broker"), int("server.port", 9092)]
    };
    let link = Link { trace_id: vec![8; 16], span_id: vec![9; 8], ..Link::default() };
    let consumer = Span { links: vec![link], ..span(2, 1, 5, queue()) };
    let batch = traces(vec![group("a", vec![span(1, 0, 4, queue())]), group("b", vec![consumer])]);
    let segments = segments(&batch, "{}");
    let (producer, consumer) = (&segments[0].spans[0], &segments[1].spans[0]);
    assert_eq!(
        (producer.span_layer(), producer.peer.as_str(), producer.component_id),
        (SpanLayer::Mq, "broker:9092", 27)
    );
    assert_eq!(consumer.refs.len(), 2, "the parent, and the message of another trace");
    assert_eq!(consumer.refs[0].network_address_used_at_peer, "broker:9092");
    assert_eq!(consumer.refs[1].trace_id, "08080808080808080808080808080808");
}

#[test]
fn spans_of_skywalking_go_back_as_the_agent_said() {
    let link = Link {
        attributes: vec![
            text("refType", "CrossThread"),
            text("sw8.trace_id", "t.1"),
            text("sw8.parent_segment_id", "s.0"),
            int("sw8.parent_span_id", 4),
            text("parent.service", "caller"),
            text("parent.service.instance", "caller-1"),
            text("parent.endpoint", "/in"),
            text("network.AddressUsedAtPeer", "here:80"),
        ],
        ..Link::default()
    };
    let log = Event {
        time_unix_nano: 5_000_000,
        name: "logs".to_owned(),
        attributes: vec![text("sw8.kept", "as it is")],
        ..Event::default()
    };
    let ids = |number| {
        [text("sw8.trace_id", "t.1"), text("sw8.segment_id", "s.1"), int("sw8.span_id", number)].to_vec()
    };
    let more = vec![
        text("http.request.method", "GET"),
        int("http.response.status_code", 200),
        text("skywalking.tag.server.address", "a tag"),
        text("free", "yes"),
        text("skywalking.span_layer", "Http"),
        int("skywalking.component_id", 7001),
        pair("skywalking.size_limited", Value::BoolValue(true)),
        pair("skywalking.skip_analysis", Value::BoolValue(true)),
        text("client.address", "10.0.0.9"),
        int("client.port", 555),
    ];
    let entry = Span { links: vec![link], events: vec![log], ..span(1, 0, 2, [ids(0), more].concat()) };
    let exit = span(
        2,
        1,
        3,
        [ids(1), vec![int("sw8.parent_span_id", 0), text("server.address", "peer,other:1")]].concat(),
    );
    let batch = traces(vec![group("agent", vec![exit, entry])]);
    let segments = segments(&batch, "{services: [{service: 'never used'}]}");
    let [segment] = segments.as_slice() else { panic!("one segment, not {}", segments.len()) };
    assert_eq!((segment.trace_id.as_str(), segment.trace_segment_id.as_str()), ("t.1", "s.1"));
    assert_eq!((segment.service.as_str(), segment.service_instance.as_str()), ("agent", "agent-1"));
    assert!(segment.is_size_limited);
    let [exit, entry] = segment.spans.as_slice() else { panic!("two spans in their order") };
    assert_eq!((exit.span_id, exit.parent_span_id, exit.peer.as_str()), (1, 0, "peer,other:1"));
    assert_eq!((entry.span_id, entry.parent_span_id, entry.peer.as_str()), (0, -1, "10.0.0.9:555"));
    assert_eq!((entry.span_layer(), entry.component_id, entry.skip_analysis), (SpanLayer::Http, 7001, true));
    let tags: Vec<_> = entry.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    assert_eq!(
        tags,
        [("http.method", "GET"), ("http.status_code", "200"), ("server.address", "a tag"), ("free", "yes")]
    );
    assert_eq!(entry.logs[0].time, 5);
    assert_eq!(entry.logs[0].data[0].key, "sw8.kept");
    let reference = &entry.refs[0];
    assert_eq!((reference.ref_type(), reference.parent_span_id), (RefType::CrossThread, 4));
    assert_eq!(reference.parent_trace_segment_id, "s.0");
    assert_eq!(
        [&reference.parent_service, &reference.parent_endpoint, &reference.network_address_used_at_peer],
        ["caller", "/in", "here:80"]
    );
}

#[test]
fn what_the_kernel_saw_is_attached_to_the_span() {
    let seen = Event {
        time_unix_nano: 2 * SECOND + 5,
        name: "HTTP Request Sampling".to_owned(),
        attributes: vec![
            int("sluice.event.end_unix_nano", i64::try_from(3 * SECOND).unwrap()),
            text("sluice.event.direction", "inbound"),
            text("sluice.event.role", "server"),
            int("sluice.event.size", 1536),
            text("sluice.event.content", "GET / HTTP/1.1"),
        ],
        ..Event::default()
    };
    let with = |span: Span| Span { events: vec![seen.clone()], ..span };
    let native = vec![text("sw8.trace_id", "t"), text("sw8.segment_id", "s"), int("sw8.span_id", 3)];
    let partial = vec![int("sluice.span.partial", 0)];
    let batch = traces(vec![group(
        "a",
        vec![with(span(1, 0, 2, Vec::new())), with(span(2, 0, 2, native)), with(span(3, 0, 2, partial))],
    )]);
    assert_eq!(segments(&batch, "{}").len(), 2, "a partial span is none of its own");
    let events: Vec<SpanAttachedEvent> = sent(&batch, &configured("{}"), Method::AttachedEvents);
    let contexts: Vec<_> = events
        .iter()
        .map(|event| event.trace_context.clone().unwrap())
        .map(|context| (context.trace_id, context.trace_segment_id, context.span_id))
        .collect();
    let own = |id: u8| (TRACE_TEXT.to_owned(), segment(id), "0".to_owned());
    for expected in [("t".to_owned(), "s".to_owned(), "3".to_owned()), own(1), own(3)] {
        assert!(contexts.contains(&expected), "{expected:?} in {contexts:?}");
    }
    let event = &events[0];
    assert_eq!(event.event, "HTTP Request Sampling");
    assert_eq!((event.start_time.unwrap().seconds, event.start_time.unwrap().nanos), (2, 5));
    assert_eq!(event.end_time.unwrap().seconds, 3);
    let tags: Vec<_> = event.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    for expected in [
        ("data_size", "1.5KiB"),
        ("data_content", "GET / HTTP/1.1"),
        ("data_direction", "inbound"),
        ("data_type", "request"),
        ("connection_role", "server"),
        ("service_name", "a"),
    ] {
        assert!(tags.contains(&expected), "{expected:?} in {tags:?}");
    }
}

/// A segment as an agent said it, which was not translated yet.
fn untranslated() -> (SegmentObject, Chunk) {
    let said = SegmentObject {
        trace_id: "1.2.3".to_owned(),
        trace_segment_id: "4.5.6".to_owned(),
        spans: vec![SpanObject { operation_name: "/buy".to_owned(), ..SpanObject::default() }],
        service: "shop".to_owned(),
        ..SegmentObject::default()
    };
    let mut framed = Messages::default();
    framed.push(|out| said.encode(out).unwrap());
    // With a group of spans of its own, so that it shows if somebody translates it.
    let translated =
        TracesData { resource_spans: vec![group("translated", vec![span(1, 0, 2, Vec::new())])] };
    let native =
        Native::new(COLLECT_SEGMENTS, framed.into_bytes(), 1_000, move |_| translated.encode_to_vec());
    (said, Chunk::from_native(native, 1))
}

#[test]
fn what_nobody_changed_goes_as_the_agent_said_it() {
    let (said, chunk) = untranslated();
    let mut batch = Batch::new(Signal::Traces, chunk, Context::default());
    assert_eq!(segments(&batch, "{}"), std::slice::from_ref(&said));
    // Beside others.
    batch.join(traces(shop()));
    batch.join(Batch::new(Signal::Traces, untranslated().1, Context::default()));
    let sent = segments(&batch, "{}");
    assert_eq!((sent.len(), &sent[0], &sent[1]), (7, &said, &said));
    assert_eq!(messages(&batch, &configured("{}")).len(), 1, "all segments go on one stream");
}

#[test]
fn what_somebody_changed_goes_as_it_is_now() {
    let (_, chunk) = untranslated();
    let bytes = TracesData { resource_spans: vec![group("changed", vec![span(2, 0, 2, Vec::new())])] };
    let changed = chunk.replaced(bytes.encode_to_vec().into(), 1);
    let batch = Batch::new(Signal::Traces, changed, Context::default());
    let sent = segments(&batch, "{}");
    assert_eq!((sent.len(), sent[0].service.as_str()), (1, "changed"));
}
