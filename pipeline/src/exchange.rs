//! The contract between what sees HTTP exchanges in the kernel and what joins, samples or exports them.
//!
//! An exchange is one HTTP request with its response. It travels as one OTLP log record whose
//! [`event name`](EVENT_NAME) says so: its time is the start of the request, its trace and span id are those that the
//! headers of the request carried, its resource is the process that sent or received it. On a span it becomes span
//! events: [`REQUEST_EVENT`], [`RESPONSE_EVENT`] and one [`SYSCALL_EVENT_PREFIX`] event for each syscall.
//!
//! Names without `sluice.` are OpenTelemetry's semantic conventions.

/// `LogRecord.event_name` of an exchange.
pub const EVENT_NAME: &str = "sluice.http.exchange";

/// Name of the span event of a request.
pub const REQUEST_EVENT: &str = "HTTP Request Sampling";
/// Name of the span event of a response.
pub const RESPONSE_EVENT: &str = "HTTP Response Sampling";
/// What the name of the span event of a syscall begins with; its name follows, as in `Syscall Writev`.
pub const SYSCALL_EVENT_PREFIX: &str = "Syscall ";

/// Attributes of span events. Their time is the start.
pub mod event {
    /// int: the end of what the event stands for, in nanoseconds since the epoch. A span event that has it is an interval.
    pub const END: &str = "sluice.event.end_unix_nano";
    /// string: [`INBOUND`] or [`OUTBOUND`], as the process sees the bytes.
    pub const DIRECTION: &str = "sluice.event.direction";
    /// string: [`CLIENT`] or [`SERVER`], what the process is in the exchange.
    pub const ROLE: &str = "sluice.event.role";
    /// int: counts the events of one exchange from 0, in order of time.
    pub const SEQUENCE: &str = "sluice.event.sequence";
    /// string: what was sampled of head and body, as text.
    pub const CONTENT: &str = "sluice.event.content";
    /// int: bytes moved, head and body.
    pub const SIZE: &str = "sluice.event.size";
    /// int: how many calls a `Syscall` event stands for.
    pub const COUNT: &str = "sluice.event.count";
    /// int: nanoseconds spent in a syscall; absent where it was not measured.
    pub const DURATION: &str = "sluice.event.duration_nano";
    /// int: smoothed round-trip time of the connection, in microseconds.
    pub const RTT: &str = "sluice.event.rtt_micro";
    /// int: segments retransmitted since the connection's previous syscall.
    pub const RETRANSMITS: &str = "sluice.event.retransmits";

    /// A value of [`DIRECTION`].
    pub const INBOUND: &str = "inbound";
    /// A value of [`DIRECTION`].
    pub const OUTBOUND: &str = "outbound";
    /// A value of [`ROLE`].
    pub const CLIENT: &str = "client";
    /// A value of [`ROLE`].
    pub const SERVER: &str = "server";
}

/// Attributes of spans.
pub mod span {
    /// int: on a span that has nothing but ids and the events of an exchange, since the span itself has left before, or
    /// never came by: how many such events it got until then. Whoever stores spans is to merge the two.
    pub const PARTIAL: &str = "sluice.span.partial";
}

/// Attributes of an exchange's log record.
pub mod record {
    /// string: [`super::event::CLIENT`] or [`super::event::SERVER`].
    pub const ROLE: &str = super::event::ROLE;
    /// int: the end of the request, nanoseconds since the epoch.
    pub const REQUEST_END: &str = "sluice.request.end_unix_nano";
    /// int: the start of the response, nanoseconds since the epoch.
    pub const RESPONSE_START: &str = "sluice.response.start_unix_nano";
    /// int: the end of the response, nanoseconds since the epoch.
    pub const RESPONSE_END: &str = "sluice.response.end_unix_nano";

    /// string.
    pub const METHOD: &str = "http.request.method";
    /// string: without query and fragment.
    pub const PATH: &str = "url.path";
    /// string: with the values of secret keys blanked; absent if empty.
    pub const QUERY: &str = "url.query";
    /// string: `http`.
    pub const SCHEME: &str = "url.scheme";
    /// string: the request's `Host`.
    pub const HOST: &str = "server.address";
    /// string: `1.0` or `1.1`.
    pub const VERSION: &str = "network.protocol.version";
    /// int; absent if the connection ended first.
    pub const STATUS: &str = "http.response.status_code";
    /// int: head and body, in bytes on the wire.
    pub const REQUEST_SIZE: &str = "http.request.size";
    /// int: head and body, in bytes on the wire.
    pub const RESPONSE_SIZE: &str = "http.response.size";
    /// int: the body alone, in bytes.
    pub const REQUEST_BODY_SIZE: &str = "http.request.body.size";
    /// int: the body alone, in bytes.
    pub const RESPONSE_BODY_SIZE: &str = "http.response.body.size";
    /// string.
    pub const USER_AGENT: &str = "user_agent.original";
    /// string: why there is no (complete) response, such as `connection_closed`.
    pub const ERROR: &str = "error.type";

    /// string, and an int below: the process's own end of the connection.
    pub const LOCAL_ADDRESS: &str = "network.local.address";
    /// int.
    pub const LOCAL_PORT: &str = "network.local.port";
    /// string, and an int below: the other end.
    pub const PEER_ADDRESS: &str = "network.peer.address";
    /// int.
    pub const PEER_PORT: &str = "network.peer.port";

    /// string: which header gave the record its trace and span id, one of [`super::format`].
    pub const TRACE_FORMAT: &str = "sluice.trace.format";
    /// bool: whether the caller sampled the trace; absent if the header leaves it open.
    pub const TRACE_SAMPLED: &str = "sluice.trace.sampled";
    /// array of strings `format:trace id:span id`, ids as the headers had them: every context found, if there are several.
    pub const TRACE_CONTEXTS: &str = "sluice.trace.contexts";
    /// string: SkyWalking's trace id, which is text.
    pub const SW8_TRACE_ID: &str = "sluice.sw8.trace_id";
    /// string: SkyWalking's parent segment id.
    pub const SW8_SEGMENT_ID: &str = "sluice.sw8.segment_id";
    /// int: the index of the parent span in its segment.
    pub const SW8_SPAN_ID: &str = "sluice.sw8.span_id";

    /// string: why it was sampled, one of [`super::reason`].
    pub const SAMPLING_REASON: &str = "sluice.sampling.reason";
    /// string: the name or pattern of the rule that sampled it.
    pub const SAMPLING_RULE: &str = "sluice.sampling.rule";
    /// string: head and body of the request as sampled, secrets blanked; absent if the rule does not ask for it.
    pub const REQUEST_CONTENT: &str = "sluice.request.content";
    /// string: head and body of the response as sampled.
    pub const RESPONSE_CONTENT: &str = "sluice.response.content";
    /// bool: part of the exchange was not seen, so sizes or contents are incomplete.
    pub const TRUNCATED: &str = "sluice.exchange.truncated";
    /// array of maps, in order of time: the exchange's syscalls, with the keys of [`super::syscall`].
    pub const SYSCALLS: &str = "sluice.syscalls";
}

/// Keys of the maps in [`record::SYSCALLS`].
pub mod syscall {
    /// string: as in the event's name: `Read`, `Recvfrom`, `Writev`, `Sendfile`.
    pub const NAME: &str = "name";
    /// string: [`super::event::INBOUND`] or [`super::event::OUTBOUND`].
    pub const DIRECTION: &str = "direction";
    /// int: nanoseconds since the epoch.
    pub const START: &str = "start_unix_nano";
    /// int: nanoseconds since the epoch.
    pub const END: &str = "end_unix_nano";
    /// int: bytes moved.
    pub const SIZE: &str = "size";
    /// int: how many calls it stands for; 1 if absent.
    pub const COUNT: &str = "count";
    /// int: nanoseconds in the call; absent where it was not measured.
    pub const DURATION: &str = "duration_nano";
    /// int: microseconds.
    pub const RTT: &str = "rtt_micro";
    /// int: segments retransmitted since the connection's previous syscall.
    pub const RETRANSMITS: &str = "retransmits";
}

/// Values of [`record::SAMPLING_REASON`].
pub mod reason {
    /// The response's status is 500 to 599.
    pub const STATUS_5XX: &str = "status_5xx";
    /// The response's status is 400 to 499.
    pub const STATUS_4XX: &str = "status_4xx";
    /// The exchange lasted at least as long as its rule says.
    pub const SLOW: &str = "slow";
    /// The exchange is among the share that its rule takes of all.
    pub const RATIO: &str = "ratio";
}

/// Values of [`record::TRACE_FORMAT`].
pub mod format {
    /// W3C `traceparent`.
    pub const W3C: &str = "w3c";
    /// The single header `b3`.
    pub const B3: &str = "b3";
    /// The headers `X-B3-*`.
    pub const B3_MULTI: &str = "b3multi";
    /// SkyWalking's `sw8`.
    pub const SW8: &str = "sw8";
}

/// Attributes of the resource of an exchange: who sent or received it.
pub mod process {
    /// string: the file name of the executable, until someone knows better (`resource`, `k8sattributes`).
    pub const SERVICE_NAME: &str = "service.name";
    /// string: the host.
    pub const HOST_NAME: &str = "host.name";
    /// int: the process, as the host numbers it.
    pub const PID: &str = "process.pid";
    /// int: the process, as its own PID namespace numbers it, which is what an SDK in it reports; absent if the same.
    pub const NAMESPACE_PID: &str = "sluice.process.namespace_pid";
    /// string: the host name of the process's own UTS namespace, which is what an SDK in it reports; absent if unknown
    /// or the same.
    pub const NAMESPACE_HOST_NAME: &str = "sluice.process.namespace_host_name";
    /// string: the file name of the executable.
    pub const EXECUTABLE_NAME: &str = "process.executable.name";
    /// string: its path.
    pub const EXECUTABLE_PATH: &str = "process.executable.path";
    /// string: 64 hexadecimal digits, from the cgroup; absent outside containers.
    pub const CONTAINER_ID: &str = "container.id";
    /// string: from the cgroup, where Kubernetes made it.
    pub const POD_UID: &str = "k8s.pod.uid";
}
