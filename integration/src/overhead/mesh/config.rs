//! What Sluice is told to do beside the proxy.

use std::{net::SocketAddr, path::Path};

/// Where Sluice listens, and where what it sends on goes.
pub(super) struct Places<'a> {
    /// Its receiver of Envoy's spans.
    pub(super) zipkin: SocketAddr,
    /// A Zipkin server.
    pub(super) sink: SocketAddr,
    /// Its own metrics.
    pub(super) telemetry: SocketAddr,
    /// Of the Envoy that is watched, and for files.
    pub(super) folder: &'a Path,
}

/// One Envoy alone is watched, on connections with these ports or on all. The events of traces that Envoy does not sample
/// are records.
pub(super) fn config(ports: &[u16], places: &Places<'_>) -> String {
    let Places { zipkin, sink, telemetry, folder } = places;
    format!(
        "receivers:
  zipkin: {{endpoint: '{zipkin}'}}
  ebpf_network:
    processes: {{include: [{{command_line: 'envoy .* {folder}/'}}]}}
    ports: {ports:?}
    sampling:
      top: 1000
      honour_sampled_flag: false
      default: {{min_duration: 500ms, request: {{content: true}}, response: {{content: true}}}}
processors:
  batch: {{}}
connectors:
  trace_events: {{}}
exporters:
  zipkin: {{endpoint: 'http://{sink}/api/v2/spans'}}
  file/unjoined: {{path: {folder}/unjoined.jsonl}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}}}
  pipelines:
    logs/kernel: {{receivers: [ebpf_network], exporters: [trace_events]}}
    logs/unjoined: {{receivers: [trace_events], exporters: [file/unjoined]}}
    traces/in: {{receivers: [zipkin], exporters: [trace_events]}}
    traces: {{receivers: [trace_events], processors: [batch], exporters: [zipkin]}}
",
        telemetry.ip(),
        telemetry.port(),
        folder = folder.display(),
    )
}
