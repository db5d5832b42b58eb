//! The aggregator tells what a plain model of it tells, whatever is observed in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ebpf_network::socket::Direction;

/// Something that is done to both.
#[derive(Clone, Debug)]
enum Step {
    Register(usize),
    Release(usize),
    Http(Side, Request),
    Tcp(Side, usize),
    Collect,
}

/// A process, its role, its peer's address, its peer's process, and the port of the server.
#[derive(Clone, Debug)]
pub(super) struct Side {
    process: usize,
    role: Role,
    address: u8,
    peer: Option<usize>,
    port: u16,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    method: &'static str,
    target: &'static str,
    status: Option<u16>,
    closed: bool,
    duration: Option<u64>,
    size: u64,
}

pub(super) const IDENTITIES: [Identity<'static>; 3] = [SERVER, CLIENT, Identity { pid: 19, ..CLIENT }];

pub(super) const TCP: [TcpObservation; 6] = [
    TcpObservation::Opened { duration: 30_000 },
    TcpObservation::Failed(ConnectError::TimedOut),
    TcpObservation::Accepted,
    TcpObservation::Io {
        direction: Direction::Inbound,
        bytes: 7,
        duration: 0,
        round_trip: 90,
        retransmits: 1,
    },
    TcpObservation::Io {
        direction: Direction::Outbound,
        bytes: 9,
        duration: 70_000,
        round_trip: 0,
        retransmits: 0,
    },
    TcpObservation::Reset(Direction::Outbound),
];

/// What one observation adds: a metric, an attribute that only it has, and an amount.
type Addition = (String, Own, Amount);

type Own = Option<(&'static str, &'static str)>;

#[derive(Clone, Copy, Debug)]
enum Amount {
    Count(u64),
    Time(u64),
    Size(u64),
}

/// A series as the model has it.
#[derive(Debug)]
struct Series {
    process: Option<usize>,
    start: u64,
    idle: u64,
    touched: bool,
    values: BTreeMap<(String, Own), Vec<Amount>>,
}

struct Model {
    config: MetricsConfig,
    /// How often each process is registered; `None` if it is forgotten.
    processes: [Option<usize>; 3],
    /// By table, resource and attributes.
    series: BTreeMap<(&'static str, Attributes, Attributes), Series>,
    previous: u64,
}

impl Model {
    fn observe(&mut self, table: &'static str, side: &Side, own: Attributes, additions: Vec<Addition>) {
        if self.processes[side.process].is_none() {
            return;
        }
        let mut attributes = own;
        attributes.insert("network.peer.address".to_owned(), format!("10.0.0.{}", side.address));
        if side.role != Role::Unknown {
            attributes.insert("server.port".to_owned(), format!("#{}", side.port));
        }
        if let Some(peer) = side.peer.filter(|peer| self.processes[*peer].is_some()) {
            let Identity { executable_name, container_id, pod_uid, .. } = IDENTITIES[peer];
            for (key, value) in [
                ("sluice.peer.process.executable.name", executable_name),
                ("sluice.peer.container.id", container_id),
                ("sluice.peer.k8s.pod.uid", pod_uid),
            ] {
                if !value.is_empty() {
                    attributes.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        let mut key = (table, resource(&IDENTITIES[side.process]), attributes);
        let mut process = Some(side.process);
        let held = self.series.values().filter(|series| series.process.is_some()).count();
        if !self.series.contains_key(&key) && held >= self.config.max_series as usize {
            key = (table, map(&[("host.name", "box")]), map(&[("otel.metric.overflow", "true")]));
            process = None;
        }
        let start = if process.is_none() { 1_000 } else { self.previous };
        let series = self.series.entry(key).or_insert(Series {
            process,
            start,
            idle: 0,
            touched: true,
            values: BTreeMap::new(),
        });
        series.touched = true;
        for (metric, own, amount) in additions {
            series.values.entry((metric, own)).or_default().push(amount);
        }
    }

    fn collect(&mut self, now: u64) -> Told {
        let delta = self.config.temporality == Temporality::Delta;
        let mut told = Told::new();
        for ((_, resource, attributes), series) in &mut self.series {
            for ((metric, own), amounts) in &series.values {
                let mut attributes = attributes.clone();
                attributes.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
                let Some(value) = value(&self.config, amounts) else { continue };
                let start = if delta { self.previous } else { series.start };
                told.insert(
                    (resource.clone(), metric.clone(), attributes),
                    Point { start, time: now, value },
                );
            }
            series.idle = if series.touched { 0 } else { series.idle + 1 };
            series.touched = false;
            if delta {
                series.values.clear();
            }
        }
        let intervals = self.config.expiration.as_secs() / 15;
        self.series.retain(|_, series| {
            series.process.is_none_or(|process| self.processes[process] != Some(0) && series.idle < intervals)
        });
        for process in &mut self.processes {
            *process = process.filter(|registrations| *registrations > 0);
        }
        self.previous = now;
        told
    }
}

fn resource(identity: &Identity<'_>) -> Attributes {
    let mut resource = map(&[("service.name", identity.executable_name), ("host.name", identity.host_name)]);
    resource.insert("process.pid".to_owned(), format!("#{}", identity.pid));
    if let Some(pid) = identity.namespace_pid {
        resource.insert("sluice.process.namespace_pid".to_owned(), format!("#{pid}"));
    }
    for (key, value) in [
        ("process.executable.name", identity.executable_name),
        ("process.executable.path", identity.executable_path),
        ("sluice.process.namespace_host_name", identity.namespace_host_name),
        ("container.id", identity.container_id),
        ("k8s.pod.uid", identity.pod_uid),
    ] {
        if !value.is_empty() {
            resource.insert(key.to_owned(), value.to_owned());
        }
    }
    resource
}

/// What the amounts come to; `None` if nothing was counted.
fn value(config: &MetricsConfig, amounts: &[Amount]) -> Option<Value> {
    let numbers: Vec<u64> = amounts
        .iter()
        .map(|amount| match amount {
            Amount::Count(number) | Amount::Time(number) | Amount::Size(number) => *number,
        })
        .collect();
    let sum: u64 = numbers.iter().sum();
    let (bounds, unit) = match amounts.first()? {
        Amount::Count(_) => return (sum > 0).then(|| Value::Sum(i64::try_from(sum).unwrap())),
        Amount::Time(_) => (vec![10_000, 50_000, 100_000], 1e9),
        Amount::Size(_) => (config.buckets.http_size.clone(), 1.0),
    };
    let mut buckets = vec![0; bounds.len() + 1];
    for number in &numbers {
        buckets[bounds.iter().position(|bound| number <= bound).unwrap_or(bounds.len())] += 1;
    }
    let bounds = bounds.iter().map(|bound| *bound as f64 / unit).collect();
    Some(Value::Histogram { count: numbers.len() as u64, sum: sum as f64 / unit, buckets, bounds })
}

fn http_additions(role: &str, request: &Request) -> Vec<Addition> {
    let size = |name: &str, size| (name.replace("ROLE", role), None, Amount::Size(size));
    let mut additions = vec![
        (format!("sluice.http.{role}.requests"), None, Amount::Count(1)),
        size("http.ROLE.request.body.size", request.size),
        size("sluice.http.ROLE.request.size", request.size + 50),
    ];
    additions.extend(
        request.duration.map(|time| (format!("http.{role}.request.duration"), None, Amount::Time(time))),
    );
    if request.status.is_some() {
        additions.push((format!("sluice.http.{role}.time_to_first_byte"), None, Amount::Time(40)));
        additions.push(size("http.ROLE.response.body.size", 2 * request.size));
        additions.push(size("sluice.http.ROLE.response.size", 2 * request.size + 60));
    }
    additions
}

fn http_attributes(role: Role, request: &Request) -> Attributes {
    let mut own = map(&[("url.scheme", "http"), ("network.protocol.version", "1.1")]);
    let method = if ["GET", "POST"].contains(&request.method) { request.method } else { "_OTHER" };
    own.insert("http.request.method".to_owned(), method.to_owned());
    if request.target.starts_with("/users/") {
        own.insert("url.template".to_owned(), "/users/{id}".to_owned());
    }
    let status = request.status.filter(|status| (100..600).contains(status));
    own.extend(status.map(|status| ("http.response.status_code".to_owned(), format!("#{status}"))));
    let is_error = |status: &u16| *status >= if role == Role::Client { 400 } else { 500 };
    let error = match (request.closed, request.status, status) {
        (true, ..) => Some("connection_closed".to_owned()),
        (false, Some(_), None) => Some("_OTHER".to_owned()),
        _ => status.filter(is_error).map(|status| status.to_string()),
    };
    own.extend(error.map(|error| ("error.type".to_owned(), error)));
    own
}

fn tcp_additions(observation: TcpObservation) -> Vec<Addition> {
    let count = |name: &str, own, number| (format!("sluice.tcp.{name}"), own, Amount::Count(number));
    let time = |name: &str, own, time: u64| {
        (time > 0).then(|| (format!("sluice.tcp.{name}"), own, Amount::Time(time)))
    };
    match observation {
        TcpObservation::Opened { duration } => std::iter::once(count("connections.opened", None, 1))
            .chain(time("connect.duration", None, duration))
            .collect(),
        TcpObservation::Failed(_) => vec![count("connections.failed", Some(("error.type", "timed_out")), 1)],
        TcpObservation::Accepted => vec![count("connections.accepted", None, 1)],
        TcpObservation::Reset(_) => vec![count("resets", Some(("network.io.direction", "transmit")), 1)],
        TcpObservation::Io { direction, bytes, duration, round_trip, retransmits } => {
            let value = if direction == Direction::Inbound { "receive" } else { "transmit" };
            let own = Some(("network.io.direction", value));
            [count("io", own, bytes), count("io.operations", own, 1)]
                .into_iter()
                .chain((retransmits > 0).then(|| count("retransmits", None, u64::from(retransmits))))
                .chain(time("io.duration", own, duration))
                .chain(time("rtt", None, u64::from(round_trip) * 1_000))
                .collect()
        }
        other => panic!("the model does not know {other:?}"),
    }
}

pub(super) fn side() -> impl Strategy<Value = Side> {
    let role = proptest::sample::select(&[Role::Client, Role::Server, Role::Unknown][..]);
    (0..3usize, role, 0..3u8, proptest::option::of(0..3usize), 80..82u16)
        .prop_map(|(process, role, address, peer, port)| Side { process, role, address, peer, port })
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    (
        proptest::sample::select(&["GET", "POST", "BREW"][..]),
        proptest::sample::select(&["/", "/users/1", "/users/2?q", "*"][..]),
        proptest::option::of(proptest::sample::select(&[200u16, 404, 503, 7][..])),
        any::<bool>(),
        proptest::option::of(0..200_000u64),
        0..5_000u64,
    )
        .prop_map(|(method, target, status, closed, duration, size)| Request {
            method,
            target,
            status,
            closed,
            duration,
            size,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3usize).prop_map(Step::Register),
        1 => (0..3usize).prop_map(Step::Release),
        8 => (side(), request()).prop_map(|(side, request)| Step::Http(side, request)),
        8 => (side(), 0..TCP.len()).prop_map(|(side, tcp)| Step::Tcp(side, tcp)),
        4 => Just(Step::Collect),
    ]
}

pub(super) fn model_config() -> impl Strategy<Value = MetricsConfig> {
    (1..12u32, any::<bool>(), 1..4u64).prop_map(|(max_series, delta, intervals)| {
        let microseconds =
            |list: [u64; 3]| list.map(|time| std::time::Duration::from_micros(time).into()).to_vec();
        MetricsConfig {
            max_series,
            temporality: if delta { Temporality::Delta } else { Temporality::Cumulative },
            expiration: std::time::Duration::from_secs(15 * intervals).into(),
            paths: vec!["/users/{id}".to_owned()],
            known_methods: vec!["GET".to_owned(), "POST".to_owned()],
            buckets: Buckets {
                http_duration: microseconds([10, 50, 100]),
                tcp_duration: microseconds([10, 50, 100]),
                http_size: vec![0, 100, 1_000],
            },
            ..MetricsConfig::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_model_tells_the_same(config in model_config(), steps in proptest::collection::vec(step(), 1..80)) {
        let mut aggregator = aggregator(&config);
        let mut model =
            Model { config, processes: [None; 3], series: BTreeMap::new(), previous: 1_000 };
        let mut handles = [ProcessHandle::OVERFLOW; 3];
        // All are registered first, so that there is a handle to use.
        let steps = (0..3).map(Step::Register).chain(steps).chain([Step::Collect]);
        for (number, step) in steps.enumerate() {
            match step {
                Step::Register(process) => {
                    handles[process] = aggregator.process(&IDENTITIES[process]);
                    *model.processes[process].get_or_insert(0) += 1;
                }
                Step::Release(process) => {
                    aggregator.release(handles[process]);
                    model.processes[process] = model.processes[process].map(|count| count.saturating_sub(1));
                }
                Step::Collect => {
                    let now = 2_000 + number as u64;
                    prop_assert_eq!(collect(&mut aggregator, now), model.collect(now));
                }
                Step::Http(side, request) => {
                    let pair = pair(&aggregator, &side, &handles);
                    aggregator.http(&pair, &observation(&request));
                    let (role, table) = match side.role {
                        Role::Client => ("client", "http client"),
                        Role::Server => ("server", "http server"),
                        Role::Unknown => continue,
                    };
                    let mut own = http_attributes(side.role, &request);
                    if side.role == Role::Client {
                        own.insert("server.address".to_owned(), format!("10.0.0.{}", side.address));
                    }
                    model.observe(table, &side, own, http_additions(role, &request));
                }
                Step::Tcp(side, number) => {
                    let pair = pair(&aggregator, &side, &handles);
                    aggregator.tcp(&pair, TCP[number]);
                    let own = match side.role {
                        Role::Client => map(&[("sluice.event.role", "client")]),
                        Role::Server => map(&[("sluice.event.role", "server")]),
                        Role::Unknown => Attributes::new(),
                    };
                    model.observe("tcp", &side, own, tcp_additions(TCP[number]));
                }
            }
        }
    }
}

pub(super) fn observation(request: &Request) -> HttpObservation<'static> {
    let sizes = |body, head| Sizes { body, wire: body + head };
    HttpObservation {
        method: request.method,
        target: request.target,
        version: HttpVersion::Http11,
        status: request.status,
        connection_closed: request.closed,
        duration: request.duration,
        time_to_first_byte: request.status.map(|_| 40),
        request: Some(sizes(request.size, 50)),
        response: request.status.map(|_| sizes(2 * request.size, 60)),
    }
}

pub(super) fn pair(aggregator: &Aggregator, side: &Side, handles: &[ProcessHandle; 3]) -> Pair {
    let (local, peer) = if side.role == Role::Client { (50_000, side.port) } else { (side.port, 50_000) };
    let ends = ends(local, [10, 0, 0, side.address], peer);
    aggregator.pair(handles[side.process], side.role, &ends, side.peer.map(|peer| handles[peer]))
}
