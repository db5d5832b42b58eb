//! Spans, as the semantic conventions have them.

use super::*;

#[test]
fn a_span_reads_as_the_semantic_conventions_say() {
    let mut exit = span(1, 0);
    exit.operation_name = "GET /orders".to_owned();
    exit.peer = "10.0.0.7:8080".to_owned();
    exit.span_type = v3::SpanType::Exit as i32;
    exit.span_layer = v3::SpanLayer::Http as i32;
    exit.component_id = 7002;
    exit.is_error = true;
    (exit.start_time, exit.end_time) = (1_700_000_000_001, 1_700_000_000_005);
    exit.tags = vec![
        pair("url", "http://orders/1"),
        pair("http.status_code", "503"),
        pair("http.method", "GET"),
        pair("server.address", "an agent's own"),
        pair("sw8.segment_id", "too"),
    ];
    exit.logs = vec![v3::Log {
        time: 1_700_000_000_002,
        data: vec![
            pair("event", "error"),
            pair("error.kind", "IOError"),
            pair("message", "m"),
            pair("stack", "s"),
        ],
    }];
    let spans =
        spans_of(&[segment("948476b9bfa74a4aab041159100827ab", vec![exit, span(0, -1)])], Rules::Distinct);
    let (exit, root) = (&spans[0], &spans[1]);
    assert_eq!(exit.trace_id, root.trace_id);
    assert_eq!(exit.parent_span_id, root.span_id);
    assert!(root.parent_span_id.is_empty() && root.status.is_none());
    assert_eq!((exit.kind, root.kind), (3, 2));
    assert_eq!(exit.status.as_ref().unwrap().code, 2);
    assert_eq!(exit.end_time_unix_nano - exit.start_time_unix_nano, 4_000_000);
    let attributes = &exit.attributes;
    assert_eq!(text(attributes, "url.full"), "http://orders/1");
    assert_eq!(int(attributes, "http.response.status_code"), 503);
    assert_eq!(text(attributes, "http.request.method"), "GET");
    assert_eq!(
        (text(attributes, "server.address").as_str(), int(attributes, "server.port")),
        ("10.0.0.7", 8080)
    );
    assert_eq!(text(attributes, "skywalking.tag.server.address"), "an agent's own");
    assert_eq!(text(attributes, "skywalking.tag.sw8.segment_id"), "too");
    assert_eq!(text(attributes, "skywalking.span_layer"), "Http");
    assert_eq!(int(attributes, "skywalking.component_id"), 7002);
    let event = &exit.events[0];
    assert_eq!(event.name, "exception");
    assert_eq!(text(&event.attributes, "exception.type"), "IOError");
    assert_eq!(text(&event.attributes, "exception.stacktrace"), "s");
}

#[test]
fn a_reference_is_a_parent_and_a_link() {
    const TRACE: &str = "092ad022e4c511f189a702fc00000001";
    let rules = Rules::Distinct;
    let refers = |references: Vec<v3::SegmentReference>, rules| {
        let mut root = span(0, -1);
        root.refs = references;
        spans_of(&[segment("own", vec![root])], rules).remove(0)
    };
    let parent = rules.span_id("parent", 3).to_vec();
    let one = refers(vec![reference(TRACE, "parent", 3)], rules);
    assert_eq!((one.parent_span_id, one.links[0].span_id.clone()), (parent.clone(), parent.clone()));
    let several = refers(vec![reference("another", "x", 1), reference(TRACE, "parent", 3)], rules);
    assert_eq!(several.parent_span_id, parent, "the one in its trace");
    assert_eq!(several.links[0].trace_id, rules.trace_id("another"));
    assert!(refers(vec![reference("another", "x", 1)], rules).parent_span_id.is_empty());
    assert!(refers(vec![reference(TRACE, "own", 0)], rules).parent_span_id.is_empty(), "not itself");
    let contrib = refers(vec![reference(TRACE, "a", 1), reference(TRACE, "b", 1)], Rules::Contrib);
    assert!(contrib.parent_span_id.is_empty(), "as the Collector has it");
}

#[test]
fn a_span_that_names_itself_is_a_root() {
    let spans = spans_of(&[segment("s", vec![span(5, 5), span(6, 5)])], Rules::Distinct);
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
}

#[test]
fn absurd_times_are_moved_and_reversed_ones_stay() {
    let mut absurd = span(0, -1);
    (absurd.start_time, absurd.end_time) = (-5, i64::MAX);
    let mut reversed = span(1, 0);
    (reversed.start_time, reversed.end_time) = (9, 4);
    let spans = spans_of(&[segment("s", vec![absurd, reversed])], Rules::Distinct);
    assert_eq!((spans[0].start_time_unix_nano, spans[0].end_time_unix_nano), (0, 18_446_744_073_709_000_000));
    assert_eq!((spans[1].start_time_unix_nano, spans[1].end_time_unix_nano), (9_000_000, 4_000_000));
}
