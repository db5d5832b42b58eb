//! What the tests share: Sluice as a child, its peers, HTTP, and comparison of telemetry.

pub(crate) mod certificates;
pub(crate) mod chaos;
mod cluster;
mod compare;
mod control_group;
mod http;
pub(crate) mod kernel;
mod ledger;
pub(crate) mod machine;
mod oap;
mod peers;
mod sluice;

pub(crate) use cluster::{Cluster, pod};
pub(crate) use compare::{assert_same_telemetry, lines};
pub(crate) use control_group::ControlGroup;
pub(crate) use http::{Answer, get, grpc, post, raw, sum};
pub(crate) use ledger::{Clients, Destination, request};
pub(crate) use oap::{Oap, service_id, tag};
pub(crate) use peers::{
    PrometheusServer, ZipkinServer, envoy, is_root, java_shop, node, node_server, output, program, promtool,
    python, python_server, require, script, skip_for_host,
};
pub(crate) use sluice::{Setup, Sluice, executable};

use std::time::{Duration, Instant};

/// Longer than anything that a test waits for should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_every(Duration::from_millis(5), what, condition);
}

/// As [`eventually`], with this pause between two looks: a server has to work for the answer.
pub(crate) fn eventually_every(pause: Duration, what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, pause, what, condition);
}

/// As [`eventually_every`], for what takes several runs of a program or rounds of a server.
pub(crate) fn eventually_within(
    patience: Duration,
    pause: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < patience, "it did not come about that {what}");
        std::thread::sleep(pause);
    }
}
