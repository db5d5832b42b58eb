//! An emulated machine with Debian's Linux 6.1, which has no socket tracepoints: tier B loads there and sees exchanges.
//!
//! The machine has nothing but this Sluice, and busybox for the server and the client. What it prints is what is compared.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::Setup;
use crate::support::kernel::{members, records};
use crate::support::machine::Machines;

/// An emulated processor takes its time.
const PATIENCE: Duration = Duration::from_secs(240);
const REQUESTS: usize = 20;

/// What the machine does, and how it ends.
const SCRIPT: &str = r#"
echo "kernel $(uname -r)"
sluice run --config /config.yaml > /tmp/log 2>&1 &
wait_for() { i=0; until eval "$1" || [ $i -gt 1200 ]; do usleep 50000; i=$((i + 1)); done; }
wait_for 'grep -q "Everything is ready" /tmp/log'
echo hello > /tmp/index.html
httpd -p 127.0.0.1:8080 -h /tmp
for number in $(seq REQUESTS); do
    wget -q -O /dev/null --header "traceparent: 00-TRACE-b7ad6b7169203331-01" "http://127.0.0.1:8080/index.html?n=$number"
done
wait_for '[ $(grep -o sluice.http.exchange /tmp/records.jsonl | wc -l) -ge $((2 * REQUESTS)) ]'
cat /tmp/log /tmp/records.jsonl
sync
poweroff -f
"#;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CONFIG: &str = "receivers:
  ebpf_network: {sampling: {window: 100ms, default: {ratio: 1}}}
exporters:
  file: {path: /tmp/records.jsonl}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [ebpf_network], exporters: [file]}
";

#[test]
fn tier_b_sees_exchanges_on_linux_6_1() {
    let setup = Setup::new();
    let script = SCRIPT.replace("REQUESTS", &REQUESTS.to_string()).replace("TRACE", TRACE);
    let commands = "cat echo grep httpd seq sync uname usleep wc wget";
    let Some(machines) = Machines::new(&setup, &script, commands, &[("config.yaml", CONFIG)]) else { return };
    let log = setup.path("machine.log");
    let mut machine = machines.start(&log, "", &["-nic".to_owned(), "none".to_owned()]);
    let ended = machine.wait(PATIENCE);
    let told = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(ended.is_ok(), "the machine runs on:\n{told}");

    assert!(told.contains("kernel 6.1."), "{told}");
    assert!(told.contains("B (system calls)"), "the tier is told:\n{told}");
    let exchanges: Vec<Value> = told
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("{\"resourceLogs\""))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .flat_map(|document: Value| records(&document).cloned().collect::<Vec<_>>())
        .collect();
    for role in ["client", "server"] {
        let of = |record: &Value, key: &str| {
            let pair = members(record, &["attributes"]).find(|pair| pair["key"] == key)?;
            pair["value"]["stringValue"].as_str().map(str::to_owned)
        };
        let mine: Vec<&Value> = exchanges
            .iter()
            .filter(|record| of(record, "sluice.event.role").as_deref() == Some(role))
            .collect();
        assert!(mine.iter().all(|record| record["traceId"] == TRACE), "{mine:#?}");
        let mut queries: Vec<u32> =
            mine.iter().map(|record| of(record, "url.query").unwrap()[2..].parse().unwrap()).collect();
        queries.sort_unstable();
        assert_eq!(queries, (1..=20).collect::<Vec<_>>(), "the {role}'s side:\n{told}");
    }
}
