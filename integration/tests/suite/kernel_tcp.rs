//! What goes wrong on TCP connections, in the metrics of either end: segments lost and sent again, resets, connects that fail.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::kernel::{members, recorded, recording, start};
use crate::support::{Setup, eventually, is_root, lines, python};

/// The last value, or count, of each series: by metric, port of the server, role, and what else tells its points apart.
type Points = BTreeMap<(String, u64, String, String), u64>;

#[test]
fn losses_resets_and_failures_are_counted_at_both_ends() {
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let receiver = format!(
            "    tier: {tier}
    processes: {{include: [{{command_line: incidents.py}}]}}
    metrics: {{interval: 200ms}}
    sampling: {{untraced: true, window: 100ms, syscall_events: true, default: {{ratio: 1}}}}"
        );
        let sluice = start(&setup, &recording(&setup, &receiver));
        let Some(printed) = python("incidents.py", &[]) else { return };
        let told: Value = serde_json::from_str(&printed).unwrap();
        let port = |incident: &str| told[incident]["port"].as_u64().unwrap();
        let (lost, reset) = (port("lost"), port("reset"));
        let (refused, unanswered) = (port("refused"), port("unanswered"));
        let of = |points: &Points, name: &str, port: u64, role: &str, what: &str| {
            let key = (format!("sluice.tcp.{name}"), port, role.to_owned(), what.to_owned());
            points.get(&key).copied().unwrap_or(0)
        };
        eventually("all ends are closed", || {
            let points = points(&setup);
            let closed = |port: u64, role: &str| of(&points, "connections.closed", port, role, "") == 1;
            [lost, reset].into_iter().all(|port| closed(port, "client") && closed(port, "server"))
                && [refused, unanswered].into_iter().all(|port| closed(port, "client"))
                && recorded(&setup, "client").len() == 3
        });
        sluice.stop();

        let points = points(&setup);
        let all = |name: &str| -> Vec<(u64, &str, &str, u64)> {
            let name = format!("sluice.tcp.{name}");
            let mine = points.iter().filter(|((metric, ..), value)| *metric == name && **value > 0);
            mine.map(|((_, port, role, what), value)| (*port, role.as_str(), what.as_str(), *value)).collect()
        };
        let sorted = |mut list: Vec<(u64, &'static str, &'static str, u64)>| {
            list.sort_unstable();
            list
        };
        let times = |incident: &str| told[incident]["times"].as_u64().unwrap();
        let (times, attempts) = (times("lost"), times("unanswered"));
        assert!(times > 0 && attempts > 0, "{told}");
        // What began the connection that nobody answered was sent again, too.
        let retransmits = vec![(lost, "client", "", times), (unanswered, "client", "", attempts)];
        assert_eq!(all("retransmits"), sorted(retransmits), "tier {tier}");
        assert_eq!(retransmits_at_calls(&setup, lost), times, "tier {tier}");
        let drops: Vec<_> =
            all("drops").into_iter().filter(|(_, _, why, _)| *why == "SOCKET_FILTER").collect();
        assert_eq!(drops, [(lost, "server", "SOCKET_FILTER", times)], "tier {tier}");
        assert_eq!(
            all("resets"),
            sorted(vec![(reset, "client", "transmit", 1), (reset, "server", "receive", 1)]),
            "tier {tier}"
        );
        assert_eq!(
            all("connections.failed"),
            sorted(vec![
                (refused, "client", "connection_refused", 1),
                (unanswered, "client", "timed_out", 1)
            ]),
            "tier {tier}"
        );
        for (name, role) in [("connections.opened", "client"), ("connections.accepted", "server")] {
            assert_eq!(all(name), sorted(vec![(lost, role, "", 1), (reset, role, "", 1)]), "tier {tier}");
        }
        let size = |message: &str| told["sizes"][message].as_u64().unwrap();
        for (port, requests) in [(lost, 2), (reset, 1)] {
            for (role, request, response) in
                [("client", "transmit", "receive"), ("server", "receive", "transmit")]
            {
                assert_eq!(of(&points, "io", port, role, request), requests * size("request"), "tier {tier}");
                assert_eq!(
                    of(&points, "io", port, role, response),
                    requests * size("response"),
                    "tier {tier}"
                );
            }
            assert_eq!(of(&points, "connect.duration", port, "client", ""), 1, "tier {tier}");
            assert!(of(&points, "rtt", port, "client", "") > 0, "tier {tier}");
        }
    }
}

/// What the calls of the client's exchanges say.
fn retransmits_at_calls(setup: &Setup, port: u64) -> u64 {
    let port = port.to_string();
    let mine = |record: &BTreeMap<String, Value>| record["network.peer.port"] == port;
    let records = recorded(setup, "client").into_iter().filter(mine);
    let calls = records.flat_map(|record| {
        let calls = members(&record["sluice.syscalls"], &["values"]).map(|call| call["kvlistValue"].clone());
        calls.collect::<Vec<_>>()
    });
    let counts = calls.filter_map(|call| {
        let pair = members(&call, &["values"]).find(|pair| pair["key"] == "retransmits")?;
        pair["value"]["intValue"].as_str()?.parse::<u64>().ok()
    });
    counts.sum()
}

fn points(setup: &Setup) -> Points {
    let text = fs::read_to_string(setup.path("metrics.jsonl")).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut points = Points::new();
    for document in lines(complete) {
        for metric in members(&document, &["resourceMetrics", "scopeMetrics", "metrics"]) {
            let name = metric["name"].as_str().unwrap();
            for point in ["sum", "histogram"].iter().flat_map(|kind| members(&metric[*kind], &["dataPoints"]))
            {
                let attribute = |key: &str| {
                    members(point, &["attributes"])
                        .find(|pair| pair["key"] == key)
                        .map(|pair| pair["value"].as_object().unwrap().values().next().unwrap())
                        .map(|value| value.as_str().unwrap().to_owned())
                };
                let Some(port) = attribute("server.port") else { continue };
                let what = ["network.io.direction", "sluice.tcp.drop.reason", "error.type"];
                let key = (
                    name.to_owned(),
                    port.parse().unwrap(),
                    attribute("sluice.event.role").unwrap_or_default(),
                    what.iter().find_map(|key| attribute(key)).unwrap_or_default(),
                );
                let value = [&point["asInt"], &point["count"]].into_iter().find_map(Value::as_str).unwrap();
                points.insert(key, value.parse().unwrap());
            }
        }
    }
    points
}
