//! The names under which OTLP keeps what SkyWalking says and OTLP has no place for: the contract between receiver and
//! exporter that `docs/skywalking-mapping.md` explains.

/// Attributes of spans, links and log records: the identity of a span in SkyWalking's terms.
pub mod id {
    /// The trace id as it came, a string. On spans, links, log records.
    pub const TRACE_ID: &str = "sw8.trace_id";
    /// The id of the segment that the span belongs to, a string. On spans and log records.
    pub const SEGMENT_ID: &str = "sw8.segment_id";
    /// The span's number in its segment, an integer; a string on records of [`super::event_name::SPAN_ATTACHED_EVENT`].
    pub const SPAN_ID: &str = "sw8.span_id";
    /// The parent's number, an integer. On spans, in their own segment, absent for -1; on links, in the parent's segment.
    pub const PARENT_SPAN_ID: &str = "sw8.parent_span_id";
    /// The segment of the referred span, a string. On links; a link without it is no reference of SkyWalking's.
    pub const PARENT_SEGMENT_ID: &str = "sw8.parent_segment_id";
}

/// Attributes of links, as the Collector's receiver names them.
pub mod link {
    /// `parentService`.
    pub const PARENT_SERVICE: &str = "parent.service";
    /// `parentServiceInstance`.
    pub const PARENT_INSTANCE: &str = "parent.service.instance";
    /// `parentEndpoint`.
    pub const PARENT_ENDPOINT: &str = "parent.endpoint";
    /// `networkAddressUsedAtPeer`.
    pub const ADDRESS_USED_AT_PEER: &str = "network.AddressUsedAtPeer";
    /// `refType` by name; an integer if this build does not know its name.
    pub const REF_TYPE: &str = "refType";
}

/// Attributes of resources.
pub mod resource {
    /// `service`.
    pub const SERVICE_NAME: &str = "service.name";
    /// `serviceInstance`.
    pub const SERVICE_INSTANCE: &str = "service.instance.id";
    /// `layer` of logs, events and instances.
    pub const SERVICE_LAYER: &str = "service.layer";
    /// `serviceVersion` of browsers.
    pub const SERVICE_VERSION: &str = "service.version";
    /// The encoded `Identifier` of a stream of Envoy's access logs or metrics, bytes; on metrics even if it is empty.
    pub const ENVOY_IDENTIFIER: &str = "envoy.identifier";
    /// `Node.id` of the same, for reading.
    pub const ENVOY_NODE_ID: &str = "envoy.node.id";
    /// `Node.cluster` of the same, for reading.
    pub const ENVOY_NODE_CLUSTER: &str = "envoy.node.cluster";
}

/// Scopes.
pub mod scope {
    /// The name of the scope of logs and meters, by which they are known for an agent's own.
    pub const NAME: &str = "skywalking";
}

/// Attributes of spans.
pub mod span {
    /// `spanLayer` by name; an integer if this build does not know its name; absent for `Unknown`.
    pub const LAYER: &str = "skywalking.span_layer";
    /// `spanType`, an integer, where OTLP's kind cannot say it.
    pub const TYPE: &str = "skywalking.span_type";
    /// `componentId`, an integer, absent for 0.
    pub const COMPONENT_ID: &str = "skywalking.component_id";
    /// `skipAnalysis`, true or absent.
    pub const SKIP_ANALYSIS: &str = "skywalking.skip_analysis";
    /// `isSizeLimited` of the segment, true or absent, on each of its spans.
    pub const SIZE_LIMITED: &str = "skywalking.size_limited";
    /// `peer` of a span of kind SERVER, with [`CLIENT_PORT`].
    pub const CLIENT_ADDRESS: &str = "client.address";
    /// An integer.
    pub const CLIENT_PORT: &str = "client.port";
    /// `peer` of any other span, with [`SERVER_PORT`].
    pub const SERVER_ADDRESS: &str = "server.address";
    /// An integer.
    pub const SERVER_PORT: &str = "server.port";

    /// Tags that have a name in the semantic conventions: SkyWalking's, OpenTelemetry's.
    pub const TAGS: [(&str, &str); 6] = [
        ("url", "url.full"),
        ("http.method", "http.request.method"),
        (HTTP_STATUS_CODE, HTTP_RESPONSE_STATUS_CODE),
        ("db.type", "db.system.name"),
        ("db.instance", "db.namespace"),
        ("db.statement", "db.query.text"),
    ];
    /// The tag that is an integer in OTLP, if its text is just how that integer is written; else it stays as it is.
    pub const HTTP_STATUS_CODE: &str = "http.status_code";
    /// See [`HTTP_STATUS_CODE`].
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
}

/// Events of spans, which are SkyWalking's logs of spans.
pub mod span_event {
    /// The name of a log that tells of an exception: it has [`ERROR_KIND`] or [`STACK`].
    pub const EXCEPTION: &str = "exception";
    /// The name of any other, as in the Collector.
    pub const LOGS: &str = "logs";
    /// What makes a log an exception.
    pub const ERROR_KIND: &str = "error.kind";
    /// What makes a log an exception.
    pub const STACK: &str = "stack";
    /// Keys of an exception: SkyWalking's, OpenTelemetry's.
    pub const DATA: [(&str, &str); 3] =
        [(ERROR_KIND, "exception.type"), ("message", "exception.message"), (STACK, "exception.stacktrace")];
}

/// What stands before a key that would otherwise be taken for one of this contract's: before tags of spans, data of
/// exceptions, tags of logs and attached events, properties of instances, labels of meters.
pub const ESCAPE: &str = "skywalking.tag.";

/// The beginnings of keys that belong to this contract.
pub const RESERVED: [&str; 3] = ["sw8.", "skywalking.", "sluice.event."];

/// `LogRecord.event_name` of all that comes as a log record and is no plain log.
pub mod event_name {
    /// `Event`.
    pub const EVENT: &str = "skywalking.event";
    /// `InstanceProperties`.
    pub const INSTANCE_PROPERTIES: &str = "skywalking.instance_properties";
    /// `InstancePingPkg`.
    pub const INSTANCE_PING: &str = "skywalking.instance_ping";
    /// `SpanAttachedEvent`.
    pub const SPAN_ATTACHED_EVENT: &str = "skywalking.span_attached_event";
    /// `BrowserPerfData`.
    pub const BROWSER_PERF: &str = "skywalking.browser.perf";
    /// `BrowserWebVitalsPerfData`.
    pub const BROWSER_WEB_VITALS: &str = "skywalking.browser.web_vitals";
    /// `BrowserResourcePerfData`.
    pub const BROWSER_RESOURCE: &str = "skywalking.browser.resource";
    /// `BrowserWebInteractionsPerfData`.
    pub const BROWSER_WEB_INTERACTIONS: &str = "skywalking.browser.web_interactions";
    /// `BrowserErrorLog`.
    pub const BROWSER_ERROR: &str = "skywalking.browser.error";
    /// An encoded `HTTPServiceMeshMetric` as body.
    pub const MESH_HTTP: &str = "skywalking.mesh.http";
    /// An encoded `TCPServiceMeshMetric` as body.
    pub const MESH_TCP: &str = "skywalking.mesh.tcp";
    /// An encoded `EBPFAccessLogMessage` as body, with node and connection even where the stream left them out.
    pub const EBPF_ACCESS_LOG: &str = "skywalking.ebpf.access_log";
    /// An encoded `EBPFProcessReportList` as body.
    pub const EBPF_PROCESSES: &str = "skywalking.ebpf.processes";
    /// An encoded `EBPFProcessPingPkgList` as body.
    pub const EBPF_PROCESS_PINGS: &str = "skywalking.ebpf.process_pings";
    /// An encoded `envoy.data.accesslog.v3.HTTPAccessLogEntry` as body.
    pub const ENVOY_HTTP: &str = "envoy.access_log.http";
    /// An encoded `envoy.data.accesslog.v3.TCPAccessLogEntry` as body.
    pub const ENVOY_TCP: &str = "envoy.access_log.tcp";
}

/// Attributes of log records.
pub mod log {
    /// `endpoint` of logs and of the source of events.
    pub const ENDPOINT: &str = "skywalking.endpoint";
    /// `body.type`.
    pub const BODY_TYPE: &str = "skywalking.log.type";
    /// `json` or `yaml` where the body is one of these; absent for text.
    pub const BODY_FORMAT: &str = "skywalking.log.format";
    /// The tag that severity is taken from; it stays where it is.
    pub const LEVEL: &str = "level";
}

/// Attributes of records of [`event_name::EVENT`].
pub mod event {
    /// `uuid`.
    pub const UUID: &str = "skywalking.event.uuid";
    /// `name`.
    pub const NAME: &str = "skywalking.event.name";
    /// `type`, an integer, where it is neither Normal (severity INFO) nor Error (severity ERROR).
    pub const TYPE: &str = "skywalking.event.type";
    /// `startTime` in milliseconds, an integer, absent for 0.
    pub const START_TIME: &str = "skywalking.event.start_time";
    /// `endTime` in milliseconds, an integer, absent for 0.
    pub const END_TIME: &str = "skywalking.event.end_time";
    /// `parameters`, a key-value list.
    pub const PARAMETERS: &str = "skywalking.event.parameters";
}

/// Attributes of records of [`event_name::SPAN_ATTACHED_EVENT`].
pub mod attached_event {
    /// `event`.
    pub const NAME: &str = "skywalking.event.name";
    /// `endTime` in nanoseconds since 1970, an integer, absent as in the message; the name is that of timed span events.
    pub const END: &str = "sluice.event.end_unix_nano";
    /// Before each key of `summary`; the values are integers.
    pub const SUMMARY: &str = "skywalking.summary.";
    /// `traceContext.type` by name, an integer if this build does not know its name; absent without a context.
    pub const CONTEXT_TYPE: &str = "skywalking.trace_context.type";
}

/// Attributes of the records of browsers; all times in milliseconds.
pub mod browser {
    /// `pagePath`.
    pub const PAGE_PATH: &str = "url.path";
    /// Before the name of each number of `BrowserPerfData`, `BrowserWebVitalsPerfData` and
    /// `BrowserWebInteractionsPerfData` in snake case, absent for 0: `skywalking.browser.dns_time`. Integers, `cls` a double.
    pub const NUMBERS: &str = "skywalking.browser.";
    /// `name` of a resource.
    pub const RESOURCE_NAME: &str = "url.full";
    /// `duration` of a resource, an integer.
    pub const RESOURCE_DURATION: &str = "skywalking.browser.duration";
    /// `size` of a resource in bytes, an integer.
    pub const RESOURCE_SIZE: &str = "skywalking.browser.size";
    /// `resourceType`.
    pub const RESOURCE_TYPE: &str = "skywalking.browser.resource_type";
    /// `protocol`.
    pub const PROTOCOL: &str = "network.protocol.name";
    /// `uniqueId` of an error.
    pub const UNIQUE_ID: &str = "skywalking.browser.unique_id";
    /// `category` by name, an integer if this build does not know its name.
    pub const CATEGORY: &str = "exception.type";
    /// `grade`.
    pub const GRADE: &str = "skywalking.browser.grade";
    /// `line`, an integer.
    pub const LINE: &str = "code.line.number";
    /// `col`, an integer.
    pub const COLUMN: &str = "code.column.number";
    /// `stack`.
    pub const STACK: &str = "exception.stacktrace";
    /// `errorUrl`.
    pub const ERROR_URL: &str = "url.full";
    /// `firstReportedError`, true or absent.
    pub const FIRST_REPORTED: &str = "skywalking.browser.first_reported";
}

/// Metrics.
pub mod metric {
    /// A key of `Metric.metadata`: `true` says that a histogram has no bucket from negative infinity.
    pub const BOUNDED: &str = "skywalking.histogram.bounded";
    /// A key of `Metric.metadata`: `true` says that a gauge is a histogram whose buckets OTLP cannot hold, a data point
    /// for each bucket in order, its last attribute [`BUCKET`].
    pub const BUCKETS: &str = "skywalking.histogram.buckets";
    /// The lower bound of a bucket, a double.
    pub const BUCKET: &str = "skywalking.histogram.bucket";
    /// The name of the scope that holds one `JVMMetric`.
    pub const JVM_SCOPE: &str = "skywalking.jvm";
    /// The name of the scope that holds one `CLRMetric`.
    pub const CLR_SCOPE: &str = "skywalking.clr";
    /// A key of `Metric.metadata`, as the Collector's Prometheus receiver writes it: `unknown` for untyped families.
    pub const PROMETHEUS_TYPE: &str = "prometheus.type";
}
