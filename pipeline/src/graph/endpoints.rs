//! Endpoints that cannot be bound together: two components of one configuration on one port.

use std::net::IpAddr;

use super::plan::Plan;
use crate::{
    component::Transport,
    config::{Document, Mapping, Node, Problems, telemetry::Telemetry},
};

/// An endpoint with who wants it and where that is written.
struct Wanted<'a> {
    owner: String,
    transport: Transport,
    body: &'a Node,
    key: String,
}

impl Wanted<'_> {
    /// Where it is written.
    fn place(&self) -> String {
        let (nearest, place) = self.body.nearest_place(&self.key);
        if std::ptr::eq(nearest, self.body) && nearest.as_mapping().is_none_or(Mapping::is_empty) {
            return "by default".to_owned();
        }
        place.to_string()
    }
}

/// Reports each endpoint that overlaps with an earlier one: of `service.telemetry`, extensions, receivers, exporters,
/// in that order. Looks up no names.
pub(super) fn check(document: &Document, plan: &Plan<'_>, problems: &mut Problems) {
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let components = plan.listening().flat_map(|planned| {
        planned.endpoints().into_iter().map(|endpoint| Wanted {
            owner: format!("{} \"{}\"", planned.kind, planned.id),
            transport: endpoint.transport,
            body: &planned.body,
            key: endpoint.key.to_owned(),
        })
    });
    for one in of_telemetry(document).into_iter().chain(components) {
        if let Some(earlier) = wanted.iter().find(|earlier| overlap(&earlier.transport, &one.transport)) {
            let message = format!(
                "{} cannot listen on {}: {} listens on {} ({}); give one of them another port",
                one.owner,
                one.transport,
                earlier.owner,
                earlier.transport,
                earlier.place()
            );
            problems.at_key(one.body, &one.key, message);
        } else {
            wanted.push(one);
        }
    }
}

fn of_telemetry(document: &Document) -> Vec<Wanted<'_>> {
    // What is wrong with it was reported before.
    let telemetry = Telemetry::from_node(&document.telemetry, &mut Problems::default()).unwrap_or_default();
    let served = telemetry.metrics.served().enumerate();
    served
        .map(|(place, reader)| Wanted {
            owner: "service.telemetry.metrics".to_owned(),
            transport: Transport::Tcp(format!("{}:{}", reader.host, reader.port)),
            body: &document.telemetry,
            key: format!("metrics.readers.{place}.pull.exporter.prometheus.port"),
        })
        .collect()
}

fn overlap(one: &Transport, other: &Transport) -> bool {
    match (one, other) {
        (Transport::Unix(one), Transport::Unix(other)) => one == other,
        (Transport::Tcp(one), Transport::Tcp(other)) => {
            match (one.rsplit_once(':'), other.rsplit_once(':')) {
                // Port 0 is any that is free.
                (Some((_, "0")), _) | (_, Some((_, "0"))) => false,
                (Some((one, port)), Some((other, same))) => {
                    port == same && Host::of(one).overlaps(&Host::of(other))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// What stands before the port.
#[derive(PartialEq)]
enum Host {
    /// Every interface; IPv6 serves IPv4 too.
    Any,
    AnyIpv4,
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn of(text: &str) -> Self {
        match text.trim_start_matches('[').trim_end_matches(']') {
            "" | "::" => Self::Any,
            "0.0.0.0" => Self::AnyIpv4,
            // Bound to IPv4 first.
            "localhost" => Self::Address(IpAddr::from([127, 0, 0, 1])),
            host => host.parse().map_or_else(|_| Self::Name(host.to_ascii_lowercase()), Self::Address),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::AnyIpv4, other) | (other, Self::AnyIpv4) => !matches!(other, Self::Address(IpAddr::V6(_))),
            (one, other) => one == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_overlap_with_what_they_cover() {
        let clash = |one: &str, other: &str| {
            let tcp = |address: &str| Transport::Tcp(address.to_owned());
            let found = overlap(&tcp(one), &tcp(other));
            assert_eq!(found, overlap(&tcp(other), &tcp(one)), "{one} {other}");
            found
        };
        assert!(clash("localhost:4317", "127.0.0.1:4317"));
        assert!(clash("0.0.0.0:4317", "localhost:4317"));
        assert!(clash(":4317", "[::1]:4317"));
        assert!(clash("[::]:4317", "0.0.0.0:4317"));
        assert!(clash("Host:1", "host:1"));
        assert!(!clash("0.0.0.0:4317", "[::1]:4317"));
        assert!(!clash("localhost:4317", "localhost:4318"));
        assert!(!clash("10.0.0.1:4317", "10.0.0.2:4317"));
        assert!(!clash("localhost:0", "localhost:0"), "any free port");
    }
}
