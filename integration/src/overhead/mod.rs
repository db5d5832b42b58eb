//! What seeing HTTP in the kernel costs: wrk flat out against nginx on the same machine, without Sluice and with it.

mod host;
pub mod mesh;
mod programs;
mod scenario;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub use scenario::{SCENARIOS, Scenario};
use serde::Serialize;

use self::{host::CpuTime, programs::Counting};
use crate::{
    Outcome,
    process::{Process, free_address, tied},
};

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests a second that wrk got answered.
    pub rate: f64,
    /// CPU time of nginx, wrk and Sluice for a request, in microseconds, in user mode.
    pub user: f64,
    /// The same in the kernel.
    pub system: f64,
    /// CPU time of Sluice alone for a request, in microseconds.
    pub sluice: f64,
    /// Time that Sluice's programs ran in the kernel for a request, in microseconds, when that was measured.
    pub programs: f64,
    /// Requests that wrk got answered.
    pub requests: u64,
    /// Exchanges that Sluice saw, of one side or both.
    pub exchanges: u64,
    /// Events that the kernel side could not tell.
    pub lost: u64,
}

/// Runs a round: nginx with one worker, wrk with 32 connections, both on all processors.
///
/// # Errors
/// What could not be started or read.
pub fn round(scenario: &Scenario, sluice: &Path, seconds: u64) -> Outcome<Round> {
    let folder = tempfile::tempdir()?;
    let nginx = free_address()?;
    let mut server = start_nginx(folder.path(), nginx)?;
    server.wait_until_listening(nginx, PATIENCE)?;
    let telemetry = free_address()?;
    let collector = match scenario.config(telemetry, folder.path()) {
        Some(config) => Some(start_sluice(sluice, folder.path(), &config, telemetry)?),
        None => None,
    };
    let all: Vec<&Process> = [&server].into_iter().chain(&collector).collect();
    let before = (CpuTime::read(&all)?, usage(collector.as_ref())?);
    let requests = wrk(nginx, seconds)?;
    let after = (CpuTime::read(&all)?, usage(collector.as_ref())?);
    let counted = match &collector {
        Some(_) => counters(telemetry)?,
        None => (0, 0),
    };
    let programs = match &collector {
        Some(collector) => measure_programs(collector, || wrk(nginx, 1))?,
        None => 0.0,
    };
    let each = |time: Duration| microseconds_each(time, requests);
    Ok(Round {
        rate: precise(requests) / Duration::from_secs(seconds).as_secs_f64(),
        user: each(after.0.user.saturating_sub(before.0.user)),
        system: each(after.0.system.saturating_sub(before.0.system)),
        sluice: each(after.1.saturating_sub(before.1)),
        programs,
        requests,
        exchanges: counted.0,
        lost: counted.1,
    })
}

/// Requests that were answered.
fn wrk(server: SocketAddr, seconds: u64) -> Outcome<u64> {
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-H"])
        .arg("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .arg(format!("http://{server}/"))
        .output()
        .map_err(|error| format!("cannot run wrk (Debian: wrk): {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    requests(&told).ok_or_else(|| format!("wrk printed no requests: {told}").into())
}

/// The run time of Sluice's programs for each of the requests that `load` answers, in microseconds; not a number where the
/// kernel may not be told to count it.
fn measure_programs(collector: &Process, load: impl FnOnce() -> Outcome<u64>) -> Outcome<f64> {
    let Ok(_counting) = Counting::begin() else { return Ok(f64::NAN) };
    let before = programs::run_time(collector)?;
    let requests = load()?;
    Ok(microseconds_each(programs::run_time(collector)?.saturating_sub(before), requests))
}

fn microseconds_each(time: Duration, requests: u64) -> f64 {
    time.as_secs_f64() * 1e6 / precise(requests)
}

fn start_nginx(folder: &Path, address: SocketAddr) -> Outcome<Process> {
    let path = folder.join("nginx.conf");
    let place = folder.display();
    fs::write(
        &path,
        format!(
            "worker_processes 1; daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx.err;
             events {{}}
             http {{
               access_log off; keepalive_requests 100000000;
               client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
               uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
               server {{ listen {address}; location / {{ return 200 'hello from nginx'; }} }}
             }}"
        ),
    )?;
    let mut command = tied(Path::new("nginx"));
    Process::start(command.arg("-c").arg(path), &folder.join("nginx.log"))
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

/// `123456 requests in 4.00s, 20.11MB read`.
fn requests(told: &str) -> Option<u64> {
    told.lines().find_map(|line| line.split_once(" requests in "))?.0.trim().parse().ok()
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

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn precise(count: u64) -> f64 {
    count as f64
}
