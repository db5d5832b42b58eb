//! Which exchange goes onto which span, and how.

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sluice_pipeline::exchange::record;

use super::{super::*, world::*};

const TRACE: [u8; 16] = [7; 16];
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn contents_of(world: &World, id: u64) -> Vec<String> {
    world.events().into_iter().filter(|(found, _)| *found == id).flat_map(|(_, contents)| contents).collect()
}

#[tokio::test(start_paused = true)]
async fn a_span_whose_exchange_is_there_leaves_at_once_with_its_events() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    let (start, end) = (ago(3_000), ago(2_000));
    let exchange = Exchange::new("client", TRACE, 1, start + 100, start + 900)
        .with(text(record::METHOD, "GET"))
        .with(text(record::PATH, "/a"))
        .with(int(record::STATUS, 503))
        .with(int(record::REQUEST_SIZE, 100))
        .with(int(record::RESPONSE_SIZE, 200))
        .with(text(record::RESPONSE_CONTENT, "the response"))
        .with(pair(record::SYSCALLS, array(vec![syscall("Writev", start + 105, start + 106)])))
        .called("the request");
    world.exchanges(vec![exchange.of(&host)]).await;
    let original = span(CLIENT, TRACE, 1, 0, start, end).with(text("kept", "as it is"));
    world.spans(vec![host.reports(vec![original.clone(), span(1, TRACE, 9, 1, start, end)])]).await;
    let left = world.left();
    assert_eq!(left.len(), 2);
    let joined = &left[0].1;
    assert_eq!(Span { events: Vec::new(), ..joined.clone() }, original);
    let shown: Vec<_> =
        joined.events.iter().map(|event| (event.name.as_str(), event.time_unix_nano - start)).collect();
    assert_eq!(
        shown,
        [("HTTP Request Sampling", 100), ("Syscall Writev", 105), ("HTTP Response Sampling", 500)]
    );
    assert_eq!(
        joined.events[0].attributes,
        [
            int("sluice.event.end_unix_nano", start + 110),
            text("sluice.event.direction", "outbound"),
            text("sluice.event.role", "client"),
            int("sluice.event.sequence", 0),
            int("sluice.event.size", 100),
            text("http.request.method", "GET"),
            text("url.path", "/a"),
            text("sluice.event.content", "the request"),
        ]
    );
    assert_eq!(
        joined.events[1].attributes,
        [
            int("sluice.event.end_unix_nano", start + 106),
            text("sluice.event.direction", "outbound"),
            text("sluice.event.role", "client"),
            int("sluice.event.sequence", 1),
            int("sluice.event.size", 7),
            int("sluice.event.rtt_micro", 40),
            int("sluice.event.count", 1),
        ]
    );
    assert_eq!(
        joined.events[2].attributes,
        [
            int("sluice.event.end_unix_nano", start + 900),
            text("sluice.event.direction", "inbound"),
            text("sluice.event.role", "client"),
            int("sluice.event.sequence", 2),
            int("sluice.event.size", 200),
            int("http.response.status_code", 503),
            text("sluice.event.content", "the response"),
        ]
    );
    wait(60_000).await;
    assert_eq!((world.left().len(), world.unjoined().len()), (2, 0), "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_span_waits_for_its_exchange_but_no_longer_than_it_may() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    let (start, end) = (ago(100), ago(10));
    let group = host.reports(vec![
        span(CLIENT, TRACE, 1, 0, start, end),
        span(1, TRACE, 2, 1, start, end),
        span(CLIENT, TRACE, 3, 0, start, end),
        span(CLIENT, TRACE, 4, 0, ago(9_000), ago(8_000)),
    ]);
    let began = tokio::time::Instant::now();
    world.spans(vec![group.clone()]).await;
    let ids = |world: &World| world.events().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(&world), [2, 4], "spans that are no request, or old, do not wait");
    wait(100).await;
    world.exchanges(vec![Exchange::new("client", TRACE, 1, start, end).called("x").of(&host)]).await;
    wait(1).await;
    assert_eq!((ids(&world), contents_of(&world, 1)), (vec![2, 4, 1], vec!["x".to_owned()]));
    wait(1_000).await;
    assert_eq!(ids(&world), [2, 4, 1, 3]);
    let last = world.traces.taken.lock().unwrap().last().unwrap().0 - began.into_std();
    assert!((400..=500).contains(&last.as_millis()), "{last:?}");
    for (left, _) in world.left() {
        assert_eq!(left.resource, group.resource);
        assert_eq!(left.schema_url, group.schema_url);
        assert_eq!(
            (&left.scope_spans[0].scope, &left.scope_spans[0].schema_url),
            (&group.scope_spans[0].scope, &group.scope_spans[0].schema_url)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_comes_later_leaves_as_a_partial_span_or_stays_unjoined() {
    for late_matches in [LateMatches::PartialSpan, LateMatches::Drop] {
        let world = World::new(|config| config.late_matches = late_matches);
        let host = Host::pid("h", 1).with("service.name", "shop");
        let (start, end) = (ago(3_000), ago(2_000));
        let group = host.reports(vec![shared(span(SERVER, TRACE, 1, 5, start + 10, end))]);
        world.spans(vec![group.clone()]).await;
        world.exchanges(vec![Exchange::new("server", TRACE, 1, start, end).called("x").of(&host)]).await;
        wait(1).await;
        let left = world.left();
        if late_matches == LateMatches::Drop {
            assert_eq!((left.len(), world.unjoined().len()), (1, 1));
            continue;
        }
        assert_eq!((left.len(), world.unjoined().len()), (2, 0));
        let (resource, partial) = left.last().unwrap();
        assert_eq!(resource.resource, group.resource);
        assert_eq!(
            Span { events: vec![], ..partial.clone() },
            Span {
                name: String::new(),
                start_time_unix_nano: 0,
                end_time_unix_nano: 0,
                attributes: vec![],
                ..shared(span(SERVER, TRACE, 1, 5, 0, 0))
            }
            .with(int("sluice.span.partial", 0))
            .with(pair(
                "zipkin.shared",
                opentelemetry_proto::tonic::common::v1::any_value::Value::BoolValue(true)
            ))
        );
        assert_eq!(contents(partial), ["x"]);
    }
}

/// Sends exchanges, waits for them to settle, then sends spans of long ago, and returns which content is on which span.
async fn joined(exchanges: Vec<(Exchange, Host)>, spans: Vec<(Span, Host)>) -> Vec<(u64, Vec<String>)> {
    let forwards = joined_in(&exchanges, &spans).await;
    let (mut exchanges, mut spans) = (exchanges, spans);
    exchanges.reverse();
    spans.reverse();
    let mut backwards = joined_in(&exchanges, &spans).await;
    backwards.reverse();
    let sorted = |all: &[(u64, Vec<String>)]| {
        let mut all = all.to_vec();
        all.iter_mut().for_each(|(_, contents)| contents.sort());
        all
    };
    assert_eq!(sorted(&forwards), sorted(&backwards), "the order does not matter");
    forwards
}

async fn joined_in(exchanges: &[(Exchange, Host)], spans: &[(Span, Host)]) -> Vec<(u64, Vec<String>)> {
    let world = World::new(|config| config.late_matches = LateMatches::Drop);
    world.exchanges(exchanges.iter().map(|(exchange, host)| exchange.clone().of(host)).collect()).await;
    wait(500).await;
    world.spans(spans.iter().map(|(span, host)| host.reports(vec![span.clone()])).collect()).await;
    wait(60_000).await;
    let events = world.events();
    let joined: usize = events.iter().map(|(_, contents)| contents.len()).sum();
    assert_eq!(joined + world.unjoined().len(), exchanges.len(), "each exchange leaves once");
    events
}

fn on(id: u64, names: &[&str]) -> (u64, Vec<String>) {
    (id, names.iter().map(|name| (*name).to_owned()).collect())
}

/// Milliseconds of one request, long past.
fn at(milliseconds: u64) -> u64 {
    1_700_000_000_000_000_000 + milliseconds * 1_000_000
}

#[tokio::test(start_paused = true)]
async fn each_side_goes_onto_its_own_span() {
    let (front, back) = (Host::pid("h", 1), Host::pid("h", 2));
    let found = joined(
        vec![
            (Exchange::new("client", TRACE, 1, at(11), at(89)).called("sent"), front.clone()),
            (Exchange::new("server", TRACE, 1, at(20), at(80)).called("received"), back.clone()),
        ],
        vec![
            (span(CLIENT, TRACE, 1, 5, at(10), at(90)), front.clone()),
            (span(SERVER, TRACE, 2, 1, at(21), at(79)), back.clone()),
            (span(CLIENT, TRACE, 3, 2, at(30), at(40)), back.clone()),
        ],
    )
    .await;
    assert_eq!(found, [on(1, &["sent"]), on(2, &["received"]), on(3, &[])]);
    let found = joined(
        vec![
            (Exchange::new("client", TRACE, 1, at(11), at(89)).called("sent"), front.clone()),
            (Exchange::new("server", TRACE, 1, at(20), at(80)).called("received"), back.clone()),
        ],
        vec![
            (span(CLIENT, TRACE, 1, 5, at(10), at(90)), front),
            (shared(span(SERVER, TRACE, 1, 5, at(21), at(79))), back),
        ],
    )
    .await;
    assert_eq!(found, [on(1, &["sent"]), on(1, &["received"])], "B3 spans that share an id");
}

#[tokio::test(start_paused = true)]
async fn another_process_is_never_joined() {
    let exchange = |name: &str| Exchange::new("server", TRACE, 1, at(20), at(80)).called(name);
    let server = span(SERVER, TRACE, 2, 1, at(21), at(79));
    let found = joined(
        vec![(exchange("nginx"), Host::pid("h", 3)), (exchange("elsewhere"), Host::pid("i", 2))],
        vec![(server.clone(), Host::pid("h", 2))],
    )
    .await;
    assert_eq!(found, [on(2, &[])]);
    let nowhere = exchange("another address").ends(("10.0.0.1", 80), ("10.0.0.9", 999));
    let found = joined(
        vec![(nowhere, Host::pid("h", 3))],
        vec![(server.clone().with(text("net.host.ip", "10.0.0.2")), Host::unknown())],
    )
    .await;
    assert_eq!(found, [on(2, &[])]);
    let port = exchange("another port").ends(("10.0.0.1", 80), ("10.0.0.9", 999));
    let at_port = server.with(text("net.host.ip", "10.0.0.1")).with(int("net.host.port", 8080));
    assert_eq!(joined(vec![(port, Host::pid("h", 3))], vec![(at_port, Host::unknown())]).await, [on(2, &[])]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_copies_headers_is_told_from_the_server_behind_it() {
    let proxied = |start, end| Exchange::new("server", TRACE, 1, at(start), at(end));
    let nginx = proxied(20, 80).called("nginx").ends(("10.0.0.1", 80), ("10.0.0.9", 999));
    let app = proxied(21, 79).called("app").ends(("10.0.0.1", 8080), ("10.0.0.1", 998));
    let server = span(SERVER, TRACE, 2, 1, at(22), at(78));
    let both = vec![(nginx.clone(), Host::pid("h", 2)), (app.clone(), Host::pid("h", 3))];
    let by_process = joined(both.clone(), vec![(server.clone(), Host::pid("h", 3))]).await;
    assert_eq!(by_process, [on(2, &["app"])]);
    let addressed = server.clone().with(text("net.host.ip", "10.0.0.1"));
    let by_port = addressed.clone().with(int("net.host.port", 8080));
    assert_eq!(joined(both.clone(), vec![(by_port, Host::unknown())]).await, [on(2, &["app"])]);
    assert_eq!(joined(both.clone(), vec![(addressed, Host::unknown())]).await, [on(2, &[])], "ambiguous");
    assert_eq!(joined(both, vec![(server.clone(), Host::unknown())]).await, [on(2, &[])], "ambiguous");
    let alone = vec![(app, Host::pid("h", 3))];
    assert_eq!(
        joined(alone.clone(), vec![(server, Host::unknown())]).await,
        [on(2, &["app"])],
        "the only one"
    );
    let outside = span(SERVER, TRACE, 2, 1, at(22), at(99));
    assert_eq!(joined(alone, vec![(outside, Host::unknown())]).await, [on(2, &[])], "the times do not nest");
}

#[tokio::test(start_paused = true)]
async fn the_connection_tells_a_client_from_the_proxy_that_copies_its_header() {
    let sent = |start, end| Exchange::new("client", TRACE, 1, at(start), at(end));
    let client = sent(11, 89).called("client").ends(("127.0.0.1", 1_000), ("127.0.0.1", 80));
    let nginx = sent(21, 79).called("nginx").ends(("127.0.0.1", 1_001), ("127.0.0.1", 8080));
    let both = vec![(client, Host::pid("h", 1)), (nginx.clone(), Host::pid("h", 2))];
    let bare = span(CLIENT, TRACE, 1, 0, at(10), at(90));
    assert_eq!(joined(both.clone(), vec![(bare.clone(), Host::unknown())]).await, [on(1, &[])], "ambiguous");
    let url = bare.with(text("http.url", "http://localhost/a"));
    assert_eq!(joined(both, vec![(url.clone(), Host::unknown())]).await, [on(1, &["client"])]);
    let only_nginx = vec![(nginx, Host::pid("h", 2))];
    assert_eq!(joined(only_nginx, vec![(url, Host::unknown())]).await, [on(1, &[])]);
}

#[tokio::test(start_paused = true)]
async fn attempts_under_one_span_are_its_own_and_servers_tell_theirs_apart() {
    let (front, back) = (Host::pid("h", 1), Host::pid("h", 2));
    let attempt = |role: &str, name: &str, start, end, status| {
        Exchange::new(role, TRACE, 1, at(start), at(end)).called(name).with(int(record::STATUS, status))
    };
    let found = joined(
        vec![
            (attempt("client", "sent first", 11, 40, 503), front.clone()),
            (attempt("client", "sent again", 41, 89, 200), front.clone()),
            (attempt("server", "received first", 12, 39, 503), back.clone()),
            (attempt("server", "received again", 42, 88, 200), back.clone()),
        ],
        vec![
            (span(CLIENT, TRACE, 1, 0, at(10), at(90)).with(int("http.status_code", 200)), front),
            (span(SERVER, TRACE, 2, 1, at(13), at(38)), back.clone()),
            (span(SERVER, TRACE, 3, 1, at(43), at(87)), back.clone()),
        ],
    )
    .await;
    assert_eq!(
        found,
        [on(1, &["sent first", "sent again"]), on(2, &["received first"]), on(3, &["received again"])]
    );
    let quick = |name: &str, status| (attempt("server", name, 12, 13, status), back.clone());
    let server = span(SERVER, TRACE, 3, 1, at(12), at(13)).with(int("http.response.status_code", 200));
    assert_eq!(joined(vec![quick("failed", 503)], vec![(server.clone(), back.clone())]).await, [on(3, &[])]);
    assert_eq!(joined(vec![quick("worked", 200)], vec![(server, back.clone())]).await, [on(3, &["worked"])]);
}

#[tokio::test(start_paused = true)]
async fn a_servers_span_may_end_before_its_answer_is_sent_if_there_is_no_other() {
    let back = Host::pid("h", 2);
    let answered = |name: &str, start, response, end| {
        let exchange = Exchange::new("server", TRACE, 1, at(start), at(end)).called(name);
        (exchange.with(int(record::RESPONSE_START, at(response))), back.clone())
    };
    let spans = |end| vec![(span(SERVER, TRACE, 2, 1, at(23), at(end)), back.clone())];
    assert_eq!(joined(vec![answered("only", 22, 240, 241)], spans(33)).await, [on(2, &["only"])]);
    assert_eq!(joined(vec![answered("much later", 22, 290, 291)], spans(33)).await, [on(2, &[])]);
    // The first attempt was still at work when the client sent a second one, whose span alone is known.
    let attempts = || vec![answered("first", 10, 90, 91), answered("second", 22, 33, 34)];
    assert_eq!(joined(attempts(), spans(33)).await, [on(2, &["second"])]);
    // Either may be the one that this span is of.
    let attempts = || vec![answered("first", 22, 90, 91), answered("second", 23, 95, 96)];
    assert_eq!(joined(attempts(), spans(33)).await, [on(2, &[])]);
    // A stranger may have sent the header on, and been that quick.
    let stranger = Host::unknown();
    let spans = vec![(span(SERVER, TRACE, 2, 1, at(23), at(33)), stranger)];
    assert_eq!(joined(vec![answered("only", 22, 60, 61)], spans).await, [on(2, &[])]);
}

#[tokio::test(start_paused = true)]
async fn trace_ids_cut_to_64_bits_match_where_the_process_agrees() {
    let mut cut = TRACE;
    cut[..8].fill(0);
    let mut other = TRACE;
    other[..8].fill(1);
    let host = Host::pid("h", 1);
    for (trace_id, reporter, expected) in
        [(cut, host.clone(), vec!["x"]), (cut, Host::unknown(), vec![]), (other, host.clone(), vec![])]
    {
        let exchange = Exchange::new("client", trace_id, 1, at(11), at(89)).called("x");
        let found = joined(
            vec![(exchange, host.clone())],
            vec![(span(CLIENT, TRACE, 1, 0, at(10), at(90)), reporter)],
        );
        assert_eq!(found.await, [on(1, &expected)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_header_counts_where_the_process_agrees() {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    let id = "07070707070707070707070707070707";
    let contexts = [
        "b3:1:2".to_owned(),
        "w3c:00000000000000000000000000000009:0000000000000009".to_owned(),
        format!("b3multi:{id}:1"),
    ];
    let contexts = contexts.map(|text| AnyValue { value: Some(Value::StringValue(text)) }).to_vec();
    let exchange = |contexts: Vec<AnyValue>| {
        Exchange::new("client", [9; 16], 9, at(11), at(89))
            .called("x")
            .with(pair(record::TRACE_CONTEXTS, array(contexts)))
    };
    let host = Host::pid("h", 1);
    let client = span(CLIENT, TRACE, 1, 0, at(10), at(90));
    let second = contexts[2..].to_vec();
    let found =
        joined(vec![(exchange(second.clone()), host.clone())], vec![(client.clone(), host.clone())]).await;
    assert_eq!(found, [on(1, &["x"])]);
    let found = joined(vec![(exchange(second), host.clone())], vec![(client.clone(), Host::unknown())]).await;
    assert_eq!(found, [on(1, &[])]);
    let found = joined(vec![(exchange(contexts), host.clone())], vec![(client, host)]).await;
    assert_eq!(found, [on(1, &[])], "of several others the first counts");
}

/// Two proxies on one host, whose spans name no process and whose applications only copy headers:
/// app -> envoy A -> envoy B -> server -> envoy B -> …
#[tokio::test(start_paused = true)]
async fn in_a_mesh_proxies_have_the_events_though_applications_copy_headers() {
    let envoy = |pid| Host::pid("h", pid).with("process.executable.name", "envoy");
    let python = Host::pid("h", 9).with("process.executable.name", "python3");
    let proxied = |span: Span, upstream: &str| {
        span.with(text("component", "proxy"))
            .with(text("upstream_address", upstream))
            .with(text("net.host.ip", "172.17.0.2"))
    };
    let exchange = |role: &str, id: u64, name: &str, times: (u64, u64), local: u64, peer: u64| {
        Exchange::new(role, TRACE, id, at(times.0), at(times.1))
            .called(name)
            .ends(("127.0.0.1", local), ("127.0.0.1", peer))
    };
    for is_shared in [true, false] {
        // The id that envoy B sends on: the shared one, or that of its own span.
        let id = if is_shared { 1 } else { 2 };
        let inner = if is_shared {
            shared(span(SERVER, TRACE, 1, 0, at(21), at(79)))
        } else {
            span(SERVER, TRACE, 2, 1, at(21), at(79))
        };
        let found = joined(
            vec![
                (exchange("client", 1, "A to B", (11, 89), 40_000, 2_000), envoy(1)),
                (exchange("server", 1, "B from A", (20, 80), 2_000, 40_000), envoy(2)),
                (exchange("client", id, "B to server", (25, 75), 40_001, 8_000), envoy(2)),
                (exchange("server", id, "server from B", (26, 74), 8_000, 40_001), python.clone()),
                (exchange("client", id, "server to B", (40, 60), 40_002, 2_001), python.clone()),
                (exchange("server", id, "B from server", (41, 59), 2_001, 40_002), envoy(2)),
            ],
            vec![
                (proxied(span(CLIENT, TRACE, 1, 0, at(10), at(90)), "127.0.0.1:2000"), Host::unknown()),
                (proxied(inner, "127.0.0.1:8000"), Host::unknown()),
                (proxied(span(CLIENT, TRACE, 3, id, at(42), at(58)), "127.0.0.1:3000"), Host::unknown()),
            ],
        )
        .await;
        let names: Vec<Vec<String>> = found
            .into_iter()
            .map(|(_, mut names)| {
                names.sort();
                names
            })
            .collect();
        assert_eq!(names[0], ["A to B"]);
        assert_eq!(names[1], ["B from A", "B to server"]);
        assert_eq!(names[2], ["B from server"]);
    }
}

#[tokio::test(start_paused = true)]
async fn spans_that_never_pass_are_told_by_the_header_where_that_is_asked_for() {
    for (unseen_spans, expected) in [
        (UnseenSpans::Unjoined, vec![]),
        (UnseenSpans::Outbound, vec![1]),
        (UnseenSpans::OutboundAndShared, vec![1, 3]),
    ] {
        let world = World::new(|config| config.unseen_spans = unseen_spans);
        let host = Host::pid("h", 1);
        let b3 = |role: &str, id| {
            Exchange::new(role, TRACE, id, at(1), at(2)).with(text(record::TRACE_FORMAT, "b3"))
        };
        world
            .exchanges(vec![
                Exchange::new("client", TRACE, 1, at(1), at(2)).called("x").of(&host),
                Exchange::new("server", TRACE, 2, at(1), at(2)).of(&host),
                b3("server", 3).of(&host),
                b3("client", 4).of(&host),
                b3("client", 4).of(&Host::pid("h", 2)),
            ])
            .await;
        wait(29_000).await;
        assert!(world.left().is_empty());
        wait(1_100).await;
        let left = world.left();
        assert_eq!(left.iter().map(|(_, span)| id_of(span)).collect::<Vec<_>>(), expected);
        assert_eq!(world.unjoined().len(), 5 - expected.len());
        if let Some((group, span)) = left.first() {
            assert_eq!((group.resource.clone(), span.kind, contents(span)), (None, 0, vec!["x".to_owned()]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_events_asked_for_are_attached() {
    let world = World::new(|config| config.events = vec![AttachedEvent::Response]);
    let host = Host::pid("h", 1);
    world.exchanges(vec![Exchange::new("client", TRACE, 1, at(11), at(89)).of(&host)]).await;
    world.spans(vec![host.reports(vec![span(CLIENT, TRACE, 1, 0, at(10), at(90))])]).await;
    let names: Vec<_> = world.left()[0].1.events.iter().map(|event| event.name.clone()).collect();
    assert_eq!(names, ["HTTP Response Sampling"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_exchange_passes_untouched() {
    let world = World::new(|_| {});
    let batch =
        span_batch(vec![Host::unknown().reports(vec![span(CLIENT, TRACE, 1, 0, ago(3_000), ago(2_000))])]);
    let address = batch.chunks()[0].bytes().as_ptr();
    world.offer(batch).await;
    assert_eq!(
        world.traces.taken.lock().unwrap()[0].1.chunks()[0].bytes().as_ptr(),
        address,
        "the same bytes"
    );
    let host = Host::pid("h", 1);
    let mut plain = Exchange::new("client", TRACE, 1, at(1), at(2));
    plain.0.event_name = "another".to_owned();
    let batch = log_batch(vec![plain.clone().of(&host)]);
    let address = batch.chunks()[0].bytes().as_ptr();
    world.offer(batch).await;
    assert_eq!(world.logs.taken.lock().unwrap()[0].1.chunks()[0].bytes().as_ptr(), address, "the same bytes");
    let mut untraced = Exchange::new("client", TRACE, 1, at(1), at(2));
    untraced.0.trace_id.clear();
    let skywalking = Exchange::new("client", TRACE, 1, at(1), at(2)).with(text(record::TRACE_FORMAT, "sw8"));
    let waiting = Exchange::new("client", TRACE, 1, at(1), at(2));
    let all = [&plain, &waiting, &untraced, &skywalking];
    world.exchanges(all.iter().map(|exchange| (*exchange).clone().of(&host)).collect()).await;
    let passed: Vec<_> = world.unjoined()[1..].iter().map(Message::encode_to_vec).collect();
    assert_eq!(passed, [plain.0.encode_to_vec(), untraced.0.encode_to_vec(), skywalking.0.encode_to_vec()]);
}
