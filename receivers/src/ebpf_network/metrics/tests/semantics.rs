//! Series: what tells them apart, when they begin and end, and what overflows.

use super::*;
use crate::ebpf_network::{
    exchange::{Ending, Exchange, Message, Request, Response},
    socket::Direction,
    trace_context::Contexts,
};

const DURATION: &str = "http.server.request.duration";
const REQUESTS: &str = "sluice.http.server.requests";

fn delta() -> MetricsConfig {
    MetricsConfig { temporality: Temporality::Delta, ..MetricsConfig::default() }
}

fn expiring(intervals: u64) -> MetricsConfig {
    MetricsConfig {
        expiration: std::time::Duration::from_secs(15 * intervals).into(),
        ..MetricsConfig::default()
    }
}

#[test]
fn an_exchange_is_told_with_its_process_and_peer() {
    let config = MetricsConfig { paths: vec!["/users/{id}".to_owned()], ..MetricsConfig::default() };
    let mut aggregator = aggregator(&config);
    let process = aggregator.process(&SERVER);
    let peer = aggregator.process(&CLIENT);
    let pair = aggregator.pair(process, Role::Server, &ends(8080, [10, 0, 0, 7], 55_555), Some(peer));
    aggregator.http(&pair, &get("/users/17?token=x", 500));
    let told = collect(&mut aggregator, 2_000);

    let resource = map(&[
        ("service.name", "nginx"),
        ("host.name", "box"),
        ("process.pid", "#17"),
        ("sluice.process.namespace_pid", "#1"),
        ("process.executable.name", "nginx"),
        ("process.executable.path", "/usr/sbin/nginx"),
        ("sluice.process.namespace_host_name", "web-1"),
        ("container.id", "c0ffee"),
        ("k8s.pod.uid", "pod-1"),
    ]);
    let own = map(&[
        ("http.request.method", "GET"),
        ("http.response.status_code", "#500"),
        ("error.type", "500"),
        ("url.scheme", "http"),
        ("url.template", "/users/{id}"),
        ("network.protocol.version", "1.1"),
        ("server.port", "#8080"),
        ("network.peer.address", "10.0.0.7"),
        ("sluice.peer.process.executable.name", "curl"),
    ]);
    assert_eq!(told.len(), 7);
    let point = &told[&(resource, DURATION.to_owned(), own)];
    let Value::Histogram { count: 1, sum, buckets, bounds } = &point.value else { panic!("{point:?}") };
    assert_eq!((*sum, &bounds[..3], &buckets[..3]), (0.007, &[0.005, 0.01, 0.025][..], &[0, 1, 0][..]));
    assert_eq!((point.start, point.time), (1_000, 2_000));
}

#[test]
fn a_client_is_told_whom_it_asked() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let process = aggregator.process(&CLIENT);
    let pair = aggregator.pair(process, Role::Client, &ends(55_555, [10, 0, 0, 9], 80), None);
    aggregator.http(&pair, &get("/", 404));
    let told = collect(&mut aggregator, 2_000);
    let [(own, _)] = points(&told, "http.client.request.duration")[..] else { panic!("{told:?}") };
    assert_eq!((&*own["server.address"], &*own["server.port"]), ("10.0.0.9", "#80"));
    assert_eq!(own["error.type"], "404", "4xx is an error of a client");
    assert!(!own.contains_key("url.template"));
}

#[test]
fn an_address_of_ipv4_in_ipv6_is_one_of_ipv4() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let process = aggregator.process(&SERVER);
    let ends = Ends { local: "[::1]:8080".parse().unwrap(), peer: "[::ffff:10.0.0.7]:1234".parse().unwrap() };
    let mapped = aggregator.pair(process, Role::Server, &ends, None);
    let plain = server_pair(&mut aggregator);
    assert_eq!(mapped, plain);
}

#[test]
fn only_what_an_attribute_tells_makes_a_series() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let process = aggregator.process(&SERVER);
    for (number, method) in ["GET", "get", "BREW", "GET "].into_iter().enumerate() {
        let port = 40_000 + u16::try_from(number).unwrap();
        let pair = aggregator.pair(process, Role::Server, &ends(8080, [10, 0, 0, 7], port), None);
        let path = format!("/{number}");
        aggregator.http(&pair, &HttpObservation { method, ..get(&path, 200) });
        aggregator.tcp(&pair, TcpObservation::Accepted);
    }
    let told = collect(&mut aggregator, 2_000);
    let methods: Vec<_> = points(&told, REQUESTS)
        .iter()
        .map(|(own, point)| (&*own["http.request.method"], &point.value))
        .collect();
    assert_eq!(methods, [("GET", &Value::Sum(1)), ("_OTHER", &Value::Sum(3))]);
    assert_eq!(
        points(&told, "sluice.tcp.connections.accepted").len(),
        1,
        "the client's port makes no series"
    );
    assert_eq!(aggregator.series(), 3);
}

#[test]
fn what_was_not_seen_is_not_measured_but_counted() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let pair = server_pair(&mut aggregator);
    let lost = HttpObservation {
        status: None,
        duration: None,
        time_to_first_byte: None,
        response: None,
        ..get("/", 1)
    };
    aggregator.http(&pair, &lost);
    aggregator.http(&pair, &HttpObservation { connection_closed: true, ..lost });
    for (status, closed) in [(42, false), (42, true), (999, true)] {
        aggregator.http(&pair, &HttpObservation { connection_closed: closed, ..get("/", status) });
    }
    let told = collect(&mut aggregator, 2_000);
    let errors: Vec<_> = points(&told, REQUESTS)
        .iter()
        .map(|(own, point)| (own.get("error.type").map(String::as_str), point.value.clone()))
        .collect();
    let expected =
        [(Some("_OTHER"), Value::Sum(1)), (Some("connection_closed"), Value::Sum(3)), (None, Value::Sum(1))];
    assert_eq!(errors, expected);
    assert_eq!((total(&told, DURATION), total(&told, "http.server.response.body.size")), (3, 3));
    assert!(told.keys().all(|(.., own)| !own.contains_key("http.response.status_code")));
}

#[test]
fn exchanges_become_observations() {
    let message = |start, end, size| Message {
        head: b"",
        body: b"",
        head_size: 10,
        body_size: size,
        wire_size: size + 10,
        start,
        end,
    };
    let contexts = Contexts::default();
    let exchange = Exchange {
        role: Role::Server,
        request: Request {
            method: "POST",
            target: "/x",
            minor_version: 0,
            contexts: &contexts,
            host: "",
            user_agent: "",
            message: message(100, 150, 5),
        },
        response: Some(Response { status: 204, minor_version: 1, message: message(170, 190, 7) }),
        ending: Ending::Complete,
        truncated: false,
        calls: &[],
    };
    let observed = HttpObservation::of(&exchange);
    assert_eq!(
        (observed.duration, observed.time_to_first_byte, observed.status),
        (Some(90), Some(70), Some(204))
    );
    assert_eq!(observed.request, Some(Sizes { body: 5, wire: 15 }));
    assert_eq!(
        (observed.response, observed.version),
        (Some(Sizes { body: 7, wire: 17 }), HttpVersion::Http10)
    );

    let truncated = HttpObservation::of(&Exchange { truncated: true, ..exchange });
    assert_eq!((truncated.request, truncated.response, truncated.duration), (None, None, Some(90)));
    let lost = HttpObservation::of(&Exchange { ending: Ending::Lost, ..exchange });
    assert_eq!((lost.duration, lost.response, lost.time_to_first_byte), (None, None, Some(70)));
    let closed =
        HttpObservation::of(&Exchange { ending: Ending::ConnectionClosed, response: None, ..exchange });
    assert_eq!((closed.duration, closed.status, closed.connection_closed), (Some(50), None, true));
}

#[test]
fn cumulative_numbers_grow_from_one_start() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let pair = server_pair(&mut aggregator);
    for (now, expected) in [(2_000, 1), (3_000, 2), (4_000, 3)] {
        aggregator.http(&pair, &get("/", 200));
        let told = collect(&mut aggregator, now);
        let [(_, point)] = points(&told, REQUESTS)[..] else { panic!("{told:?}") };
        assert_eq!(point, &Point { start: 1_000, time: now, value: Value::Sum(expected) });
    }
    assert_eq!(total(&collect(&mut aggregator, 5_000), REQUESTS), 3, "it is told also when nothing came");
}

#[test]
fn a_series_begins_with_the_interval_of_its_first_observation() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let pair = server_pair(&mut aggregator);
    assert!(collect(&mut aggregator, 2_000).is_empty());
    aggregator.http(&pair, &get("/", 200));
    assert_eq!(points(&collect(&mut aggregator, 3_000), REQUESTS)[0].1.start, 2_000);
}

#[test]
fn delta_numbers_are_those_of_the_interval() {
    let mut aggregator = aggregator(&delta());
    let pair = server_pair(&mut aggregator);
    aggregator.http(&pair, &get("/", 200));
    aggregator.http(&pair, &get("/", 200));
    let first = collect(&mut aggregator, 2_000);
    assert_eq!(points(&first, REQUESTS)[0].1, &Point { start: 1_000, time: 2_000, value: Value::Sum(2) });
    assert!(collect(&mut aggregator, 3_000).is_empty(), "nothing came");
    aggregator.http(&pair, &get("/", 200));
    let third = collect(&mut aggregator, 4_000);
    assert_eq!(points(&third, REQUESTS)[0].1, &Point { start: 3_000, time: 4_000, value: Value::Sum(1) });
}

#[test]
fn a_series_without_observations_expires_and_begins_anew() {
    let mut aggregator = aggregator(&expiring(2));
    let pair = server_pair(&mut aggregator);
    aggregator.http(&pair, &get("/", 200));
    for (now, told) in [(2_000, 1), (3_000, 1), (4_000, 1), (5_000, 0)] {
        assert_eq!(total(&collect(&mut aggregator, now), REQUESTS), told, "at {now}");
    }
    assert_eq!(aggregator.series(), 0);
    aggregator.http(&pair, &get("/", 200));
    let told = collect(&mut aggregator, 6_000);
    let point = points(&told, REQUESTS)[0].1;
    assert_eq!(
        point,
        &Point { start: 5_000, time: 6_000, value: Value::Sum(1) },
        "after all that was told of it"
    );
}

#[test]
fn series_need_not_expire() {
    let config = MetricsConfig { expiration: std::time::Duration::ZERO.into(), ..MetricsConfig::default() };
    let mut aggregator = aggregator(&config);
    let pair = server_pair(&mut aggregator);
    aggregator.tcp(&pair, TcpObservation::Accepted);
    for now in 2_000..2_100 {
        assert_eq!(collect(&mut aggregator, now).len(), 1);
    }
}

#[test]
fn an_aggregator_that_starts_anew_starts_its_series_anew() {
    let config = MetricsConfig::default();
    let mut first = aggregator(&config);
    let pair = server_pair(&mut first);
    first.http(&pair, &get("/", 200));
    let before = collect(&mut first, 2_000);
    let mut second = Aggregator::new(&config, "ebpf_network", "box", 2_500);
    let pair = server_pair(&mut second);
    second.http(&pair, &get("/", 200));
    let after = collect(&mut second, 3_000);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(after.values().all(|point| point.start == 2_500));
}

#[test]
fn a_clock_that_is_set_back_makes_no_point_end_before_it_starts() {
    for config in [MetricsConfig::default(), delta()] {
        let mut aggregator = aggregator(&config);
        let pair = server_pair(&mut aggregator);
        aggregator.http(&pair, &get("/", 200));
        assert!(!collect(&mut aggregator, 9_000).is_empty());
        aggregator.http(&pair, &get("/", 200));
        assert!(collect(&mut aggregator, 500).values().all(|point| (point.start, point.time) == (500, 500)));
    }
}

#[test]
fn a_released_process_is_told_once_more() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let pair = server_pair(&mut aggregator);
    aggregator.http(&pair, &get("/", 200));
    aggregator.release(pair.process);
    aggregator.http(&pair, &get("/", 200));
    assert_eq!(total(&collect(&mut aggregator, 2_000), REQUESTS), 2, "late observations still count");
    assert_eq!(aggregator.series(), 0);
    aggregator.http(&pair, &get("/", 200));
    assert!(collect(&mut aggregator, 3_000).is_empty(), "its handle is no one else's");
    let again = server_pair(&mut aggregator);
    assert_ne!(again, pair);
    aggregator.http(&pair, &get("/", 200));
    aggregator.http(&again, &get("/", 200));
    assert_eq!(points(&collect(&mut aggregator, 4_000), REQUESTS)[0].1.value, Value::Sum(1));
}

#[test]
fn a_process_is_registered_as_often_as_it_is_released() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let (first, second) = (server_pair(&mut aggregator), server_pair(&mut aggregator));
    assert_eq!(first, second);
    aggregator.release(first.process);
    aggregator.http(&first, &get("/", 200));
    assert_eq!(collect(&mut aggregator, 2_000).len(), 7);
    assert_eq!(collect(&mut aggregator, 3_000).len(), 7);
}

#[test]
fn a_peer_that_is_gone_makes_no_second_series() {
    let mut aggregator = aggregator(&expiring(1));
    let server = aggregator.process(&SERVER);
    let client = aggregator.process(&CLIENT);
    let ends = ends(8080, [127, 0, 0, 1], 55_555);
    let pair = aggregator.pair(server, Role::Server, &ends, Some(client));
    aggregator.release(client);
    assert!(collect(&mut aggregator, 2_000).is_empty());
    let plain = aggregator.pair(server, Role::Server, &ends, Some(client));
    aggregator.tcp(&pair, TcpObservation::Accepted);
    aggregator.tcp(&plain, TcpObservation::Accepted);
    let told = collect(&mut aggregator, 3_000);
    let [(own, point)] = points(&told, "sluice.tcp.connections.accepted")[..] else { panic!("{told:?}") };
    assert_eq!((own.get("sluice.peer.process.executable.name"), &point.value), (None, &Value::Sum(2)));
}

#[test]
fn peers_of_one_kind_are_one_series() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let server = aggregator.process(&SERVER);
    for pid in 100..150 {
        let client = aggregator.process(&Identity { pid, ..CLIENT });
        let pair = aggregator.pair(server, Role::Server, &ends(8080, [127, 0, 0, 1], 55_555), Some(client));
        aggregator.tcp(&pair, TcpObservation::Accepted);
        aggregator.release(client);
        assert_eq!(
            total(&collect(&mut aggregator, 2_000 + u64::from(pid)), "sluice.tcp.connections.accepted"),
            u64::from(pid) - 99
        );
    }
    assert_eq!(aggregator.series(), 1);
}

#[test]
fn what_needs_one_series_too_many_overflows() {
    let mut aggregator = aggregator(&MetricsConfig { max_series: 2, ..MetricsConfig::default() });
    let process = aggregator.process(&SERVER);
    for peer in 0..10 {
        let pair = aggregator.pair(process, Role::Server, &ends(8080, [10, 0, 0, peer], 1), None);
        aggregator.http(&pair, &get("/", 200));
        aggregator.tcp(&pair, TcpObservation::Reset(Direction::Inbound));
    }
    assert_eq!(aggregator.series(), 2);
    let told = collect(&mut aggregator, 2_000);
    let overflow =
        (map(&[("host.name", "box")]), REQUESTS.to_owned(), map(&[("otel.metric.overflow", "true")]));
    assert_eq!(told[&overflow].value, Value::Sum(9));
    assert_eq!((total(&told, REQUESTS), total(&told, "sluice.tcp.resets")), (10, 10));
}

#[test]
fn room_that_becomes_free_is_used() {
    let mut aggregator = aggregator(&MetricsConfig { max_series: 1, ..expiring(1) });
    let process = aggregator.process(&SERVER);
    let pair = |aggregator: &Aggregator, peer| {
        aggregator.pair(process, Role::Server, &ends(80, [10, 0, 0, peer], 1), None)
    };
    let (first, second) = (pair(&aggregator, 1), pair(&aggregator, 2));
    aggregator.tcp(&first, TcpObservation::Closed);
    aggregator.tcp(&second, TcpObservation::Closed);
    assert_eq!(points(&collect(&mut aggregator, 2_000), "sluice.tcp.connections.closed").len(), 2);
    collect(&mut aggregator, 3_000);
    aggregator.tcp(&second, TcpObservation::Closed);
    let told = collect(&mut aggregator, 4_000);
    assert!(
        points(&told, "sluice.tcp.connections.closed")
            .iter()
            .any(|(own, _)| own.contains_key("network.peer.address"))
    );
}

#[test]
fn the_error_number_of_a_socket_says_why_it_could_not_connect() {
    for (number, expected) in [
        (111, ConnectError::Refused),
        (110, ConnectError::TimedOut),
        (113, ConnectError::Unreachable),
        (101, ConnectError::Unreachable),
        (104, ConnectError::Other),
        (0, ConnectError::Other),
    ] {
        assert_eq!(ConnectError::of(number), expected, "{number}");
    }
}

#[test]
fn connections_are_told_in_every_respect() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let process = aggregator.process(&CLIENT);
    let pair = aggregator.pair(process, Role::Client, &ends(55_555, [10, 0, 0, 9], 80), None);
    let io = |direction| TcpObservation::Io {
        direction,
        bytes: 100,
        duration: 20_000,
        round_trip: 300,
        retransmits: 2,
    };
    let reason = aggregator.drop_reason("TCP_OFOMERGE");
    for observation in [
        TcpObservation::Opened { duration: 1_500_000 },
        TcpObservation::Failed(ConnectError::Refused),
        TcpObservation::Failed(ConnectError::TimedOut),
        TcpObservation::Closed,
        io(Direction::Inbound),
        io(Direction::Outbound),
        io(Direction::Outbound),
        TcpObservation::Retransmitted { segments: 3 },
        TcpObservation::Reset(Direction::Outbound),
        TcpObservation::Dropped(reason),
        TcpObservation::Dropped(reason),
    ] {
        aggregator.tcp(&pair, observation);
    }
    let told = collect(&mut aggregator, 2_000);
    let by = |name: &str, key: &str| -> Vec<(String, Value)> {
        points(&told, name).iter().map(|(own, point)| (own[key].clone(), point.value.clone())).collect()
    };
    let sums = |list: &[(&str, i64)]| {
        list.iter().map(|(key, sum)| ((*key).to_owned(), Value::Sum(*sum))).collect::<Vec<_>>()
    };
    let direction = "network.io.direction";
    assert_eq!(by("sluice.tcp.io", direction), sums(&[("receive", 100), ("transmit", 200)]));
    assert_eq!(by("sluice.tcp.io.operations", direction), sums(&[("receive", 1), ("transmit", 2)]));
    assert_eq!(by("sluice.tcp.resets", direction), sums(&[("transmit", 1)]));
    assert_eq!(
        by("sluice.tcp.connections.failed", "error.type"),
        sums(&[("connection_refused", 1), ("timed_out", 1)])
    );
    assert_eq!(by("sluice.tcp.drops", "sluice.tcp.drop.reason"), sums(&[("TCP_OFOMERGE", 2)]));
    assert_eq!(by("sluice.tcp.connections.opened", "sluice.event.role"), sums(&[("client", 1)]));
    assert_eq!(
        (total(&told, "sluice.tcp.retransmits"), total(&told, "sluice.tcp.connections.closed")),
        (9, 1)
    );
    assert_eq!((total(&told, "sluice.tcp.rtt"), total(&told, "sluice.tcp.io.duration")), (3, 3));
    let [(_, connect)] = points(&told, "sluice.tcp.connect.duration")[..] else { panic!("{told:?}") };
    assert!(matches!(connect.value, Value::Histogram { count: 1, sum: 0.0015, .. }), "{connect:?}");
}

#[test]
fn what_is_switched_off_is_not_measured() {
    for (http, tcp, name) in [(true, false, "http"), (false, true, "tcp"), (false, false, "none")] {
        let mut aggregator = aggregator(&MetricsConfig { http, tcp, ..MetricsConfig::default() });
        let pair = server_pair(&mut aggregator);
        let reason = aggregator.drop_reason("X");
        aggregator.http(&pair, &get("/", 200));
        aggregator.tcp(&pair, TcpObservation::Accepted);
        aggregator.tcp(&pair, TcpObservation::Dropped(reason));
        let told = collect(&mut aggregator, 2_000);
        assert_eq!(told.is_empty(), name == "none");
        assert!(told.keys().all(|(_, metric, _)| metric.contains(name)), "{told:?}");
    }
}

#[test]
fn an_exchange_without_a_side_is_in_no_metric() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let process = aggregator.process(&SERVER);
    let pair = aggregator.pair(process, Role::Unknown, &ends(8080, [10, 0, 0, 7], 1), None);
    aggregator.http(&pair, &get("/", 200));
    assert_eq!((aggregator.series(), aggregator.counts.unknown_role), (0, 1));
    aggregator.tcp(&pair, TcpObservation::Closed);
    let told = collect(&mut aggregator, 2_000);
    let [(own, _)] = points(&told, "sluice.tcp.connections.closed")[..] else { panic!("{told:?}") };
    assert_eq!(*own, map(&[("network.peer.address", "10.0.0.7")]), "neither port may be the client's");
}
