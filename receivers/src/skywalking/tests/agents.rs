//! Agents that the integration tests cannot run, by messages of the shape of theirs.

use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};

use super::*;

/// What has been taken, as spans by name.
fn spans(fixture: &Fixture) -> impl Fn(&str) -> Span {
    let batches = fixture.pipeline.batches.lock().unwrap();
    let data = batches.iter().map(|batch| TracesData::decode(batch.contiguous()).unwrap());
    let groups = data.flat_map(|data| data.resource_spans).flat_map(|group| group.scope_spans);
    let spans: Vec<Span> = groups.flat_map(|scope| scope.spans).collect();
    move |name| {
        spans.iter().find(|span| span.name == name).cloned().unwrap_or_else(|| panic!("no span {name}"))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// Lua writes what is empty as an object, and numbers as they come.
#[tokio::test]
async fn segments_of_nginx_and_kong_are_one_trace() {
    let fixture = start().await;
    let nginx = r#"[{
        "traceId": "5b9b3f60-1f6e-4a3c-8d7e-20c1a6d4f001", "traceSegmentId": "8d0f6a52-90cb-4a5e-9f3e-6f2f7f7d1a10",
        "service": "edge", "serviceInstance": "edge-1",
        "spans": [
            {"spanId": 1, "parentSpanId": 0, "startTime": 1700000000012, "endTime": 1700000000040,
             "operationName": "/orders", "peer": "kong.internal:8000", "spanType": "Exit", "spanLayer": "Http",
             "componentId": 6000, "isError": false, "tags": [{"key": "http.method", "value": "GET"}]},
            {"spanId": 0, "parentSpanId": -1, "startTime": 1700000000010, "endTime": 1700000000041,
             "operationName": "/edge", "spanType": "Entry", "spanLayer": "Http", "componentId": 6000,
             "isError": false, "logs": {},
             "tags": [{"key": "http.method", "value": "GET"}, {"key": "http.params", "value": "http://edge/orders?id=1"},
                      {"key": "http.status_code", "value": 200}]}
        ]
    }]"#;
    let kong = r#"[{
        "traceId": "5b9b3f60-1f6e-4a3c-8d7e-20c1a6d4f001", "traceSegmentId": "0e4a6f0c-27a1-4a86-a5f2-9a3b5d0c7e21",
        "service": "kong", "serviceInstance": "kong-1",
        "spans": [
            {"spanId": 0, "parentSpanId": -1, "startTime": 1700000000015, "endTime": 1700000000038,
             "operationName": "/kong", "spanType": "Entry", "spanLayer": "Http", "componentId": 6001,
             "isError": true, "tags": {}, "logs": {},
             "refs": [{"refType": "CrossProcess", "traceId": "5b9b3f60-1f6e-4a3c-8d7e-20c1a6d4f001",
                       "parentTraceSegmentId": "8d0f6a52-90cb-4a5e-9f3e-6f2f7f7d1a10", "parentSpanId": 1,
                       "parentService": "edge", "parentServiceInstance": "edge-1", "parentEndpoint": "/edge",
                       "networkAddressUsedAtPeer": "kong.internal:8000"}]}
        ]
    }]"#;
    for segments in [nginx, kong] {
        assert_eq!(post(&fixture, "/v3/segments", segments).await.0, 200_u16);
    }
    let span = spans(&fixture);
    let (edge, orders, kong) = (span("/edge"), span("/orders"), span("/kong"));
    assert_eq!(edge.trace_id, 0x5b9b_3f60_1f6e_4a3c_8d7e_20c1_a6d4_f001_u128.to_be_bytes());
    assert!([&orders, &kong].iter().all(|span| span.trace_id == edge.trace_id));
    assert_eq!((&orders.parent_span_id, &kong.parent_span_id), (&edge.span_id, &orders.span_id));
    assert!(edge.parent_span_id.is_empty());
    assert_eq!((edge.kind, orders.kind, kong.kind), (2, 3, 2));
    assert_eq!(text(&edge.attributes, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(text(&edge.attributes, "http.params").as_deref(), Some("http://edge/orders?id=1"));
    assert_eq!(text(&orders.attributes, "server.port").as_deref(), Some("8000"));
    assert_eq!(kong.status.unwrap().code, 2);
    assert_eq!(text(&kong.links[0].attributes, "refType").as_deref(), Some("CrossProcess"));
}

/// The gateway goes on in another thread for each plugin: a segment for each, of the same service.
#[tokio::test]
async fn segments_of_other_threads_are_below_the_one_that_started_them() {
    let fixture = start().await;
    let id = |thread: u32| format!("9c1f4b7d2e0a4c3f8b6a5d4e3f2a1b0c.{thread}.17000000000100001");
    let segment = |thread: u32, name: &str, span: v3::SpanObject| {
        let span = v3::SpanObject { operation_name: name.to_owned(), parent_span_id: -1, ..span };
        let segment = v3::SegmentObject {
            trace_id: id(1),
            trace_segment_id: id(thread),
            service: "shenyu-gateway".to_owned(),
            service_instance: "gateway-1".to_owned(),
            spans: vec![span],
            ..Default::default()
        };
        framed(&segment.encode_to_vec())
    };
    let from = |thread: u32| v3::SegmentReference {
        ref_type: v3::RefType::CrossThread.into(),
        trace_id: id(1),
        parent_trace_segment_id: id(thread),
        parent_service: "shenyu-gateway".to_owned(),
        parent_service_instance: "gateway-1".to_owned(),
        parent_endpoint: "/order/save".to_owned(),
        ..Default::default()
    };
    let local = |thread| v3::SpanObject {
        span_type: v3::SpanType::Local.into(),
        refs: vec![from(thread)],
        ..Default::default()
    };
    let entry = v3::SpanObject { span_layer: v3::SpanLayer::Http.into(), ..Default::default() };
    let exit =
        v3::SpanObject { span_type: v3::SpanType::Exit.into(), peer: "orders:20880".to_owned(), ..local(2) };
    // They are sent as they end, the last thread's first.
    let stream =
        [segment(3, "dubbo", exit), segment(2, "divide", local(1)), segment(1, "/order/save", entry)]
            .concat();
    assert_eq!(call(fixture.grpc, COLLECT, whole(stream)).await, ok(EMPTY));
    let span = spans(&fixture);
    let (entry, divide, dubbo) = (span("/order/save"), span("divide"), span("dubbo"));
    assert_eq!((&divide.parent_span_id, &dubbo.parent_span_id), (&entry.span_id, &divide.span_id));
    assert_eq!((&divide.trace_id, &dubbo.trace_id), (&entry.trace_id, &entry.trace_id));
    assert_eq!((entry.kind, divide.kind, dubbo.kind), (2, 1, 3));
    for span in [divide, dubbo] {
        assert_eq!(text(&span.links[0].attributes, "refType").as_deref(), Some("CrossThread"));
        assert_eq!(text(&span.links[0].attributes, "parent.service").as_deref(), Some("shenyu-gateway"));
    }
}
