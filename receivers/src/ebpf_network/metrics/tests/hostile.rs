//! What an attacker can choose stays bounded, and everything is counted somewhere.

use super::*;

const MANY: u32 = 1_000_000;

#[test]
fn a_million_of_anything_stays_bounded() {
    let config = MetricsConfig {
        max_series: 1_000,
        paths: vec!["/users/{id}".to_owned(), "/{a}/{b}/{c}/x".to_owned()],
        ..MetricsConfig::default()
    };
    let mut aggregator = aggregator(&config);
    let process = aggregator.process(&SERVER);
    for number in 0..MANY {
        let [_, second, third, fourth] = number.to_be_bytes();
        let ends = ends(8080, [10, second, third, fourth], 1_024 | number as u16);
        let pair = aggregator.pair(process, Role::Server, &ends, None);
        let (method, target) = (format!("M{number}"), format!("/users/{number}?{number}"));
        let status = (number % 1_200) as u16;
        aggregator
            .http(&pair, &HttpObservation { method: &method, status: Some(status), ..get(&target, status) });
        aggregator.tcp(&pair, TcpObservation::Accepted);
    }
    assert_eq!(aggregator.series(), 1_000);
    assert_eq!(aggregator.counts.overflowed, u64::from(2 * MANY) - 1_000);
    assert!(aggregator.memory() < 3 << 20, "{} bytes", aggregator.memory());
    let told = collect(&mut aggregator, 2_000);
    assert_eq!(total(&told, "sluice.http.server.requests"), u64::from(MANY));
    assert_eq!(total(&told, "sluice.tcp.connections.accepted"), u64::from(MANY));
}

#[test]
fn one_peer_cannot_make_many_series_with_paths_and_methods() {
    let config = MetricsConfig { paths: vec!["/users/{id}".to_owned()], ..MetricsConfig::default() };
    let mut aggregator = aggregator(&config);
    let pair = server_pair(&mut aggregator);
    for number in 0..MANY / 10 {
        let (method, target) = (format!("M{number}"), format!("/users/{number}"));
        aggregator.http(&pair, &HttpObservation { method: &method, ..get(&target, 200) });
    }
    assert_eq!(aggregator.series(), 1);
}

#[test]
fn processes_that_come_and_go_leave_nothing() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let before = aggregator.memory();
    for pid in 0..100_000 {
        let container = format!("{pid:064}");
        let process = aggregator.process(&Identity { pid, container_id: &container, ..CLIENT });
        let pair = aggregator.pair(process, Role::Client, &ends(1, [10, 0, 0, 9], 80), Some(process));
        aggregator.tcp(&pair, TcpObservation::Closed);
        aggregator.release(process);
        if pid % 100 == 0 {
            aggregator.collect(u64::from(pid) + 2_000);
        }
    }
    aggregator.collect(200_000);
    assert_eq!(aggregator.series(), 0);
    let left = aggregator.memory() - before;
    assert!(left < 256 << 10, "{left} bytes are left");
}

#[test]
fn processes_that_are_not_released_are_bounded() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let long = "x".repeat(100_000);
    for pid in 0..70_000 {
        let process = aggregator.process(&Identity { pid, ..CLIENT });
        let pair = aggregator.pair(process, Role::Client, &ends(1, [10, 0, 0, 9], 80), None);
        if pid >= 69_000 {
            aggregator.tcp(&pair, TcpObservation::Closed);
        }
    }
    let cut = aggregator.process(&Identity { pid: 1, namespace_host_name: &long, ..CLIENT });
    aggregator
        .tcp(&aggregator.pair(cut, Role::Client, &ends(1, [10, 0, 0, 9], 80), None), TcpObservation::Closed);
    assert_eq!((aggregator.counts.overflowed, aggregator.processes.cut), (1_001, 1));
    assert!(aggregator.memory() < 64 << 20, "{} bytes", aggregator.memory());
    assert_eq!(total(&collect(&mut aggregator, 2_000), "sluice.tcp.connections.closed"), 1_001);
}

#[test]
fn sums_of_huge_values_do_not_wrap() {
    let mut aggregator = aggregator(&MetricsConfig::default());
    let pair = server_pair(&mut aggregator);
    for _ in 0..3 {
        let huge = Some(Sizes { body: u64::MAX, wire: u64::MAX });
        aggregator.http(&pair, &HttpObservation { duration: Some(u64::MAX), request: huge, ..get("/", 200) });
        let io = TcpObservation::Io {
            direction: crate::ebpf_network::socket::Direction::Inbound,
            bytes: u64::MAX,
            duration: u64::MAX,
            round_trip: u32::MAX,
            retransmits: u32::MAX,
        };
        aggregator.tcp(&pair, io);
    }
    let told = collect(&mut aggregator, 2_000);
    assert_eq!(points(&told, "sluice.tcp.io")[0].1.value, Value::Sum(i64::MAX));
    assert!(
        matches!(points(&told, "http.server.request.body.size")[0].1.value, Value::Histogram { count: 3, sum, .. } if sum > 1e19)
    );
}

#[test]
fn chunks_fit_into_a_message_of_grpc() {
    let long = "x".repeat(2_000);
    let path = format!("/{}", "y".repeat(255));
    let config = MetricsConfig {
        paths: vec![path.clone()],
        buckets: Buckets {
            http_duration: (1..65).map(|second| std::time::Duration::from_secs(second).into()).collect(),
            http_size: (0..64).collect(),
            tcp_duration: (1..65).map(|second| std::time::Duration::from_secs(second).into()).collect(),
        },
        ..MetricsConfig::default()
    };
    let mut aggregator = aggregator(&config);
    let identity = Identity { executable_name: &long, container_id: &long, pod_uid: &long, ..SERVER };
    let process = aggregator.process(&identity);
    for number in 0..600u16 {
        let [high, low] = number.to_be_bytes();
        let pair = aggregator.pair(process, Role::Server, &ends(8080, [10, 0, high, low], 1), Some(process));
        aggregator.http(&pair, &get(&path, 500));
        for direction in [
            crate::ebpf_network::socket::Direction::Inbound,
            crate::ebpf_network::socket::Direction::Outbound,
        ] {
            let io = TcpObservation::Io { direction, bytes: 1, duration: 1, round_trip: 1, retransmits: 1 };
            aggregator.tcp(&pair, io);
        }
    }
    let chunks = aggregator.collect(2_000);
    assert!(chunks.len() > 3);
    let mut told = Told::new();
    for chunk in chunks {
        assert!(chunk.bytes.len() < 4 << 20, "{} bytes", chunk.bytes.len());
        read(chunk, &mut told);
    }
    assert_eq!(points(&told, "http.server.request.duration").len(), 600);
    assert_eq!(points(&told, "sluice.tcp.io.duration").len(), 1_200);
}
