//! What OpenTelemetry's attributes mean to SkyWalking: the layer, the component, the peer.

use std::borrow::Cow;

use sluice_pipeline::otlp::view::{AnyValue, Attributes};

use crate::oap::entity::text;

/// `SpanLayer`: names by number.
const LAYERS: [&str; 7] = ["Unknown", "Database", "RPCFramework", "Http", "MQ", "Cache", "FAAS"];
/// `SpanLayer`.
pub(super) mod layer {
    pub(in super::super) const UNKNOWN: i64 = 0;
    pub(in super::super) const DATABASE: i64 = 1;
    pub(in super::super) const RPC: i64 = 2;
    pub(in super::super) const HTTP: i64 = 3;
    pub(in super::super) const MQ: i64 = 4;
    pub(in super::super) const CACHE: i64 = 5;
    pub(in super::super) const FAAS: i64 = 6;
}

/// OAP's numbers of what is spoken (`component-libraries.yml`), by the values of semantic conventions.
const COMPONENTS: [(&str, i64); 31] = [
    ("activemq", 44),
    ("aws_sqs", 0),
    ("cassandra", 70),
    ("clickhouse", 120),
    ("dubbo", 3),
    ("elasticsearch", 47),
    ("grpc", 23),
    ("h2", 4),
    ("h2database", 4),
    ("http", 49),
    ("kafka", 27),
    ("mariadb", 86),
    ("memcached", 20),
    ("microsoft.sql_server", 104),
    ("mongodb", 9),
    ("mssql", 104),
    ("mysql", 5),
    ("neo4j", 112),
    ("oracle", 6),
    ("oracle.db", 6),
    ("postgresql", 22),
    ("pulsar", 72),
    ("rabbitmq", 51),
    ("redis", 7),
    ("rocketmq", 25),
    ("sqlite", 31),
    ("graphql", 92),
    ("apache_dubbo", 3),
    ("connect_rpc", 23),
    ("opensearch", 47),
    ("valkey", 7),
];
/// The systems that hold what can be had elsewhere.
const CACHES: [&str; 3] = ["redis", "memcached", "valkey"];

/// What a span is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) layer: i64,
    pub(super) component: i64,
    /// The other end, of a request that leaves the process.
    pub(super) peer: String,
    /// The address by which a request entered the process, as the caller wrote it.
    pub(super) called_as: String,
}

pub(super) const fn is_entry(kind: i32) -> bool {
    matches!(kind, 2 | 5)
}

pub(super) const fn is_exit(kind: i32) -> bool {
    matches!(kind, 3 | 4)
}

/// The number of a layer that is given by name, or by number.
pub(super) fn layer_number(value: AnyValue<'_>) -> i64 {
    match value {
        AnyValue::Int(number) => number,
        AnyValue::String(name) => {
            let place = LAYERS.iter().position(|known| known.as_bytes() == name);
            place.and_then(|place| i64::try_from(place).ok()).unwrap_or_default()
        }
        _ => layer::UNKNOWN,
    }
}

impl Meaning {
    /// Of a span of this kind.
    pub(super) fn of(attributes: Attributes<'_>, kind: i32) -> Self {
        let value = |names: &[&str]| {
            names.iter().find_map(|name| text(attributes, name).filter(|value| !value.is_empty()))
        };
        let database = value(&["db.system.name", "db.system"]).filter(|_| is_exit(kind));
        let messaging = value(&["messaging.system"]);
        let rpc = value(&["rpc.system", "rpc.system.name"]);
        let is_http = ["http.request.method", "http.method", "http.response.status_code", "http.status_code"]
            .iter()
            .any(|name| text(attributes, name).is_some());
        let (layer, system): (i64, Cow<'_, str>) = match (database, messaging, rpc) {
            (Some(system), _, _) if CACHES.contains(&system.as_ref()) => (layer::CACHE, system),
            (Some(system), _, _) => (layer::DATABASE, system),
            (_, Some(system), _) => (layer::MQ, system),
            (_, _, Some(system)) => (layer::RPC, system),
            _ if matches!(kind, 4 | 5) => (layer::MQ, "".into()),
            _ if is_http => (layer::HTTP, "http".into()),
            _ if is_entry(kind) && value(&["faas.trigger", "faas.invocation_id"]).is_some() => {
                (layer::FAAS, "".into())
            }
            _ => (layer::UNKNOWN, "".into()),
        };
        let known = COMPONENTS.iter().find(|(name, _)| *name == system);
        let address = address(attributes);
        // A broker is what both ends of a message name.
        let is_queue = layer == layer::MQ;
        let peer = match is_exit(kind) || is_queue {
            true => address.clone().unwrap_or_else(|| {
                value(&["peer.service", "service.peer.name", "db.namespace", "rpc.service"])
                    .unwrap_or(system)
                    .into_owned()
            }),
            false => String::new(),
        };
        Self {
            layer,
            component: known.map_or(0, |(_, number)| *number),
            called_as: match is_entry(kind) {
                true if is_queue => peer.clone(),
                true => address.unwrap_or_default(),
                false => String::new(),
            },
            peer,
        }
    }
}

/// `host:port` of the server's end, with the port of the scheme where none is named, so that both ends write the same.
fn address(attributes: Attributes<'_>) -> Option<String> {
    let value = |names: &[&str]| {
        names.iter().find_map(|name| text(attributes, name).filter(|value| !value.is_empty()))
    };
    let scheme = value(&["url.scheme", "http.scheme"]);
    let host = value(&["server.address", "net.peer.name", "net.host.name", "http.host"]);
    let port = value(&["server.port", "net.peer.port", "net.host.port"]);
    let url = value(&["url.full", "http.url"]);
    let (url_scheme, url_authority) = url.as_deref().and_then(parts).unzip();
    let default_port = match scheme.as_deref().or(url_scheme) {
        Some("http") => Some("80"),
        Some("https") => Some("443"),
        _ => None,
    };
    let place = match (host, url_authority) {
        (Some(host), _) => host.into_owned(),
        (None, Some(authority)) => authority.to_owned(),
        (None, None) => {
            let address = value(&["network.peer.address", "net.sock.peer.addr", "net.peer.ip"])?;
            let port = value(&["network.peer.port", "net.sock.peer.port", "net.peer.port"]);
            return Some(with_port(&address, port.as_deref()));
        }
    };
    // `http.host` and authorities may have their port already.
    let has_port = place.rsplit_once(':').is_some_and(|(host, port)| {
        !host.contains(':') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    }) || place.contains("]:");
    Some(match has_port {
        true => place,
        false => with_port(&place, port.as_deref().or(default_port)),
    })
}

fn with_port(host: &str, port: Option<&str>) -> String {
    match port {
        Some(port) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Scheme and authority of a URL, without user information.
fn parts(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some((scheme, host))
}
