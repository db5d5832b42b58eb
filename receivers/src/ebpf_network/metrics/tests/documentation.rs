//! `docs/metrics.md` has what the code has.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ebpf_network::socket::Direction;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

/// The rows of the table that follows the line that begins so.
fn table(heading: &str) -> Vec<String> {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let after = document.split_once(&format!("\n{heading}")).map(|(_, after)| after.to_owned());
    let after = after.unwrap_or_else(|| panic!("docs/metrics.md has no line {heading:?}"));
    let rows =
        after.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(str::to_owned).collect()
}

/// Attributes that many metrics have in a row, and what stands for them in the table.
const GROUPS: [(&str, &[&str]); 2] = [
    (
        "*exchange*",
        &[
            "http.request.method",
            "http.response.status_code",
            "error.type",
            "url.scheme",
            "url.template",
            "network.protocol.version",
        ],
    ),
    (
        "*pair*",
        &[
            "server.port",
            "network.peer.address",
            "sluice.peer.process.executable.name",
            "sluice.peer.container.id",
            "sluice.peer.k8s.pod.uid",
        ],
    ),
];

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let code: Vec<String> = catalogue::all()
        .map(|metric| {
            let kind = match metric.kind {
                catalogue::Kind::Counter => "counter",
                catalogue::Kind::Histogram => "histogram",
            };
            let mut attributes = quoted(metric.attributes);
            for (group, names) in GROUPS {
                attributes = attributes.replace(&quoted(names), group);
            }
            format!(
                "| `{}` | {kind} | `{}` | {} | {attributes} |",
                metric.name, metric.unit, metric.description
            )
        })
        .collect();
    assert_eq!(table("## Metrics"), code, "write into docs/metrics.md:\n{}", code.join("\n"));
    let groups: Vec<String> =
        GROUPS.iter().map(|(group, names)| format!("| {group} | {} |", quoted(names))).collect();
    assert_eq!(table("In that table"), groups, "write into docs/metrics.md:\n{}", groups.join("\n"));
}

#[test]
fn the_table_of_buckets_is_that_of_the_code() {
    let Buckets { http_duration, http_size, tcp_duration } = Buckets::default();
    let row = |key: &str, bounds: Vec<String>| format!("| `{key}` | {} |", bounds.join(", "));
    let code = [
        row("http_duration", http_duration.iter().map(ToString::to_string).collect()),
        row("http_size", http_size.iter().map(ToString::to_string).collect()),
        row("tcp_duration", tcp_duration.iter().map(ToString::to_string).collect()),
    ];
    assert_eq!(table("## Buckets"), code, "write into docs/metrics.md:\n{}", code.join("\n"));
}

/// Every metric comes out, with every attribute that the table says it may have and no other.
#[test]
fn what_comes_out_is_what_the_table_says() {
    let config = MetricsConfig { paths: vec!["/x".to_owned()], ..MetricsConfig::default() };
    let mut aggregator = aggregator(&config);
    let process = aggregator.process(&CLIENT);
    let peer = aggregator.process(&SERVER);
    let reason = aggregator.drop_reason("NO_SOCKET");
    for role in [Role::Server, Role::Client] {
        let pair = aggregator.pair(process, role, &ends(8080, [10, 0, 0, 7], 80), Some(peer));
        aggregator.http(&pair, &get("/x", 503));
        let io = |direction| TcpObservation::Io {
            direction,
            bytes: 1,
            duration: 1,
            round_trip: 1,
            retransmits: 1,
        };
        for observation in [
            TcpObservation::Opened { duration: 1 },
            TcpObservation::Accepted,
            TcpObservation::Closed,
            TcpObservation::Failed(ConnectError::Unreachable),
            io(Direction::Inbound),
            TcpObservation::Reset(Direction::Inbound),
            TcpObservation::Dropped(reason),
        ] {
            aggregator.tcp(&pair, observation);
        }
    }
    let mut emitted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, metric, own) in collect(&mut aggregator, 2_000).into_keys() {
        emitted.entry(metric).or_default().extend(own.into_keys());
    }
    let declared: BTreeMap<String, BTreeSet<String>> = catalogue::all()
        .map(|metric| {
            (metric.name.to_owned(), metric.attributes.iter().map(|name| (*name).to_owned()).collect())
        })
        .collect();
    assert_eq!(emitted, declared);
}
