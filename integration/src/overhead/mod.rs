//! What seeing HTTP in the kernel costs: wrk flat out against nginx on the same machine, without Sluice and with it.

mod host;
pub mod mesh;
mod nginx;
mod programs;
mod scenario;
mod turns;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use scenario::{SCENARIOS, Scenario};
use serde::Serialize;

use self::{programs::Counting, turns::Load};
use crate::{
    Outcome,
    process::{Process, free_address, tied},
};

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// One measurement: a watched nginx and one beside it that is not, in turns.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests a second that wrk got answered.
    pub rate: f64,
    /// CPU time of nginx and wrk for a request, in microseconds, in user mode.
    pub user: f64,
    /// The same in the kernel.
    pub system: f64,
    /// The same of the nginx that is not watched, in both modes.
    pub bare: f64,
    /// CPU time of Sluice alone for a request, in microseconds.
    pub sluice: f64,
    /// Time that Sluice's programs ran in the kernel for a request, in microseconds, when that was measured.
    pub programs: f64,
    /// The same for a request to the nginx that is not watched.
    pub bare_programs: f64,
    /// Requests that wrk got answered.
    pub requests: u64,
    /// Exchanges that Sluice saw, of one side or both.
    pub exchanges: u64,
    /// Events that the kernel side could not tell.
    pub lost: u64,
}

impl Round {
    /// CPU time of all for a request, in microseconds.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        self.user + self.system + self.sluice
    }

    /// The same of an nginx on a host without Sluice: its programs look at every transfer, if only to leave it alone.
    #[must_use]
    pub fn cpu_alone(&self) -> f64 {
        self.bare - or_nothing(self.bare_programs)
    }
}

/// What could not be measured is not taken off.
fn or_nothing(measured: f64) -> f64 {
    if measured.is_finite() { measured } else { 0.0 }
}

/// Sent by wrk, so that exchanges are of traces.
const TRACE_CONTEXT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CONNECTIONS: u32 = 32;

/// Runs a round: two nginx with one worker each, a wrk with 32 connections for each, all on all processors.
///
/// # Errors
/// What could not be started or read.
pub fn round(scenario: &Scenario, sluice: &Path, seconds: u64) -> Outcome<Round> {
    let (folder, beside) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (nginx, bare_nginx) = (free_address()?, free_address()?);
    let (mut server, mut bare_server) =
        (start_nginx(folder.path(), nginx)?, start_nginx(beside.path(), bare_nginx)?);
    server.wait_until_listening(nginx, PATIENCE)?;
    bare_server.wait_until_listening(bare_nginx, PATIENCE)?;
    let telemetry = free_address()?;
    let collector = match scenario.config(nginx, telemetry, folder.path()) {
        Some(config) => Some(start_sluice(sluice, folder.path(), &config, telemetry)?),
        None => None,
    };
    let load = Load::start(nginx, nginx, CONNECTIONS, Some(TRACE_CONTEXT), folder.path())?;
    let bare_load = Load::start(bare_nginx, bare_nginx, CONNECTIONS, Some(TRACE_CONTEXT), beside.path())?;

    let before = (load.served()?, usage(collector.as_ref())?);
    let [bare, watched] = turns::alternate([(&bare_load, &[&bare_server]), (&load, &[&server])], seconds)?;
    let after = (load.served()?, usage(collector.as_ref())?);
    let served = load.served()?;
    let (exchanges, lost) = match &collector {
        Some(_) => counters(telemetry)?,
        None => (0, 0),
    };
    let programs = measure_programs(collector.as_ref(), &load)?;
    let bare_programs = measure_programs(collector.as_ref(), &bare_load)?;
    let [user, system] = watched.cpu_each();
    Ok(Round {
        rate: median(watched.rates),
        user,
        system,
        bare: bare.cpu_each().iter().sum(),
        sluice: microseconds_each(after.1.saturating_sub(before.1), after.0 - before.0),
        programs,
        bare_programs,
        requests: served,
        exchanges,
        lost,
    })
}

/// The run time of Sluice's programs for each request of a load, in microseconds; not a number where the kernel may not be
/// told to count it.
fn measure_programs(collector: Option<&Process>, load: &Load) -> Outcome<f64> {
    let Some(collector) = collector else { return Ok(0.0) };
    let Ok(_counting) = Counting::begin() else { return Ok(f64::NAN) };
    let before = programs::run_time(collector)?;
    let requests = load.run(Duration::from_secs(1))?;
    Ok(microseconds_each(programs::run_time(collector)?.saturating_sub(before), requests))
}

fn microseconds_each(time: Duration, requests: u64) -> f64 {
    time.as_secs_f64() * 1e6 / precise(requests)
}

fn start_nginx(folder: &Path, address: SocketAddr) -> Outcome<Process> {
    let http = format!(
        "access_log off;
         server {{
           listen {address};
           location / {{ return 200 'hello from nginx'; }}
           location = /status {{ stub_status; }}
         }}"
    );
    nginx::start(folder, &http)
}

fn start_sluice(sluice: &Path, folder: &Path, config: &str, telemetry: SocketAddr) -> Outcome<Process> {
    let path = folder.join("sluice.yaml");
    fs::write(&path, config)?;
    let log: PathBuf = folder.join("sluice.log");
    let mut process = Process::start(tied(sluice).arg("run").arg("--config").arg(path), &log)?;
    let attached = || fs::read_to_string(&log).is_ok_and(|log| log.contains("Everything is ready"));
    process
        .wait_until(PATIENCE, "attach its programs", attached)
        .map_err(|error| format!("{error}\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
    process.wait_until_listening(telemetry, PATIENCE)?;
    Ok(process)
}

fn usage(process: Option<&Process>) -> Outcome<Duration> {
    process.map_or(Ok(Duration::ZERO), |process| Ok(process.usage()?.cpu))
}

/// Exchanges seen and events lost, by Sluice's own metrics. The last are taken from the ring a moment later.
fn counters(telemetry: SocketAddr) -> Outcome<(u64, u64)> {
    let mut last = None;
    loop {
        // Losses are published every second.
        std::thread::sleep(Duration::from_millis(1_100));
        let text = host::get(telemetry, "/metrics")?;
        let now = (host::sum(&text, "sluice_ebpf_exchanges{"), host::sum(&text, "sluice_ebpf_lost_events{"));
        if last == Some(now) {
            return Ok(now);
        }
        last = Some(now);
    }
}

/// The one in the middle.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn precise(count: u64) -> f64 {
    count as f64
}
