//! What tracing costs a proxy: wrk flat out through Envoy to nginx, in turns with the same untraced: traced in full, and traced
//! a little, without and with the kernel's events for what is slow or failed.

mod config;
mod envoy;
mod sink;
mod stack;

use std::{
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Serialize;

use self::{
    config::Places,
    envoy::{Kind, Tracing},
    sink::Sink,
    stack::{ADDRESS, Plan, Stack},
};
use super::{
    PATIENCE, host, measure_programs, median, microseconds_each, or_nothing, start_sluice, turns, usage,
};
use crate::{Outcome, process::free_address};

/// A way to trace the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What runs.
    pub what: &'static str,
    kind: Kind,
    /// The percentage of requests that Envoy traces.
    sampling: Option<f64>,
    /// Whether spans go through Sluice, which adds events; and which ends of Envoy it watches then.
    events: Option<Ends>,
}

/// The connections of Envoy that Sluice watches.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// To wrk and to nginx.
    Both,
    /// To nginx alone: wrk sends no trace context.
    Upstream,
}

const fn scenario(
    name: &'static str,
    what: &'static str,
    kind: Kind,
    sampling: Option<f64>,
    events: Option<Ends>,
) -> Scenario {
    Scenario { name, what, kind, sampling, events }
}

/// All of them. The first shows how far a comparison can be trusted.
pub const SCENARIOS: &[Scenario] = &[
    scenario("untraced", "no tracing", Kind::Bare, None, None),
    scenario("zipkin", "Zipkin tracing at 100 %", Kind::Bare, Some(100.0), None),
    scenario("zipkin-0", "Zipkin tracing at 0 %", Kind::Bare, Some(0.0), None),
    scenario("zipkin-1", "Zipkin tracing at 1 %", Kind::Bare, Some(1.0), None),
    scenario(
        "events",
        "the same, and Sluice's events of every slow, 4xx and 5xx exchange",
        Kind::Bare,
        Some(1.0),
        Some(Ends::Both),
    ),
    scenario(
        "events-upstream",
        "the same, with `ports` set to nginx's",
        Kind::Bare,
        Some(1.0),
        Some(Ends::Upstream),
    ),
    scenario("mesh-zipkin-1", "as Istio sets it up: Zipkin tracing at 1 %", Kind::Mesh, Some(1.0), None),
    scenario("mesh-events", "the same, and Sluice's events", Kind::Mesh, Some(1.0), Some(Ends::Both)),
    scenario(
        "mesh-events-upstream",
        "the same, with `ports` set to nginx's",
        Kind::Mesh,
        Some(1.0),
        Some(Ends::Upstream),
    ),
];

/// One measurement: a traced proxy and an untraced one of the same kind, in turns.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests a second that wrk got answered, in the middle of all turns.
    pub rate: f64,
    /// CPU time of Envoy, nginx and wrk for a request, in microseconds.
    pub cpu: f64,
    /// The same of the untraced proxy.
    pub untraced_cpu: f64,
    /// The rate of each turn by that of the untraced proxy right before or after, less what Sluice's programs cost that.
    pub shares: Vec<f64>,
    /// CPU time of Sluice alone for a request, in microseconds.
    pub sluice: f64,
    /// Time that Sluice's programs ran in the kernel for a request, in microseconds, when that was measured.
    pub programs: f64,
    /// The same for a request to the untraced proxy: they look at every transfer of the host, if only to leave it alone.
    pub untraced_programs: f64,
    /// Requests that wrk got answered.
    pub requests: u64,
    /// Spans that reached the sink.
    pub spans: u64,
    /// Events of the kernel on them.
    pub events: u64,
    /// Slow and failed requests, as nginx logged them.
    pub remarkable: u64,
    /// Exchanges that Sluice saw, on either side of Envoy.
    pub exchanges: u64,
    /// Exchanges that Sluice recorded with their content.
    pub recorded: u64,
    /// Events that the kernel side could not tell.
    pub lost: u64,
}

/// Runs a round: twice nginx with one worker, Envoy with two, wrk with 64 connections, all on all processors.
///
/// # Errors
/// What could not be started or read.
pub fn round(scenario: &Scenario, sluice: &Path, envoy: &Path, seconds: u64) -> Outcome<Round> {
    let untraced = Stack::start(Plan::make()?, envoy, scenario.kind, None)?;
    let (plan, sink, telemetry) = (Plan::make()?, Sink::start()?, free_address()?);
    let mut spans_to = sink.address;
    let mut collector = None;
    if let Some(ends) = scenario.events {
        spans_to = free_address()?;
        let ports = match ends {
            Ends::Both => Vec::new(),
            Ends::Upstream => vec![plan.nginx.port()],
        };
        let folder = plan.folder.path();
        let places = Places { zipkin: spans_to, sink: sink.address, telemetry, folder };
        let config = config::config(&ports, &places);
        collector = Some(start_sluice(sluice, folder, &config, telemetry)?);
    }
    let tracing = scenario.sampling.map(|sampling| Tracing { sampling, to: spans_to });
    let traced = Stack::start(plan, envoy, scenario.kind, tracing)?;

    let before = (traced.load.served()?, usage(collector.as_ref())?);
    let loads = [(&untraced.load, &untraced.processes()[..]), (&traced.load, &traced.processes()[..])];
    let [bare, turns] = turns::alternate(loads, seconds)?;
    let after = (traced.load.served()?, usage(collector.as_ref())?);
    let requests = traced.load.served()?;
    let [exchanges, recorded, lost] = match &collector {
        Some(_) => counters(telemetry)?,
        None => [0; 3],
    };
    let remarkable = traced.remarkable()?;
    let programs = measure_programs(collector.as_ref(), &traced.load)?;
    let untraced_programs = measure_programs(collector.as_ref(), &untraced.load)?;
    if let Some(collector) = collector {
        // What it still holds reaches the sink.
        collector.stop(PATIENCE)?;
    }
    let [cpu, untraced_cpu] = [&turns, &bare].map(|turns| turns.cpu_each().iter().sum::<f64>());
    let alone = 1.0 - or_nothing(untraced_programs) / untraced_cpu;
    Ok(Round {
        shares: turns.rates.iter().zip(&bare.rates).map(|(rate, bare)| rate / bare * alone).collect(),
        rate: median(turns.rates),
        cpu,
        untraced_cpu,
        sluice: microseconds_each(after.1.saturating_sub(before.1), after.0 - before.0),
        programs,
        untraced_programs,
        requests,
        spans: sink.spans(),
        events: sink.events(),
        remarkable,
        exchanges,
        recorded,
        lost,
    })
}

/// Runs this program anew, with these arguments, in a network namespace of its own whose loopback interface has another
/// address, from the range that RFC 2544 sets aside for benchmarks.
///
/// # Errors
/// It only returns if that fails.
pub fn enter_namespace(arguments: &[&str]) -> Outcome<()> {
    let script = format!("ip link set lo up && ip address add {ADDRESS}/32 dev lo && exec \"$0\" \"$@\"");
    let error = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", &script])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .args(std::env::args_os().skip(2))
        .exec();
    Err(format!("cannot run unshare (Debian: util-linux): {error}").into())
}

/// Exchanges seen, exchanges recorded and events lost, once no more come: a window of sampling lasts two seconds.
fn counters(telemetry: SocketAddr) -> Outcome<[u64; 3]> {
    let mut last = None;
    loop {
        std::thread::sleep(Duration::from_millis(2_200));
        let text = host::get(telemetry, "/metrics")?;
        let now =
            ["sluice_ebpf_exchanges{", "otelcol_receiver_accepted_log_records{", "sluice_ebpf_lost_events{"]
                .map(|name| host::sum(&text, name));
        if last == Some(now) {
            return Ok(now);
        }
        last = Some(now);
    }
}

/// Where `integration/peers/fetch` puts Envoy.
///
/// # Errors
/// That it is not there.
pub fn fetched_envoy() -> Outcome<PathBuf> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/python/lib");
    let pythons = fs::read_dir(&libraries).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.exists())
        .ok_or_else(|| "Envoy is missing: integration/peers/fetch gets it; --envoy names another".into())
}
