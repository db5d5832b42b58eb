//! The configuration of the demo, and the one to go on with.

use std::path::Path;

use super::Ports;

/// The demo's own: like the one below, with everything sampled and traces written to a file.
pub(super) fn configuration(ports: &Ports, output: &Path, with_kernel: bool) -> String {
    let Ports { otlp, health, .. } = ports;
    let (kernel, connector, exchanges, traces) = if with_kernel {
        (
            "  ebpf_network:
    own_executable: true
    processes:
      include:
        - command_line: demo-actor (client|proxy|server)
    syscall_timing: true
    sampling:
      window: 200ms
      syscall_events: true
      default:
        ratio: 1
        request: {content: true, max_size: 1KiB}
        response: {content: true, max_size: 1KiB}
",
            "connectors:
  trace_events: {}
",
            "    logs/kernel: {receivers: [ebpf_network], exporters: [trace_events]}
    traces/in: {receivers: [otlp], exporters: [trace_events]}
",
            "trace_events",
        )
    } else {
        ("", "", "", "otlp")
    };
    format!(
        "receivers:
  otlp:
    protocols:
      http: {{endpoint: '127.0.0.1:{otlp}'}}
{kernel}{connector}exporters:
  file: {{path: '{}'}}
extensions:
  health_check: {{endpoint: '127.0.0.1:{health}'}}
service:
  telemetry: {{metrics: {{level: none}}}}
  extensions: [health_check]
  pipelines:
{exchanges}    traces: {{receivers: [{traces}], exporters: [file]}}
",
        output.display()
    )
}

/// What to do next.
pub(super) fn closing(with_kernel: bool) -> String {
    let lead = if with_kernel {
        "That was Sluice with its own applications. With yours, and your own Zipkin:"
    } else {
        "Run it again as root (or see `sluice doctor`) for the kernel's side. With your own applications and Zipkin:"
    };
    format!(
        "{lead}

  # sluice.yaml; then: sudo sluice run --config sluice.yaml
  receivers:
    otlp: {{protocols: {{grpc: {{}}, http: {{}}}}}}   # localhost:4317 and :4318
    zipkin: {{endpoint: localhost:9412}}        # point your tracers at one of these
    ebpf_network:
      sampling:
        default:
          min_duration: 500ms                 # besides every 4xx and 5xx
          response: {{content: true}}
  connectors:
    trace_events: {{}}
  exporters:
    zipkin: {{endpoint: http://localhost:9411/api/v2/spans}}
  service:
    pipelines:
      logs/kernel: {{receivers: [ebpf_network], exporters: [trace_events]}}
      traces/in: {{receivers: [otlp, zipkin], exporters: [trace_events]}}
      traces: {{receivers: [trace_events], exporters: [zipkin]}}
"
    )
}
