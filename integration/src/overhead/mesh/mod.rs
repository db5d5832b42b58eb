//! What tracing costs a proxy: wrk flat out through Envoy to nginx, untraced, traced in full, and traced a little with
//! the kernel's events for what is slow or failed.

mod envoy;
mod reference;
mod sink;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Serialize;

pub use self::reference::Reference;
use self::sink::Sink;
use super::{
    CpuTime, PATIENCE, host, measure_programs, microseconds_each, precise, requests, start_sluice, usage,
};
use crate::{
    Outcome,
    process::{Process, free_address, tied},
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// How long everything runs before it is measured.
const WARM_UP: &str = "-d1s";
/// Connections of wrk.
const CONNECTIONS: &str = "-c64";

/// A way to trace the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What runs.
    pub what: &'static str,
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

/// All of them. The first shows how far a comparison can be trusted.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "untraced", what: "no tracing", sampling: None, events: None },
    Scenario { name: "zipkin", what: "Zipkin tracing at 100 %", sampling: Some(100.0), events: None },
    Scenario { name: "zipkin-1", what: "Zipkin tracing at 1 %", sampling: Some(1.0), events: None },
    Scenario {
        name: "events",
        what: "the same, and Sluice's events of every slow, 4xx and 5xx exchange",
        sampling: Some(1.0),
        events: Some(Ends::Both),
    },
    Scenario {
        name: "events-upstream",
        what: "the same, with `ports` set to nginx's",
        sampling: Some(1.0),
        events: Some(Ends::Upstream),
    },
];

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests a second that wrk got answered.
    pub rate: f64,
    /// CPU time of Envoy, nginx, wrk and Sluice for a request, in microseconds.
    pub cpu: f64,
    /// The rate of an untraced proxy right before and after.
    pub untraced_rate: f64,
    /// Its CPU time for a request, in microseconds.
    pub untraced_cpu: f64,
    /// CPU time of Sluice alone for a request, in microseconds.
    pub sluice: f64,
    /// Time that Sluice's programs ran in the kernel for a request, in microseconds, when that was measured.
    pub programs: f64,
    /// Requests that wrk got answered.
    pub requests: u64,
    /// Spans that reached the sink.
    pub spans: u64,
    /// Events of the kernel on them, warming up included.
    pub events: u64,
    /// Slow and failed requests, as nginx logged them, warming up included.
    pub remarkable: u64,
    /// Exchanges that Sluice saw, on either side of Envoy.
    pub exchanges: u64,
    /// Exchanges that Sluice recorded with their content, warming up included.
    pub recorded: u64,
    /// Events that the kernel side could not tell, warming up included.
    pub lost: u64,
}

/// Runs a round: nginx with one worker, Envoy with two, wrk with 64 connections, all on all processors.
///
/// # Errors
/// What could not be started or read.
pub fn round(
    scenario: &Scenario,
    sluice: &Path,
    envoy: &Path,
    seconds: u64,
    reference: &Reference,
) -> Outcome<Round> {
    let around = (seconds / 2).max(1);
    let untraced = reference.load(around)?;
    let folder = tempfile::tempdir()?;
    let (nginx, front, sink, telemetry) = (place()?, place()?, Sink::start()?, free_address()?);
    let mut server = start_nginx(folder.path(), nginx)?;
    server.wait_until_listening(nginx, PATIENCE)?;
    let mut spans_to = sink.address;
    let mut collector = None;
    if let Some(ends) = scenario.events {
        spans_to = free_address()?;
        let ports = match ends {
            Ends::Both => Vec::new(),
            Ends::Upstream => vec![nginx.port()],
        };
        let config = config(&ports, telemetry, (spans_to, sink.address), folder.path());
        collector = Some(start_sluice(sluice, folder.path(), &config, telemetry)?);
    }
    let mut proxy = envoy::start(envoy, folder.path(), front, nginx, (spans_to, scenario.sampling))?;
    proxy.wait_until_listening(front, PATIENCE)?;
    wrk(front, WARM_UP)?;

    let settled = |collector: &Option<Process>| match collector {
        Some(_) => counters(telemetry),
        None => Ok([0; 3]),
    };
    let (known, spans) = (settled(&collector)?, sink.spans());
    let all: Vec<&Process> = [&server, &proxy].into_iter().chain(&collector).collect();
    let before = (CpuTime::read(&all)?, usage(collector.as_ref())?);
    let requests = wrk(front, &format!("-d{seconds}s"))?;
    let after = (CpuTime::read(&all)?, usage(collector.as_ref())?);
    let [exchanges, recorded, lost] = settled(&collector)?;
    let log = fs::read_to_string(folder.path().join("remarkable.log"))?;
    let spans = sink.spans() - spans;
    let programs = match &collector {
        Some(collector) => measure_programs(collector, || wrk(front, "-d1s"))?,
        None => 0.0,
    };
    if let Some(collector) = collector {
        // What it still holds reaches the sink.
        collector.stop(PATIENCE)?;
    }
    drop((proxy, server));
    let untraced = untraced.and(reference.load(around)?);
    let each = |time: Duration| microseconds_each(time, requests);
    let cpu = |time: CpuTime| time.user + time.system;
    Ok(Round {
        rate: precise(requests) / Duration::from_secs(seconds).as_secs_f64(),
        cpu: each(cpu(after.0).saturating_sub(cpu(before.0))),
        untraced_rate: untraced.rate(),
        untraced_cpu: untraced.cpu_each(),
        sluice: each(after.1.saturating_sub(before.1)),
        programs,
        requests,
        spans,
        events: sink.events(),
        remarkable: log.lines().count() as u64,
        exchanges: exchanges - known[0],
        recorded,
        lost,
    })
}

/// A free port of the address that is like one of a host: spans that name the loopback interface could be of any host.
fn place() -> io::Result<SocketAddr> {
    Ok(SocketAddr::new(IpAddr::V4(ADDRESS), free_address()?.port()))
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

/// Requests that were answered.
fn wrk(front: SocketAddr, time: &str) -> Outcome<u64> {
    let output = Command::new("wrk")
        .args(["-t1", CONNECTIONS, time])
        .arg(format!("http://{front}/"))
        .output()
        .map_err(|error| format!("cannot run wrk (Debian: wrk): {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    requests(&told).ok_or_else(|| format!("wrk printed no requests: {told}").into())
}

/// One worker that answers at once, but for a few requests: 4xx, 5xx, and a second late.
fn start_nginx(folder: &Path, address: SocketAddr) -> Outcome<Process> {
    let path = folder.join("nginx.conf");
    let place = folder.display();
    let large = "x".repeat(500);
    fs::write(
        &path,
        format!(
            "worker_processes 1; daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx.err;
             events {{}}
             http {{
               split_clients $connection-$connection_requests $kind {{
                 0.5% missing; 0.5% broken; 0.02% slow; * usual;
               }}
               map $kind $is_remarkable {{ usual 0; default 1; }}
               log_format kind '$kind $status';
               access_log {place}/remarkable.log kind if=$is_remarkable;
               keepalive_requests 100000000;
               client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
               uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
               server {{
                 listen {address};
                 location / {{
                   if ($kind = missing) {{ return 404 'no such thing'; }}
                   if ($kind = broken) {{ return 503 'out of order'; }}
                   if ($kind = slow) {{ rewrite ^ /slow last; }}
                   return 200 'hello from nginx';
                 }}
                 location = /slow {{ internal; limit_rate 500; return 200 '{large}'; }}
               }}
             }}"
        ),
    )?;
    let mut command = tied(Path::new("nginx"));
    Process::start(command.arg("-c").arg(path), &folder.join("nginx.log"))
}

/// Envoy alone is watched. The events of traces that Envoy does not sample are records.
fn config(
    ports: &[u16],
    telemetry: SocketAddr,
    (zipkin, sink): (SocketAddr, SocketAddr),
    folder: &Path,
) -> String {
    format!(
        "receivers:
  zipkin: {{endpoint: '{zipkin}'}}
  ebpf_network:
    processes: {{include: [{{executable: /envoy$}}]}}
    ports: {ports:?}
    sampling:
      top: 1000
      honour_sampled_flag: false
      default: {{min_duration: 500ms, request: {{content: true}}, response: {{content: true}}}}
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
    traces: {{receivers: [trace_events], exporters: [zipkin]}}
",
        telemetry.ip(),
        telemetry.port(),
        folder = folder.display(),
    )
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
