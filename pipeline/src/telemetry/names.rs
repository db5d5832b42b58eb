//! The names of Sluice's own metrics, in one place. Those that the Collector has are the Collector's.
//!
//! Names with an items suffix (`spans`, `metric_points`, `log_records`, `profile_samples`) are completed with
//! [`crate::Signal::items_name`].

/// Items that a pipeline took, by `receiver` and `transport`.
pub const RECEIVER_ACCEPTED: &str = "otelcol_receiver_accepted_";
/// Items that no pipeline took, by `receiver` and `transport`.
pub const RECEIVER_REFUSED: &str = "otelcol_receiver_refused_";
/// Requests that were refused before their items were known, by `receiver`, `transport` and `reason`.
pub const RECEIVER_REFUSED_REQUESTS: &str = "sluice_receiver_refused_requests";
/// Connections that are open, by `receiver` and `transport`: `grpc` or `http`.
pub const RECEIVER_CONNECTIONS: &str = "sluice_receiver_open_connections";
/// Connections that were closed because others needed their place, by `receiver` and `reason`.
pub const RECEIVER_CLOSED_CONNECTIONS: &str = "sluice_receiver_closed_connections";
/// Values repaired at the door (invalid UTF-8), by `receiver`, `transport` and `reason`.
pub const RECEIVER_REPAIRED: &str = "sluice_receiver_repaired_values";
/// Requests that were rewritten into the canonical form at the door, by `receiver` and `transport`.
pub const RECEIVER_CANONICALISED: &str = "sluice_receiver_canonicalised_requests";
/// Clients that no longer waited when their answer was ready, by `receiver`, `transport` and `reason`: `disconnected`
/// (the connection or the call ended), `deadline` (the client's, of gRPC), `write_timeout` (the server's own limit).
pub const RECEIVER_ANSWERED_LATE: &str = "sluice_receiver_answered_late_requests";
/// Files that changed and were read again, by `result`: `taken`, or `refused` where the old content stays.
pub const FILE_RELOADS: &str = "sluice_file_reloads";
/// Lists and watches of Kubernetes that failed, by `resource` and `reason`: `unreachable`, `forbidden`, `refused`, `gone`,
/// `stalled`, `malformed`, `too_large`, `too_much`.
pub const KUBERNETES_FAILURES: &str = "sluice_kubernetes_failed_requests";
/// Resources that `k8sattributes` saw, by `processor`, `otel_signal` and `result`: `associated` with a pod, of a pod that
/// is `excluded` or `unknown`, or `unidentified`, since they say nothing of their pod.
pub const K8S_RESOURCES: &str = "sluice_processor_k8sattributes_resources";
/// Pods that `k8sattributes` came to know.
pub const K8S_POD_ADDED: &str = "otelcol_otelsvc_k8s_pod_added";
/// Changes of pods that it knew.
pub const K8S_POD_UPDATED: &str = "otelcol_otelsvc_k8s_pod_updated";
/// Pods that it knew and that are gone.
pub const K8S_POD_DELETED: &str = "otelcol_otelsvc_k8s_pod_deleted";
/// What its pods are known by: addresses, UIDs and so on.
pub const K8S_POD_TABLE_SIZE: &str = "otelcol_otelsvc_k8s_pod_table_size";
/// Resources whose pod it did not know.
pub const K8S_LOOKUP_MISS: &str = "otelcol_otelsvc_k8s_ip_lookup_miss";
/// Items that entered a processor, by `processor` and `otel_signal`.
pub const PROCESSOR_INCOMING: &str = "otelcol_processor_incoming_items";
/// Items that left a processor, by `processor` and `otel_signal`.
pub const PROCESSOR_OUTGOING: &str = "otelcol_processor_outgoing_items";
/// Items that a processor refused or dropped, by `processor`, `otel_signal` and `reason`.
pub const PROCESSOR_DROPPED: &str = "sluice_processor_dropped_items";
/// Sizes of the batches that the `batch` processor sent, in items, by `processor`.
pub const BATCH_SEND_SIZE: &str = "otelcol_processor_batch_batch_send_size";
/// The same in bytes, by `processor`. From level `detailed` on.
pub const BATCH_SEND_SIZE_BYTES: &str = "otelcol_processor_batch_batch_send_size_bytes";
/// Batches that left because they were full, by `processor`.
pub const BATCH_SIZE_TRIGGER: &str = "otelcol_processor_batch_batch_size_trigger_send";
/// Batches that left because they had waited long enough, by `processor`.
pub const BATCH_TIMEOUT_TRIGGER: &str = "otelcol_processor_batch_timeout_trigger_send";
/// Batches that left because their callers waited and nothing was under way, by `processor`.
pub const BATCH_IDLE_TRIGGER: &str = "sluice_processor_batch_idle_trigger_send";
/// Combinations of metadata values that are batched apart, by `processor`.
pub const BATCH_CARDINALITY: &str = "otelcol_processor_batch_metadata_cardinality";
/// Spans that the `probabilistic_sampler` kept or dropped, by `processor`, `policy` (what decided) and `sampled`.
pub const SAMPLER_TRACES: &str = "otelcol_processor_probabilistic_sampler_count_traces_sampled";
/// Log records that it kept or dropped, by the same.
pub const SAMPLER_LOGS: &str = "otelcol_processor_probabilistic_sampler_count_logs_sampled";
/// Spans that the `filter` dropped, by `processor`.
pub const FILTERED_SPANS: &str = "otelcol_processor_filter_spans_filtered";
/// Data points that it dropped, by `processor`.
pub const FILTERED_DATA_POINTS: &str = "otelcol_processor_filter_datapoints_filtered";
/// Log records that it dropped, by `processor`.
pub const FILTERED_LOG_RECORDS: &str = "otelcol_processor_filter_logs_filtered";
/// Traces that `groupbytrace` holds, by `processor`.
pub const GROUP_TRACES_HELD: &str = "otelcol_processor_groupbytrace_num_traces_in_memory";
/// Spans that it handed on, by `processor`.
pub const GROUP_SPANS_RELEASED: &str = "otelcol_processor_groupbytrace_spans_released";
/// Traces that it handed on, by `processor`.
pub const GROUP_TRACES_RELEASED: &str = "otelcol_processor_groupbytrace_traces_released";
/// Of those, traces that left before their time because there were too many, by `processor`.
pub const GROUP_TRACES_EVICTED: &str = "otelcol_processor_groupbytrace_traces_evicted";
/// Items that the `memory_limiter` let pass, by `processor`.
pub const LIMITER_ACCEPTED: &str = "otelcol_processor_memory_limiter_accepted_";
/// Items that the `memory_limiter` refused, by `processor`.
pub const LIMITER_REFUSED: &str = "otelcol_processor_memory_limiter_refused_";
/// Items that a destination took, by `exporter`.
pub const EXPORTER_SENT: &str = "otelcol_exporter_sent_";
/// Items that were given up, by `exporter` and `reason`.
pub const EXPORTER_SEND_FAILED: &str = "otelcol_exporter_send_failed_";
/// Items that a queue had no room for, by `exporter`.
pub const EXPORTER_ENQUEUE_FAILED: &str = "otelcol_exporter_enqueue_failed_";
/// Items that a destination rejected while it took the rest (partial success), by `exporter`.
pub const EXPORTER_REJECTED: &str = "sluice_exporter_rejected_items";
/// Attempts that failed and will be repeated, by `exporter` and `code`.
pub const EXPORTER_RETRIES: &str = "sluice_exporter_retried_requests";
/// What a queue holds, in its sizer's unit, by `exporter` and `data_type`.
pub const EXPORTER_QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// What a queue may hold, in its sizer's unit, by `exporter` and `data_type`.
pub const EXPORTER_QUEUE_CAPACITY: &str = "otelcol_exporter_queue_capacity";
/// Bytes that a queue holds, by `exporter` and `data_type`.
pub const EXPORTER_QUEUE_BYTES: &str = "sluice_exporter_queue_bytes";
/// Age in seconds of the oldest batch in a queue, by `exporter` and `data_type`.
pub const EXPORTER_QUEUE_AGE: &str = "sluice_exporter_queue_oldest_seconds";
/// Requests on their way to a destination, by `exporter` and `data_type`.
pub const EXPORTER_IN_FLIGHT: &str = "otelcol_exporter_in_flight_requests";
/// How long it took to make a durable queue survive a power cut, in seconds, by `exporter` and `data_type`.
pub const STORAGE_SYNC_SECONDS: &str = "sluice_storage_sync_seconds";
/// How many requests shared one append to a durable queue, by `exporter` and `data_type`.
pub const STORAGE_GROUP_SIZE: &str = "sluice_storage_group_size";
/// Operations of a durable queue that failed, by `exporter`, `data_type` and `operation`: `full`, `write`, `sync`,
/// `too_large`, `checkpoint`, `move`, `remove`.
pub const STORAGE_FAILURES: &str = "sluice_storage_failed_operations";
/// Records of a durable queue that were given up, by `exporter`, `data_type` and `reason`: `corrupt_header`,
/// `corrupt_payload`, `undecodable`, `unreadable`, `torn_tail` (never answered), `expired`, `evicted`. Where a header is
/// lost, the record counts one and its items are not known.
pub const STORAGE_LOST_RECORDS: &str = "sluice_storage_lost_records";
/// The items in them, as far as known, by the same.
pub const STORAGE_LOST_ITEMS: &str = "sluice_storage_lost_items";
