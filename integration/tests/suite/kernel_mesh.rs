//! A mesh of two Envoys whose applications only copy headers: each exchange of a proxy comes onto the proxy's span.
//!
//! Every pod is a network namespace with an address of its own, as the proxies' spans give no other identity:
//!
//! ```text
//! curl -> [ front-proxy :8080 -> front :9000 -> front-proxy :15001 ] -> [ back-proxy :8080 -> back :9000 ]
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sluice_integration::process::{Process, tied};

use crate::support::{
    PATIENCE, Setup, Sluice, ZipkinServer, envoy, eventually, get, is_root, program, python_server, sum,
};

/// An exchange of every request: the process, its side, the server's port, and the span that it must come onto, as the
/// service and the kind. The applications make no spans, and those of the proxies beside them are not theirs.
type Row = (&'static str, &'static str, u16, Option<(&'static str, &'static str)>);

const EXPECTED: [Row; 9] = [
    ("front-proxy", "server", 8080, Some(("front-proxy", "SERVER"))),
    // The header names the span of the proxy's own server's side.
    ("front-proxy", "client", 9000, Some(("front-proxy", "SERVER"))),
    ("front", "server", 9000, None),
    ("front", "client", 15001, None),
    // The application copied the header, which names the span before; this proxy's is its child.
    ("front-proxy", "server", 15001, Some(("front-proxy", "CLIENT"))),
    ("front-proxy", "client", 8080, Some(("front-proxy", "CLIENT"))),
    ("back-proxy", "server", 8080, Some(("back-proxy", "SERVER"))),
    ("back-proxy", "client", 9000, Some(("back-proxy", "SERVER"))),
    ("back", "server", 9000, None),
];

/// The proxy behind joins the span of the proxy before it: two spans have one id.
#[test]
fn exchanges_come_onto_the_spans_of_their_proxies_where_spans_are_shared() {
    mesh(true);
}

#[test]
fn exchanges_come_onto_the_spans_of_their_proxies_where_each_has_its_own() {
    mesh(false);
}

fn mesh(shared: bool) {
    const STATUSES: [u16; 3] = [200, 404, 503];
    const REQUESTS: usize = 12;
    if !is_root() {
        return;
    }
    let (Some(envoy), Some(application)) = (envoy(), python_server("mesh_app.py")) else { return };
    let (Some(_), Some(_), Some(zipkin)) = (program("ip"), program("curl"), ZipkinServer::shared()) else {
        return;
    };
    let setup = Setup::new();
    let network = Network::new(shared);
    let pods = [network.pod(2), network.pod(3)];
    let sluice = start_sluice(&setup, &network, zipkin);

    let [front, back] = &pods;
    let local = "127.0.0.1";
    let listeners = [
        listener(shared, &front.address, 8080, "INBOUND", (&front.address, 9000)),
        listener(shared, local, 15001, "OUTBOUND", (&back.address, 8080)),
    ];
    let listeners_behind = [listener(shared, &back.address, 8080, "INBOUND", (&back.address, 9000))];
    let proxy = |pod: &Pod, name, listeners: &[Value]| {
        let path =
            setup.write(&format!("{name}.json"), &bootstrap(name, listeners, &network.host).to_string());
        pod.start(
            &setup,
            name,
            &envoy,
            &["--disable-hot-restart", "--concurrency", "1", "-l", "warn", "-c", text(&path)],
        )
    };
    let (python, script) = application;
    let listen = |pod: &Pod| format!("{}:9000", pod.address);
    let serve = |pod: &Pod, name, next: &[&str]| {
        let listen = listen(pod);
        pod.start(&setup, name, &python, &[&[text(&script), "--listen", &listen], next].concat())
    };
    let mut processes = [
        ("back", serve(back, "back", &[]), format!("{}:9000", back.address)),
        ("front", serve(front, "front", &["--next", "127.0.0.1:15001", "--host", "back"]), listen(front)),
        ("back-proxy", proxy(back, "back-proxy", &listeners_behind), format!("{}:8080", back.address)),
        ("front-proxy", proxy(front, "front-proxy", &listeners), format!("{}:8080", front.address)),
    ];
    for (name, process, address) in &mut processes {
        if let Err(error) = process.wait_until_listening(address.parse().unwrap(), PATIENCE) {
            panic!("{name}: {error}\n{}", fs::read_to_string(setup.path(&format!("{name}.log"))).unwrap());
        }
    }
    let names: BTreeMap<i64, &str> =
        processes.iter().map(|(name, process, _)| (i64::from(process.id()), *name)).collect();

    // Spans that pass before the first exchange has come are none of the connector's concern.
    request(&setup, front, &format!("{:032x}", u32::from(shared) + 1), 200);
    eventually("exchanges arrive", || {
        sum(setup.telemetry, "sluice_connector_held_bytes", "what=\"exchanges\"") > 0
    });
    let traces: Vec<String> =
        (0..REQUESTS).map(|number| format!("{:016x}{:016x}", fastrand::u64(1..), number)).collect();
    std::thread::scope(|scope| {
        for traces in traces.chunks(REQUESTS / STATUSES.len()) {
            let (setup, front) = (&setup, front);
            scope.spawn(move || {
                for (trace, status) in traces.iter().zip(STATUSES.iter().cycle()) {
                    request(setup, front, trace, *status);
                }
            });
        }
    });

    eventually("every exchange is joined or counted", || {
        let recorded =
            sum(setup.telemetry, "otelcol_receiver_accepted_log_records", "receiver=\"ebpf_network\"");
        let joined = sum(setup.telemetry, "sluice_connector_joined_exchanges", "");
        let unjoined = sum(setup.telemetry, "sluice_connector_unjoined_exchanges", "");
        recorded >= (REQUESTS + 1) * EXPECTED.len() && joined + unjoined == recorded
    });
    sluice.stop();
    let records = records(&setup.path("exchanges.jsonl"));
    let unjoined = self::records(&setup.path("unjoined.jsonl"));
    for trace in &traces {
        let (records, unjoined) = (of_trace(&records, trace), of_trace(&unjoined, trace));
        let mut spans = Vec::new();
        eventually(&format!("Zipkin holds the events of {trace}"), || {
            let answer = get(zipkin.address, &format!("/api/v2/trace/{trace}"));
            spans = serde_json::from_slice::<Vec<Value>>(&answer.body).unwrap_or_default();
            // Request and response of each.
            spans.iter().flat_map(started).count() >= 2 * (records.len() - unjoined.len())
        });
        assert_as_expected(trace, shared, &spans, &records, &unjoined, &names);
    }
}

/// Compares one trace with the table.
fn assert_as_expected(
    trace: &str,
    shared: bool,
    spans: &[Value],
    records: &[&Record],
    unjoined: &[&Record],
    names: &BTreeMap<i64, &str>,
) {
    let shown = || format!("{trace}: {records:#?}\n{spans:#?}");
    assert_eq!(records.len(), EXPECTED.len(), "{}", shown());
    let mut events = 0;
    for (name, role, port, target) in EXPECTED {
        let is_this = |record: &&&Record| {
            names.get(&record.pid) == Some(&name) && record.role == role && record.port == port
        };
        let found: Vec<_> = records.iter().filter(is_this).collect();
        let [record] = found[..] else { panic!("{name} {role} {port}: {found:?}\n{}", shown()) };
        let homes: Vec<_> = spans
            .iter()
            .flat_map(|span| started(span).map(move |event| (span, event)))
            .filter(|(_, event)| event.is_of(record))
            .collect();
        let Some((service, kind)) = target else {
            assert_eq!(homes.len(), 0, "{name} {role} {port} is on {homes:?}\n{}", shown());
            assert_eq!(unjoined.iter().filter(is_this).count(), 1, "{name} {role} {port}\n{}", shown());
            continue;
        };
        assert_eq!(
            homes.len(),
            2,
            "request and response of {name} {role} {port} are on {homes:?}\n{}",
            shown()
        );
        for (span, event) in homes {
            let home = (text_of(&span["localEndpoint"]["serviceName"]), text_of(&span["kind"]));
            assert_eq!(home, (service, kind), "{name} {role} {port}\n{}", shown());
            assert_eq!(event.finished, event.expected_end(record), "{name} {role} {port}\n{}", shown());
            let caller = if role == "client" || shared && kind == "SERVER" { "id" } else { "parentId" };
            assert_eq!(span[caller], record.span, "the header of {name} {role} {port}\n{}", shown());
            events += 1;
        }
    }
    assert_eq!(unjoined.len(), EXPECTED.iter().filter(|row| row.3.is_none()).count(), "{}", shown());
    assert_eq!(spans.iter().flat_map(started).count(), events, "{}", shown());
}

/// An event as Zipkin shows it: two annotations and a tag. Times are microseconds.
#[derive(Debug)]
struct Event {
    is_request: bool,
    started: u64,
    finished: u64,
    tags: Value,
}

impl Event {
    fn is_of(&self, record: &Record) -> bool {
        let start = if self.is_request { record.start } else { record.response_start };
        let detail = if self.is_request {
            self.tags["url.path"] == record.path
        } else {
            // Attributes are text in Zipkin.
            self.tags["http.response.status_code"].to_string().trim_matches('"') == record.status.to_string()
        };
        self.started == start / 1000 && self.tags["sluice.event.role"] == record.role && detail
    }

    fn expected_end(&self, record: &Record) -> u64 {
        (if self.is_request { record.request_end } else { record.response_end }) / 1000
    }
}

/// The events of a span that have begun; each must have ended and have its tag.
fn started(span: &Value) -> impl Iterator<Item = Event> + '_ {
    let annotations = span["annotations"].as_array().map_or(&[][..], Vec::as_slice);
    annotations.iter().filter_map(move |annotation| {
        let name = text_of(&annotation["value"]).strip_prefix("Start HTTP ")?;
        let finished = format!("Finished HTTP {name}");
        let finished = annotations.iter().find(|other| other["value"] == finished.as_str());
        let tags = text_of(&span["tags"][format!("http.{}.tags", name.to_lowercase().replace(' ', "."))]);
        Some(Event {
            is_request: name.starts_with("Request Sampling-"),
            started: annotation["timestamp"].as_u64().unwrap(),
            finished: finished.unwrap_or_else(|| panic!("{name} has no end: {span:#}"))["timestamp"]
                .as_u64()
                .unwrap(),
            tags: serde_json::from_str(tags).unwrap_or_else(|error| panic!("{error} in {tags} of {span:#}")),
        })
    })
}

/// What a log record tells of an exchange. Times are nanoseconds; the port is the server's.
#[derive(Debug)]
struct Record {
    trace: String,
    span: String,
    pid: i64,
    role: String,
    port: u16,
    path: String,
    status: u64,
    start: u64,
    request_end: u64,
    response_start: u64,
    response_end: u64,
}

fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for group in line["resourceLogs"].as_array().unwrap() {
            let pid = attribute(&group["resource"], "process.pid").parse().unwrap();
            let scopes = group["scopeLogs"].as_array().unwrap().iter();
            for record in scopes.flat_map(|scope| scope["logRecords"].as_array().unwrap()) {
                let number = |key| attribute(record, key).parse::<u64>().unwrap_or(0);
                let role = attribute(record, "sluice.event.role");
                let server = if role == "server" { "network.local.port" } else { "network.peer.port" };
                records.push(Record {
                    trace: text_of(&record["traceId"]).to_owned(),
                    span: text_of(&record["spanId"]).to_owned(),
                    pid,
                    port: u16::try_from(number(server)).unwrap(),
                    path: attribute(record, "url.path"),
                    status: number("http.response.status_code"),
                    start: text_of(&record["timeUnixNano"]).parse().unwrap(),
                    request_end: number("sluice.request.end_unix_nano"),
                    response_start: number("sluice.response.start_unix_nano"),
                    response_end: number("sluice.response.end_unix_nano"),
                    role,
                });
            }
        }
    }
    records
}

fn of_trace<'a>(records: &'a [Record], trace: &str) -> Vec<&'a Record> {
    records.iter().filter(|record| record.trace == trace).collect()
}

/// An attribute as text; empty if it is absent.
fn attribute(of: &Value, key: &str) -> String {
    let found = of["attributes"].as_array().and_then(|all| all.iter().find(|pair| pair["key"] == key));
    let value = found.and_then(|pair| pair["value"].as_object()?.values().next());
    value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn request(setup: &Setup, pod: &Pod, trace: &str, status: u16) {
    let output = setup
        .program("curl")
        .args(["--silent", "--max-time", "20", "--output", "-", "--write-out", " %{http_code}"])
        .args([
            "-H",
            &format!("X-B3-TraceId: {trace}"),
            "-H",
            "X-B3-SpanId: 00000000000c0ffe",
            "-H",
            "X-B3-Sampled: 1",
        ])
        .arg(format!("http://{}:8080/items/{status}", pod.address))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("there: here {status}"));
}

fn start_sluice(setup: &Setup, network: &Network, zipkin: &ZipkinServer) -> Sluice {
    let collector: SocketAddr = format!("{}:9411", network.host).parse().unwrap();
    let config = setup.config(
        &format!(
            "  zipkin/mesh:
    endpoint: {collector}
  ebpf_network:
    processes:
      include:
        - command_line: mesh_app.py.*{prefix}
        - command_line: envoy.*{directory}
    sampling:
      window: 200ms
      default: {{ratio: 1, request: {{content: true}}, response: {{content: true}}}}
connectors:
  # A busy machine lets a proxy wait between the end of its span and its last write.
  trace_events: {{exchange_wait: 5s, clock_skew: 100ms}}
exporters:
  zipkin: {{endpoint: 'http://{zipkin}/api/v2/spans'}}
  file/exchanges: {{path: '{exchanges}'}}
  file/unjoined: {{path: '{unjoined}'}}",
            prefix = network.host.rsplit_once('.').unwrap().0,
            directory = setup.directory.path().display(),
            zipkin = zipkin.address,
            exchanges = setup.path("exchanges.jsonl").display(),
            unjoined = setup.path("unjoined.jsonl").display(),
        ),
        "    logs/kernel: {receivers: [ebpf_network], exporters: [trace_events, file/exchanges]}
    logs/unjoined: {receivers: [trace_events], exporters: [file/unjoined]}
    traces/in: {receivers: [zipkin/mesh], exporters: [trace_events]}
    traces: {receivers: [trace_events], exporters: [zipkin]}",
    );
    let sluice = setup.start(&config, collector);
    eventually("the kernel side is attached", || sluice.log().contains("The kernel side is attached"));
    sluice
}

/// What Envoy is started with: every listener goes to a cluster of its own; spans go to Sluice.
fn bootstrap(name: &str, listeners: &[Value], host: &str) -> Value {
    let clusters = listeners.iter().map(|listener| listener["cluster"].clone());
    json!({
        "node": {"id": name, "cluster": name},
        "layered_runtime": {"layers": [{"name": "tests", "static_layer": {"tracing.zipkin.min_flush_spans": 1}}]},
        "static_resources": {
            "listeners": listeners.iter().map(|listener| listener["listener"].clone()).collect::<Vec<_>>(),
            "clusters": clusters.chain([cluster("sluice", (host, 9411))]).collect::<Vec<_>>(),
        },
    })
}

fn cluster(name: &str, (address, port): (&str, u16)) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(address, port)}}]}],
        },
    })
}

fn socket(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// A listener of Envoy that traces every request, and the cluster that it forwards to.
fn listener(shared: bool, address: &str, port: u16, direction: &str, to: (&str, u16)) -> Value {
    const TYPES: &str = "type.googleapis.com/envoy";
    let name = format!("to-{}-{}", to.0, to.1);
    let all = json!({"value": 100});
    json!({
        "cluster": cluster(&name, to),
        "listener": {
            "name": name,
            "address": socket(address, port),
            "traffic_direction": direction,
            "filter_chains": [{"filters": [{
                "name": "http",
                "typed_config": {
                    "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "http",
                    "codec_type": "HTTP1",
                    "tracing": {
                        "client_sampling": all, "random_sampling": all, "overall_sampling": all,
                        "provider": {"name": "zipkin", "typed_config": {
                            "@type": format!("{TYPES}.config.trace.v3.ZipkinConfig"),
                            "collector_cluster": "sluice",
                            "collector_endpoint": "/api/v2/spans",
                            "collector_endpoint_version": "HTTP_JSON",
                            "shared_span_context": shared,
                            "trace_id_128bit": true,
                        }},
                    },
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name}}],
                    }]},
                    "http_filters": [{
                        "name": "router",
                        "typed_config": {"@type": format!("{TYPES}.extensions.filters.http.router.v3.Router")},
                    }],
                },
            }]}],
        },
    })
}

/// A bridge to which the pods are connected, with an address for the host.
struct Network {
    bridge: String,
    host: String,
}

impl Network {
    /// In the range that RFC 2544 sets aside for tests.
    fn new(shared: bool) -> Self {
        let number = std::process::id() % 120 * 2 + u32::from(shared);
        let network = Self { bridge: format!("sluice{number}"), host: format!("198.18.{number}.1") };
        let bridge = network.bridge.as_str();
        ip(None, &["link", "add", bridge, "type", "bridge"]);
        ip(None, &["address", "add", &format!("{}/24", network.host), "dev", bridge]);
        ip(None, &["link", "set", bridge, "up"]);
        network
    }

    fn pod(&self, number: u8) -> Pod {
        let address = format!("{}.{number}", self.host.rsplit_once('.').unwrap().0);
        let log = std::env::temp_dir().join(format!("{}-{number}.log", self.bridge));
        let mut command = tied(Path::new("unshare"));
        command.args(["--net", "--", "sleep", "infinity"]);
        let mut holder = Process::start(&mut command, &log).unwrap();
        let _ = fs::remove_file(log);
        let namespace = PathBuf::from(format!("/proc/{}/ns/net", holder.id()));
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let is_apart = || fs::read_link(&namespace).is_ok_and(|found| found != own);
        holder.wait_until(PATIENCE, "leave the network namespace", is_apart).unwrap();
        let outside = format!("{}p{number}", self.bridge);
        let id = holder.id().to_string();
        ip(None, &["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &id]);
        ip(None, &["link", "set", &outside, "master", &self.bridge, "up"]);
        ip(Some(&namespace), &["link", "set", "lo", "up"]);
        ip(Some(&namespace), &["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        ip(Some(&namespace), &["link", "set", "eth0", "up"]);
        Pod { address, namespace, _holder: holder }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It fails only if the bridge is gone already.
        let _ = Command::new("ip").args(["link", "delete", &self.bridge]).status();
    }
}

/// A network namespace, which ends with the process that holds it.
struct Pod {
    address: String,
    namespace: PathBuf,
    _holder: Process,
}

impl Pod {
    fn start(&self, setup: &Setup, name: &str, program: &Path, arguments: &[&str]) -> Process {
        let mut command = tied(Path::new("nsenter"));
        command.arg(format!("--net={}", text(&self.namespace))).arg(program).args(arguments);
        Process::start(&mut command, &setup.path(&format!("{name}.log"))).unwrap()
    }
}

fn ip(namespace: Option<&Path>, arguments: &[&str]) {
    let mut command = match namespace {
        Some(namespace) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", text(namespace))).arg("ip");
            command
        }
        None => Command::new("ip"),
    };
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
