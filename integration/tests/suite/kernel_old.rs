//! An emulated machine with Debian's Linux 6.1, which has no socket tracepoints: tier B loads there and sees exchanges. And
//! its time of day can be set, which that of the host cannot.
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
/// How far the time of day is set on, in seconds; the script tells it by the digits before the last six.
const STEP: u64 = 1_000_000;

/// What the machine does, and how it ends.
const SCRIPT: &str = r#"
echo "kernel $(uname -r)"
sluice run --config /config.yaml > /tmp/log 2>&1 &
wait_for() { i=0; until eval "$1" || [ $i -gt 1200 ]; do usleep 50000; i=$((i + 1)); done; }
wait_for 'grep -q "Everything is ready" /tmp/log'
echo hello > /tmp/index.html
httpd -p 127.0.0.1:8080 -h /tmp
mkdir /tmp/cgi-bin
printf '#!/bin/sh\ntouch /tmp/began\nuntil [ -e /tmp/stepped ]; do usleep 10000; done\n' > /tmp/cgi-bin/late
printf 'printf "Content-Type: text/plain\\r\\n\\r\\nlate"\n' >> /tmp/cgi-bin/late
chmod +x /tmp/cgi-bin/late
ask() { wget -q -O /dev/null --header "traceparent: 00-TRACE-b7ad6b7169203331-01" "http://127.0.0.1:8080/$1?n=$2"; }
recorded() { [ "$(grep -o sluice.http.exchange /tmp/records.jsonl | wc -l)" -ge $((2 * $1)) ]; }
for number in $(seq REQUESTS); do ask index.html $number; done
wait_for 'recorded REQUESTS'
number=$((REQUESTS + 1))
ask cgi-bin/late $number & late=$!
wait_for '[ -e /tmp/began ]'
before=$(date +%s)
date -s "@$((before + STEP))" > /dev/null
touch /tmp/stepped
wait $late
# The clocks are compared once a second.
seen_on() { grep -q "\"timeUnixNano\":\"$(((before + STEP) / 1000000))" /tmp/records.jsonl; }
wait_for 'number=$((number + 1)); ask index.html $number; seen_on'
wait_for 'recorded $number'
echo "stepped at $before after $number"
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
fn tier_b_sees_exchanges_on_linux_6_1_also_when_the_clock_is_set() {
    let setup = Setup::new();
    let script = SCRIPT
        .replace("REQUESTS", &REQUESTS.to_string())
        .replace("STEP", &STEP.to_string())
        .replace("TRACE", TRACE);
    let commands = "cat chmod date echo grep httpd mkdir printf seq sync touch uname usleep wc wget";
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
    let words: Vec<&str> =
        told.lines().find_map(|line| line.trim().strip_prefix("stepped at ")).unwrap().split(' ').collect();
    let (stepped, last): (u64, usize) = (words[0].parse().unwrap(), words[2].parse().unwrap());
    assert!(last > REQUESTS + 1, "{told}");
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
        let number = |record: &Value| of(record, "url.query").unwrap()[2..].parse::<usize>().unwrap();
        let mut queries: Vec<usize> = mine.iter().map(|record| number(record)).collect();
        queries.sort_unstable();
        assert_eq!(queries, (1..=last).collect::<Vec<_>>(), "the {role}'s side:\n{told}");
        for record in mine {
            let begin: u64 = record["timeUnixNano"].as_str().unwrap().parse().unwrap();
            let end: u64 = record["observedTimeUnixNano"].as_str().unwrap().parse().unwrap();
            // Durations are of the clock that nobody sets; the one under way when the day was set has its own too.
            assert!(begin <= end && end - begin < u64::try_from(PATIENCE.as_nanos()).unwrap(), "{record:#}");
            let second = begin / 1_000_000_000;
            match number(record) {
                early if early <= REQUESTS => assert!(second.abs_diff(stepped) < 3_600, "{record:#}"),
                late if late == last => assert!(second.abs_diff(stepped + STEP) < 3_600, "{record:#}"),
                _ => {}
            }
        }
    }
}
