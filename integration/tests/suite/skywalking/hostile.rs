//! What no agent should send, on streams of gRPC and over HTTP: passed on as OAP would take it, or refused and counted,
//! and the rest of the stream lives.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use serde_json::Value;
use sluice_integration::Failure;
use sluice_integration::sink::count::SEGMENTS;
use sluice_integration::transport::{connect_http2_with, frame};
use sluice_protocols::skywalking::v3::{
    KeyStringValuePair, Log, SegmentObject, SegmentReference, SpanObject,
};
use tokio::sync::oneshot;

use super::{attribute, items, start};
use crate::support::{PATIENCE, Setup, eventually, grpc, post, sum};

fn segment(id: &str, spans: Vec<SpanObject>) -> SegmentObject {
    SegmentObject {
        trace_id: "t".to_owned(),
        trace_segment_id: id.to_owned(),
        spans,
        service: "shop".to_owned(),
        ..Default::default()
    }
}

fn named(name: &str) -> SpanObject {
    SpanObject { operation_name: name.to_owned(), parent_span_id: -1, ..Default::default() }
}

fn framed(segment: &SegmentObject) -> Bytes {
    frame(&segment.encode_to_vec(), false)
}

fn accepted(setup: &Setup) -> usize {
    sum(setup.telemetry, "otelcol_receiver_accepted_spans", "skywalking")
}

fn refused(setup: &Setup, reason: &str) -> usize {
    sum(setup.telemetry, "sluice_receiver_refused_requests", &format!("reason=\"{reason}\""))
}

#[test]
fn odd_segments_are_passed_on_as_oap_would_take_them() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let nameless = SegmentObject { spans: vec![named("of nobody")], ..Default::default() };
    let strange = SegmentObject {
        trace_id: "not an id ☃".to_owned(),
        ..segment(&"9".repeat(60), vec![named("strange")])
    };
    let zero = SegmentObject { trace_id: "0".repeat(32), ..segment(&"0".repeat(32), vec![named("zero")]) };
    let unknown = SpanObject { span_type: 17, span_layer: -4, component_id: -1, ..named("unknown") };
    let reversed = SpanObject { start_time: 9_000, end_time: 4_000, ..named("reversed") };
    let own = SpanObject { span_id: 3, parent_span_id: 3, ..named("its own parent") };
    let reference = SegmentReference {
        trace_id: "t".to_owned(),
        parent_trace_segment_id: "circle".to_owned(),
        ref_type: 9,
        ..Default::default()
    };
    let circle = SpanObject { refs: vec![reference], ..named("refers to itself") };
    let twice = segment("twice", vec![named("same number"), named("same number")]);
    let empty = SpanObject {
        tags: vec![KeyStringValuePair::default()],
        logs: vec![Log::default()],
        ..named("nothing in it")
    };
    let all = [
        nameless,
        strange,
        zero,
        segment("u", vec![unknown, reversed, own]),
        segment("circle", vec![circle]),
        twice,
        segment("e", vec![empty]),
    ];
    let body: Vec<u8> = all.iter().flat_map(framed).collect();
    assert_eq!(grpc(setup.grpc, SEGMENTS, &[], body).grpc_status, Some(0));

    let mut spans = Vec::new();
    eventually("all spans arrive", || {
        spans = items(&setup, "traces");
        spans.len() == 10
    });
    let find = |name: &str| {
        let found = spans.iter().find(|(_, span)| span["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}")).clone()
    };
    for (_, span) in &spans {
        for id in ["traceId", "spanId"] {
            let id = span[id].as_str().unwrap();
            assert!(id.bytes().any(|digit| digit != b'0'), "an id of zeros: {span:#}");
        }
        assert_ne!(span["parentSpanId"], span["spanId"], "{span:#}");
    }
    assert_eq!(attribute(&find("of nobody").0, "service.name"), Value::Null);
    assert_eq!(attribute(&find("strange").1, "sw8.trace_id"), "not an id ☃");
    let (_, unknown) = find("unknown");
    assert_eq!(attribute(&unknown, "skywalking.span_type"), "17");
    assert_eq!(attribute(&unknown, "skywalking.span_layer"), "-4");
    let (_, reversed) = find("reversed");
    assert_eq!(
        (&reversed["startTimeUnixNano"], &reversed["endTimeUnixNano"]),
        (&"9000000000".into(), &"4000000000".into())
    );
    let (_, circle) = find("refers to itself");
    assert_eq!(circle["links"][0]["spanId"], circle["spanId"], "kept as the reference that it is");
    assert_eq!(refused(&setup, "malformed"), 0);
    sluice.stop();
}

#[test]
fn what_cannot_be_taken_is_counted_and_the_rest_of_the_stream_lives() {
    const SPANS: i32 = 100_000;
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let span = |id| SpanObject { span_id: id, parent_span_id: id - 1, ..Default::default() };
    let large = segment("large", (0..SPANS).map(span).collect());
    let long = segment("long", vec![named(&"x".repeat(40 << 20))]);
    let mut cut = segment("cut", vec![named("cut")]).encode_to_vec();
    cut.truncate(cut.len() - 3);
    let body = [
        framed(&segment("first", vec![named("first")])),
        frame(&cut, false),
        frame(b"no protobuf at all", false),
        // Just beyond the 50 MiB that OAP allows.
        frame(&vec![0; (50 << 20) + 1], false),
        framed(&large),
        framed(&long),
        framed(&segment("last", vec![named("last")])),
    ]
    .concat();
    assert_eq!(grpc(setup.grpc, SEGMENTS, &[], body).grpc_status, Some(0));
    assert_eq!(accepted(&setup), usize::try_from(SPANS).unwrap() + 3);
    assert_eq!((refused(&setup, "malformed"), refused(&setup, "too_large")), (2, 1));
    sluice.stop();
}

type Parts = BoxStream<'static, Result<Frame<Bytes>, Failure>>;

#[test]
fn what_came_before_a_reset_is_kept_and_the_connection_lives() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (reset, wait) = oneshot::channel::<()>();
    let second = framed(&segment("b", vec![named("half")]));
    let begin = [framed(&segment("a", vec![named("whole")])), second.slice(..second.len() / 2)].concat();
    let until_reset = stream::once(async move {
        let _ = wait.await;
        Err(Failure::from("the agent ends here"))
    });
    let parts: Parts = stream::iter([Ok(Frame::data(Bytes::from(begin)))]).chain(until_reset).boxed();
    let mut sender = runtime.block_on(connect_http2_with(setup.grpc)).unwrap();
    let request = |body: StreamBody<Parts>| {
        let request = Request::post(format!("http://{}{SEGMENTS}", setup.grpc));
        request.header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap()
    };
    let broken = runtime.spawn(sender.send_request(request(StreamBody::new(parts))));
    eventually("the whole segment is taken", || accepted(&setup) == 1);
    reset.send(()).unwrap();
    assert!(runtime.block_on(broken).unwrap().is_err(), "nobody waits for an answer");
    let whole: Parts = stream::iter([Ok(Frame::data(framed(&segment("c", vec![named("next")]))))]).boxed();
    let answer = runtime.block_on(async {
        let next = sender.send_request(request(StreamBody::new(whole)));
        tokio::time::timeout(PATIENCE, next).await.expect("the connection lives")
    });
    assert_eq!(answer.unwrap().status(), 200);
    eventually("the next stream is taken", || accepted(&setup) == 2);
    assert_eq!(refused(&setup, "malformed"), 0, "agents end their streams like that");
    drop(sender);
    sluice.stop();
}

#[test]
fn json_of_the_wrong_shape_is_refused_whole_and_counted() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let good = r#"[{"traceId":"t","traceSegmentId":"s","spans":[{"operationName":"good"}]}]"#;
    let deep = format!(r#"{{"unknown":{}}}"#, "[".repeat(100_000));
    let wrong: [(&str, &[u8]); 9] = [
        ("/v3/segments", b"{"),
        ("/v3/segments", br#"[{"spans":[{"operationName":"lost"}]},{"spans":3}]"#),
        ("/v3/segments", br#"{"spans":[{"spanId":99999999999}]}"#),
        ("/v3/segments", br#"{"traceId":["t"]}"#),
        ("/v3/segments", &[b'"', 0xff, b'"']),
        ("/v3/logs", b"7"),
        ("/browser/perfData", br#"{"dnsTime":"soon"}"#),
        ("/browser/errorLogs", deep.as_bytes()),
        ("/logging", b"\x0a"),
    ];
    for (path, body) in wrong {
        let answer = post(setup.http, path, &[("content-type", "application/json")], body.to_vec());
        assert_eq!(answer.status, 400, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(post(setup.http, "/v3/segments", &[], good).status, 200);
    eventually("the good one arrives", || items(&setup, "traces").len() == 1);
    assert_eq!(refused(&setup, "malformed"), wrong.len());
    sluice.stop();
}
