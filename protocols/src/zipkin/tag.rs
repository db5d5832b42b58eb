//! The names under which OpenTelemetry's fields travel as Zipkin tags and back as attributes.
//!
//! Source: the OpenTelemetry specification, "OpenTelemetry to Zipkin Transformation", and the names that the
//! Collector's translator adds. Receiver and exporter must agree on them.

/// The name of the instrumentation scope.
pub const SCOPE_NAME: &str = "otel.scope.name";
/// The version of the instrumentation scope.
pub const SCOPE_VERSION: &str = "otel.scope.version";
/// The older name of [`SCOPE_NAME`].
pub const LIBRARY_NAME: &str = "otel.library.name";
/// The older name of [`SCOPE_VERSION`].
pub const LIBRARY_VERSION: &str = "otel.library.version";
/// The status code: `Ok` or `Error`.
pub const STATUS_CODE: &str = "otel.status_code";
/// The status message.
pub const STATUS_DESCRIPTION: &str = "otel.status_description";
/// Present if the span failed.
pub const ERROR: &str = "error";
/// The kind, where Zipkin has none for it: `internal`.
pub const SPAN_KIND: &str = "span.kind";
/// The W3C trace state.
pub const TRACE_STATE: &str = "w3c.tracestate";
/// A link, with its place in the list appended: `trace id|span id|trace state|{attributes}|dropped attributes`.
pub const LINK_PREFIX: &str = "otlp.link.";
/// The resource attribute that the service name was taken from, if it is not `service.name`.
pub const SERVICE_NAME_SOURCE: &str = "otlp.service.name.source";
/// How many attributes the SDK dropped.
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
/// How many events the SDK dropped.
pub const DROPPED_EVENTS: &str = "otel.dropped_events_count";
/// How many links the SDK dropped.
pub const DROPPED_LINKS: &str = "otel.dropped_links_count";

/// True on a span that came without a timestamp.
pub const ABSENT_TIMESTAMP: &str = "otel.zipkin.absentField.startTime";
/// True on a span with Zipkin's shared flag. Sluice's own name: the Collector drops the flag.
pub const SHARED: &str = "zipkin.shared";
/// True on a span with Zipkin's debug flag. Sluice's own name: the Collector drops the flag.
pub const DEBUG: &str = "zipkin.debug";

/// The service name that stands for none.
pub const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";

/// The attributes that one of the two endpoints of a span travels as.
#[derive(Clone, Copy, Debug)]
pub struct EndpointNames {
    /// The IPv4 address, else the IPv6 address.
    pub address: &'static str,
    /// The IPv6 address of an endpoint that has both. Sluice's own name: the Collector drops one.
    pub second_address: &'static str,
    /// The port.
    pub port: &'static str,
}

/// Of the local endpoint.
pub const LOCAL: EndpointNames = EndpointNames {
    address: "net.host.ip",
    second_address: "zipkin.local_endpoint.ipv6",
    port: "net.host.port",
};
/// Of the remote endpoint, beside [`PEER_SERVICE`].
pub const REMOTE: EndpointNames = EndpointNames {
    address: "net.peer.ip",
    second_address: "zipkin.remote_endpoint.ipv6",
    port: "net.peer.port",
};
/// The service name of the remote endpoint.
pub const PEER_SERVICE: &str = "peer.service";
