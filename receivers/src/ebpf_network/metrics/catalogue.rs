//! The metrics: their names, units, kinds and attributes. `docs/metrics.md` has the same table; a test compares them.

use sluice_pipeline::exchange::{event, record};

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name: the semantic conventions' where they have it.
    pub name: &'static str,
    /// Its unit, in UCUM's notation.
    pub unit: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it measures.
    pub description: &'static str,
    /// The attributes that its data points may have.
    pub attributes: &'static [&'static str],
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A monotonic `Sum`.
    Counter,
    /// A `Histogram` with explicit boundaries.
    Histogram,
}

/// Attributes that tell what kind of process the peer is, if it runs on the same host.
pub mod peer {
    /// string: the file name of its executable.
    pub const EXECUTABLE_NAME: &str = "sluice.peer.process.executable.name";
    /// string: its container.
    pub const CONTAINER_ID: &str = "sluice.peer.container.id";
    /// string: its pod.
    pub const POD_UID: &str = "sluice.peer.k8s.pod.uid";
}

/// string: the template of [`super::MetricsConfig::paths`] that the path matches.
pub const TEMPLATE: &str = "url.template";
/// int: the port of the server; absent if it is not known which end that is.
pub const SERVER_PORT: &str = "server.port";
/// string: [`RECEIVE`] or [`TRANSMIT`].
pub const IO_DIRECTION: &str = "network.io.direction";
/// string: the kernel's name of why it dropped a packet.
pub const DROP_REASON: &str = "sluice.tcp.drop.reason";
/// A value of [`IO_DIRECTION`].
pub const RECEIVE: &str = "receive";
/// A value of [`IO_DIRECTION`].
pub const TRANSMIT: &str = "transmit";
/// What stands for a method or an error of which no more is known.
pub const OTHER: &str = "_OTHER";

const HTTP_SERVER_ATTRIBUTES: &[&str] = &[
    record::METHOD,
    record::STATUS,
    record::ERROR,
    record::SCHEME,
    TEMPLATE,
    record::VERSION,
    SERVER_PORT,
    record::PEER_ADDRESS,
    peer::EXECUTABLE_NAME,
    peer::CONTAINER_ID,
    peer::POD_UID,
];

const HTTP_CLIENT_ATTRIBUTES: &[&str] = &[
    record::METHOD,
    record::STATUS,
    record::ERROR,
    record::SCHEME,
    TEMPLATE,
    record::VERSION,
    record::HOST,
    SERVER_PORT,
    record::PEER_ADDRESS,
    peer::EXECUTABLE_NAME,
    peer::CONTAINER_ID,
    peer::POD_UID,
];

/// The attributes of TCP metrics, with these before them.
macro_rules! tcp_attributes {
    ($($own:expr),*) => {
        &[
            $($own,)*
            event::ROLE,
            SERVER_PORT,
            record::PEER_ADDRESS,
            peer::EXECUTABLE_NAME,
            peer::CONTAINER_ID,
            peer::POD_UID,
        ]
    };
}

/// The metrics of one role; [`super::http`] relies on their order.
macro_rules! http {
    ($role:literal, $attributes:expr) => {
        [
            Metric {
                name: concat!("http.", $role, ".request.duration"),
                unit: "s",
                kind: Kind::Histogram,
                description: "From the first byte of the request to the last of the response.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("sluice.http.", $role, ".time_to_first_byte"),
                unit: "s",
                kind: Kind::Histogram,
                description: "From the first byte of the request to the first of the response.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("http.", $role, ".request.body.size"),
                unit: "By",
                kind: Kind::Histogram,
                description: "Bodies of requests, as transferred.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("http.", $role, ".response.body.size"),
                unit: "By",
                kind: Kind::Histogram,
                description: "Bodies of responses, as transferred.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("sluice.http.", $role, ".request.size"),
                unit: "By",
                kind: Kind::Histogram,
                description: "Requests on the wire, head and body.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("sluice.http.", $role, ".response.size"),
                unit: "By",
                kind: Kind::Histogram,
                description: "Responses on the wire, head and body.",
                attributes: $attributes,
            },
            Metric {
                name: concat!("sluice.http.", $role, ".requests"),
                unit: "{request}",
                kind: Kind::Counter,
                description: "Requests, those too whose response was not seen to its end.",
                attributes: $attributes,
            },
        ]
    };
}

/// Of exchanges in which the process is the server.
pub static HTTP_SERVER: [Metric; 7] = http!("server", HTTP_SERVER_ATTRIBUTES);
/// Of exchanges in which the process is the client.
pub static HTTP_CLIENT: [Metric; 7] = http!("client", HTTP_CLIENT_ATTRIBUTES);

/// Of connections; [`super::tcp`] relies on their order.
pub static TCP: [Metric; 11] = [
    Metric {
        name: "sluice.tcp.connections.opened",
        unit: "{connection}",
        kind: Kind::Counter,
        description: "Connections that the process opened.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.connections.accepted",
        unit: "{connection}",
        kind: Kind::Counter,
        description: "Connections to the process that were established.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.connections.closed",
        unit: "{connection}",
        kind: Kind::Counter,
        description: "Connections that ended.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.connections.failed",
        unit: "{connection}",
        kind: Kind::Counter,
        description: "Connections that the process could not open.",
        attributes: tcp_attributes!(record::ERROR),
    },
    Metric {
        name: "sluice.tcp.connect.duration",
        unit: "s",
        kind: Kind::Histogram,
        description: "From SYN to established, where the process opened the connection.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.io",
        unit: "By",
        kind: Kind::Counter,
        description: "Bytes that the process read and wrote.",
        attributes: tcp_attributes!(IO_DIRECTION),
    },
    Metric {
        name: "sluice.tcp.io.operations",
        unit: "{operation}",
        kind: Kind::Counter,
        description: "Calls that read and wrote.",
        attributes: tcp_attributes!(IO_DIRECTION),
    },
    Metric {
        name: "sluice.tcp.io.duration",
        unit: "s",
        kind: Kind::Histogram,
        description: "Time in calls that read and wrote, where it is measured.",
        attributes: tcp_attributes!(IO_DIRECTION),
    },
    Metric {
        name: "sluice.tcp.rtt",
        unit: "s",
        kind: Kind::Histogram,
        description: "The smoothed round-trip time, looked up at each call.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.retransmits",
        unit: "{segment}",
        kind: Kind::Counter,
        description: "Segments sent again.",
        attributes: tcp_attributes!(),
    },
    Metric {
        name: "sluice.tcp.resets",
        unit: "{reset}",
        kind: Kind::Counter,
        description: "Resets sent (transmit) and received.",
        attributes: tcp_attributes!(IO_DIRECTION),
    },
];

/// Of packets that the kernel dropped.
pub static DROPS: [Metric; 1] = [Metric {
    name: "sluice.tcp.drops",
    unit: "{packet}",
    kind: Kind::Counter,
    description: "Packets that the kernel dropped, by its reason.",
    attributes: tcp_attributes!(DROP_REASON),
}];

/// All metrics.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    HTTP_SERVER.iter().chain(&HTTP_CLIENT).chain(&TCP).chain(&DROPS)
}
