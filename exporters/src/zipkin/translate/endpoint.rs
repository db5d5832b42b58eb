//! The two endpoints of a span, taken from its tags.

use std::{borrow::Cow, net::IpAddr};

use sluice_protocols::zipkin::{Endpoint, tag};

use super::tags::Tags;

/// What may name the remote endpoint of a client or producer, the best first, with the port that goes with it.
/// Source: the OpenTelemetry specification's transformation, "Remote endpoint".
const REMOTE_NAMES: [(&str, Option<&str>); 11] = [
    ("server.address", Some("server.port")),
    ("net.peer.name", Some("net.peer.port")),
    ("network.peer.address", Some("network.peer.port")),
    ("server.socket.domain", None),
    ("server.socket.address", Some("server.socket.port")),
    ("net.sock.peer.name", None),
    ("net.sock.peer.addr", Some("net.sock.peer.port")),
    ("peer.hostname", None),
    ("peer.address", None),
    ("db.name", None),
    ("db.namespace", None),
];

/// The local endpoint. The tags that it is made of are removed.
pub(super) fn local_endpoint<'a>(service_name: Cow<'a, str>, tags: &mut Tags<'a>) -> Endpoint<'a> {
    let mut endpoint = Endpoint { service_name, ..Endpoint::default() };
    take_address(&mut endpoint, tags, &tag::LOCAL);
    endpoint
}

/// The remote endpoint. The tags from which the `zipkin` receiver makes it again are removed. Where they give none and
/// the span is a request to another service, other attributes name it, and stay.
pub(super) fn remote_endpoint<'a>(requests: bool, tags: &mut Tags<'a>) -> Endpoint<'a> {
    let mut endpoint = Endpoint::default();
    if let Some(name) = tags.take(tag::PEER_SERVICE, |name| (!name.is_empty()).then(|| name.clone())) {
        endpoint.service_name = name;
    }
    take_address(&mut endpoint, tags, &tag::REMOTE);
    if requests && endpoint.service_name.is_empty() && endpoint.ipv4.is_none() && endpoint.ipv6.is_none() {
        name_by_rank(&mut endpoint, tags);
    }
    endpoint
}

fn name_by_rank<'a>(endpoint: &mut Endpoint<'a>, tags: &Tags<'a>) {
    let named = REMOTE_NAMES.into_iter().find_map(|(key, port)| {
        let value = tags.get(key).filter(|value| !value.is_empty())?;
        Some((value, port))
    });
    let Some((value, port)) = named else { return };
    match value.parse() {
        Ok(IpAddr::V4(address)) => endpoint.ipv4 = Some(address),
        Ok(IpAddr::V6(address)) => endpoint.ipv6 = Some(address),
        Err(_) => endpoint.service_name = value.clone(),
    }
    if endpoint.port == 0
        && let Some(port) = port.and_then(|port| tags.get(port)).and_then(|port| read_port(port))
    {
        endpoint.port = port;
    }
}

fn take_address(endpoint: &mut Endpoint<'_>, tags: &mut Tags<'_>, names: &tag::EndpointNames) {
    match tags.take(names.address, |address| address.parse().ok()) {
        Some(IpAddr::V4(address)) => {
            endpoint.ipv4 = Some(address);
            endpoint.ipv6 = tags.take(names.second_address, |address| address.parse().ok());
        }
        Some(IpAddr::V6(address)) => endpoint.ipv6 = Some(address),
        None => {}
    }
    endpoint.port = tags.take(names.port, |port| read_port(port)).unwrap_or(0);
}

fn read_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}
