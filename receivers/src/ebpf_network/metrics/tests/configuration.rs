//! The keys, their defaults, and what is said of values that cannot work.

use sluice_pipeline::config::{Problems, decode, parse};

use super::*;

fn read(yaml: &str) -> MetricsConfig {
    let mut problems = Problems::default();
    let config = parse("test.yaml", yaml, &mut problems).and_then(|node| decode(&node, &mut problems));
    assert!(!problems.has_errors(), "{problems}");
    config.unwrap()
}

#[test]
fn an_empty_map_gives_the_defaults() {
    let config = read("{}");
    assert_eq!(config, MetricsConfig::default());
    assert_eq!(config.problems("metrics"), []);
    assert_eq!(config.expiration_intervals(), Some(20));
}

#[test]
fn every_key_is_read() {
    let config = read(
        "interval: 1m\nhttp: false\ntcp: false\nmax_series: 7\ntemporality: delta\nexpiration: 90s\n\
         paths: ['/users/{id}']\nknown_methods: [GET, PROPFIND]\n\
         buckets: {http_duration: [1ms, 1s], http_size: [1024], tcp_duration: []}\n",
    );
    let seconds = |seconds| std::time::Duration::from_secs(seconds).into();
    let expected = MetricsConfig {
        interval: seconds(60),
        http: false,
        tcp: false,
        max_series: 7,
        temporality: Temporality::Delta,
        expiration: seconds(90),
        paths: vec!["/users/{id}".to_owned()],
        known_methods: vec!["GET".to_owned(), "PROPFIND".to_owned()],
        buckets: Buckets {
            http_duration: vec![std::time::Duration::from_millis(1).into(), seconds(1)],
            http_size: vec![1024],
            tcp_duration: vec![],
        },
    };
    assert_eq!(config, expected);
    assert_eq!(config.expiration_intervals(), Some(2), "rounded up");
}

#[test]
fn what_cannot_work_is_told_with_its_key() {
    for (yaml, key, message) in [
        ("interval: 0s", "metrics.interval", "must be longer than 0s"),
        ("expiration: 5s", "metrics.expiration", "must be at least the interval (15s), or 0s for never"),
        ("max_series: 0", "metrics.max_series", "must be 1 to 10000000"),
        ("paths: ['/a', 'b']", "metrics.paths.1", "does not begin with a slash"),
        ("known_methods: [GET, 'A B']", "metrics.known_methods.1", "is no method of HTTP"),
        ("known_methods: [GET, GET]", "metrics.known_methods.1", "is listed twice"),
        ("known_methods: [_OTHER]", "metrics.known_methods.0", "stands for the methods that are not listed"),
        (
            "buckets: {http_size: [1, 2, 2]}",
            "metrics.buckets.http_size.2",
            "is not above the boundary before it",
        ),
        (
            "buckets: {tcp_duration: [2s, 1s]}",
            "metrics.buckets.tcp_duration.1",
            "is not above the boundary before it",
        ),
    ] {
        let problems = read(yaml).problems("metrics");
        let [problem] = &problems[..] else { panic!("{yaml}: {problems:?}") };
        assert!(problem.key == key && problem.message.contains(message), "{yaml}: {problem:?}");
    }
    let many = MetricsConfig {
        known_methods: (0..65).map(|number| format!("M{number}")).collect(),
        buckets: Buckets { http_size: (0..65).collect(), ..Buckets::default() },
        ..MetricsConfig::default()
    };
    assert_eq!(many.problems("metrics").len(), 2);
}

#[test]
fn other_buckets_and_methods_are_used() {
    let config = read("known_methods: [PROPFIND]\nbuckets: {http_size: [700], http_duration: []}\n");
    let mut aggregator = aggregator(&config);
    let pair = server_pair(&mut aggregator);
    aggregator.http(&pair, &get("/", 200));
    aggregator.http(&pair, &HttpObservation { method: "PROPFIND", ..get("/", 200) });
    let told = collect(&mut aggregator, 2_000);
    let sizes = points(&told, "sluice.http.server.response.size");
    assert_eq!(
        sizes.iter().map(|(own, _)| &*own["http.request.method"]).collect::<Vec<_>>(),
        ["PROPFIND", "_OTHER"]
    );
    let expected = Value::Histogram { count: 1, sum: 800.0, buckets: vec![0, 1], bounds: vec![700.0] };
    assert_eq!(sizes[0].1.value, expected);
    let durations = points(&told, "http.server.request.duration");
    assert!(matches!(&durations[0].1.value, Value::Histogram { buckets, .. } if *buckets == [1]));
}
