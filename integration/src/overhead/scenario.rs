//! What is measured.

use std::{net::SocketAddr, path::Path};

/// A way to run Sluice beside nginx and wrk.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What runs.
    pub what: &'static str,
    /// `a` or `b`; `None` for no Sluice at all.
    tier: Option<&'static str>,
    /// Whether wrk is watched too.
    both_ends: bool,
    /// Whether HTTP is measured.
    http: bool,
    /// Whether 1 % of the exchanges is recorded with its content.
    content: bool,
}

const fn scenario(
    name: &'static str,
    what: &'static str,
    tier: &'static str,
    [both_ends, http, content]: [bool; 3],
) -> Scenario {
    Scenario { name, what, tier: Some(tier), both_ends, http, content }
}

/// All of them; the first is what the others are compared with.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "none",
        what: "nginx and wrk alone",
        tier: None,
        both_ends: false,
        http: false,
        content: false,
    },
    scenario("a-tcp", "tier A, nginx's end, TCP metrics", "a", [false, false, false]),
    scenario("a-http", "tier A, nginx's end, HTTP and TCP metrics", "a", [false, true, false]),
    scenario("a-content", "tier A, nginx's end, and 1 % with content", "a", [false, true, true]),
    scenario("a-both", "tier A, both ends, HTTP and TCP metrics", "a", [true, true, false]),
    scenario("b-http", "tier B, nginx's end, HTTP and TCP metrics", "b", [false, true, false]),
    scenario("b-both", "tier B, both ends, HTTP and TCP metrics", "b", [true, true, false]),
];

impl Scenario {
    /// The configuration, which names nginx's folder and address: another one runs beside it; `None` for no Sluice.
    pub(super) fn config(&self, nginx: SocketAddr, telemetry: SocketAddr, folder: &Path) -> Option<String> {
        let tier = self.tier?;
        let wrk = if self.both_ends {
            format!(", {{command_line: 'wrk .* http://{nginx}/'}}")
        } else {
            String::new()
        };
        let logs =
            if self.content { "\n    logs: {receivers: [ebpf_network], exporters: [file]}" } else { "" };
        Some(format!(
            "receivers:
  ebpf_network:
    tier: {tier}
    processes: {{include: [{{command_line: 'nginx -c {folder}/'}}{wrk}]}}
    metrics: {{interval: 1s, http: {}}}
    sampling:
      default: {{ratio: 0.01, request: {{content: true}}, response: {{content: true}}}}
exporters:
  file: {{path: {folder}/records.jsonl}}
  file/metrics: {{path: {folder}/metrics.jsonl}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}}}
  pipelines:
    metrics: {{receivers: [ebpf_network], exporters: [file/metrics]}}{logs}
",
            self.http,
            telemetry.ip(),
            telemetry.port(),
            folder = folder.display(),
        ))
    }
}
