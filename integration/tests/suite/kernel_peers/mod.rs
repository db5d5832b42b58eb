//! HTTP between real clients and servers as the kernel saw it, against what they say themselves.
//!
//! Nobody traces. Every exchange must be recorded exactly once on either side, with its exact method, path, status and
//! body sizes. Paths are unique, so that they tell exchanges apart.

mod hyper;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_integration::process::{Process, free_address, tied};

use crate::support::{
    PATIENCE, Setup, Sluice, eventually, get, is_root, program, python_server, script, sum,
};

/// A request of a client's plan.
#[derive(Clone, Debug, Serialize)]
struct Item {
    base: String,
    method: &'static str,
    path: String,
    body: usize,
    chunked: bool,
    expect: bool,
}

/// What a peer, or Sluice, says of an exchange. Sizes are those of the bodies; none where a peer does not know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Said {
    method: String,
    path: String,
    status: u16,
    sent: Option<usize>,
    received: Option<usize>,
}

/// A client that works through a plan, and says what it saw.
type Client = fn(&Setup, &[Item]) -> Option<Vec<Said>>;
/// The role and the path of a record.
type Pair = (String, String);
/// What a record says, and its `error.type`.
type Recorded = (Said, Option<String>);

/// Beyond what is captured, the size of chunks is not seen.
const CHUNKED: usize = 9_000;
const LARGE: usize = 300_000;
/// curl asks before it sends this much.
const ASKED: usize = 1_500_000;

#[test]
fn every_exchange_is_recorded_once_on_either_side() {
    matrix("a");
}

#[test]
fn every_exchange_is_recorded_once_on_either_side_by_system_calls() {
    matrix("b");
}

fn matrix(tier: &str) {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let Some(servers) = Servers::start(&setup) else { return };
    let sluice = start_sluice(&setup, tier, &servers);
    let mut said = Vec::new();
    let clients: [(&str, Client); 5] = [
        ("curl", curl),
        ("requests", |setup, plan| python(setup, "requests", plan)),
        ("aiohttp", |setup, plan| python(setup, "aiohttp", plan)),
        ("node", node),
        ("hyper", |_, plan| Some(hyper::client(plan))),
    ];
    std::thread::scope(|scope| {
        let running = clients.map(|(name, client)| {
            let (setup, servers) = (&setup, &servers);
            scope.spawn(move || client(setup, &plan(name, servers)))
        });
        said.extend(running.into_iter().map(|client| client.join().unwrap()));
    });
    let Some(said) = said.into_iter().collect::<Option<Vec<_>>>() else { return };
    let mut said = said.concat();
    said.extend(pipelined(servers.address("nginx")));

    let count = said.len();
    // What is missing is told below.
    let mut last = (0, Instant::now());
    eventually("no more exchanges are recorded", || {
        let now = sum(setup.telemetry, "otelcol_receiver_accepted_log_records", "receiver=\"ebpf_network\"");
        if now != last.0 {
            last = (now, Instant::now());
        }
        now >= 2 * count || last.1.elapsed() > Duration::from_secs(10)
    });
    let page = get(setup.telemetry, "/metrics").body;
    let losses = String::from_utf8_lossy(&page);
    let losses: Vec<_> =
        losses.lines().filter(|line| line.starts_with("sluice_ebpf_") && !line.ends_with(" 0")).collect();
    sluice.stop();
    let (logged, mut recorded) = (servers.logged(&setup), recorded(&setup));
    let mut wrong = Vec::new();
    for said in &said {
        assert!(
            logged.iter().any(|logged| logged.path == said.path && agree(logged, said)),
            "the peers do not agree on {said:?}"
        );
        for role in ["client", "server"] {
            let found = recorded.remove(&(role.to_owned(), said.path.clone())).unwrap_or_default();
            if found.len() != 1 || found[0].0 != *said || found[0].1.is_some() {
                wrong.push(format!("{role} of {said:?} is {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}, {losses:#?}:\n{}", wrong.len(), 2 * count, wrong.join("\n"));
    assert!(recorded.is_empty(), "nobody made these: {recorded:?}");
}

/// The requests of one client to all servers.
fn plan(client: &str, servers: &Servers) -> Vec<Item> {
    let mut plan = Vec::new();
    for (server, address) in &servers.addresses {
        let mut add = |method, action: &str, body, chunked, expect| {
            let path = format!("{action}/{server}-{client}-{}", plan.len());
            plan.push(Item { base: format!("http://{address}"), method, path, body, chunked, expect });
        };
        // nginx takes a body by itself only for a file.
        let upload = if *server == "nginx" { "PUT" } else { "POST" };
        let can_ask = ["curl", "aiohttp", "node"].contains(&client);
        add("GET", "/fixed/1000", 0, false, false);
        add("GET", &format!("/fixed/{LARGE}"), 0, false, false);
        add("HEAD", "/fixed/1000", 0, false, false);
        add("GET", "/chunked/0", 0, false, false);
        add("GET", &format!("/chunked/{CHUNKED}"), 0, false, false);
        add(upload, "/count", 10, false, false);
        add(upload, "/count", LARGE, false, false);
        add(upload, "/count", CHUNKED, true, false);
        add(upload, "/count", ASKED, false, can_ask);
        for status in [204, 304, 404, 500] {
            add("GET", &format!("/status/{status}"), 0, false, false);
        }
        if *server == "nginx" {
            // It answers before it has read the body.
            add("POST", "/discard", 100_000, false, false);
        }
        for _ in 0..50 {
            add("GET", "/fixed/1000", 0, false, false);
        }
    }
    plan
}

/// Whether a server and a client say the same, as far as the server tells.
fn agree(server: &Said, client: &Said) -> bool {
    let sizes = [(server.received, client.sent), (server.sent, client.received)];
    (&server.method, server.status) == (&client.method, client.status)
        && sizes.iter().all(|(server, client)| server.is_none() || server == client)
}

/// One connection for all requests to a server that keeps it.
fn curl(setup: &Setup, plan: &[Item]) -> Option<Vec<Said>> {
    program("curl")?;
    let mut command = setup.program("curl");
    for (place, item) in plan.iter().enumerate() {
        if place > 0 {
            command.arg("--next");
        }
        command.args(["--silent", "--max-time", "20", "--output", "/dev/null"]);
        command.args(["--write-out", "%{http_code} %{size_download}\n"]);
        if item.method == "HEAD" {
            command.arg("--head");
        } else if item.body > 0 {
            let body = setup.write(&format!("body-{}", item.body), &"y".repeat(item.body));
            command.args(["--request", item.method, "--data-binary", &format!("@{}", body.display())]);
            if item.chunked {
                command.args(["--header", "Transfer-Encoding: chunked"]);
            }
            if !item.expect {
                command.args(["--header", "Expect:"]);
            }
        }
        command.arg(format!("{}{}", item.base, item.path));
    }
    let printed = printed(command);
    let answers = printed.lines().map(|line| line.split_once(' ').unwrap());
    let said = plan.iter().zip(answers).map(|(item, (status, size))| {
        // Of HEAD it tells the size of what would have come.
        let received = if item.method == "HEAD" { 0 } else { size.parse().unwrap() };
        said(item, status.parse().unwrap(), received)
    });
    Some(said.collect())
}

fn python(setup: &Setup, library: &str, plan: &[Item]) -> Option<Vec<Said>> {
    let (python, script) = python_server("http_client.py")?;
    let plan = setup.write(&format!("plan-{library}.json"), &serde_json::to_string(plan).unwrap());
    let mut command = Command::new(python);
    command.arg(script).arg(library).arg(plan);
    Some(read(&printed(command)))
}

fn node(setup: &Setup, plan: &[Item]) -> Option<Vec<Said>> {
    let node = program("node")?;
    let plan = setup.write("plan-node.json", &serde_json::to_string(plan).unwrap());
    let mut command = Command::new(node);
    command.arg(script("node/http_client.cjs")).arg(plan);
    Some(read(&printed(command)))
}

/// Many requests in one write, and their responses in few reads.
fn pipelined(nginx: SocketAddr) -> Vec<Said> {
    let paths: Vec<String> = (0..20).map(|number| format!("/fixed/10/pipelined-{number}")).collect();
    let requests: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut stream = TcpStream::connect(nginx).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = vec![0; 1 << 16];
    while String::from_utf8_lossy(&answer).matches("\r\n\r\nxxxxxxxxxx").count() < paths.len() {
        let size = stream.read(&mut piece).unwrap();
        assert!(size > 0, "nginx closed the connection");
        answer.extend_from_slice(&piece[..size]);
    }
    let item =
        |path| Item { base: String::new(), method: "GET", path, body: 0, chunked: false, expect: false };
    paths.into_iter().map(|path| said(&item(path), 200, 10)).collect()
}

fn said(item: &Item, status: u16, received: usize) -> Said {
    let (method, path) = (item.method.to_owned(), item.path.clone());
    Said { method, path, status, sent: Some(item.body), received: Some(received) }
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{errors}", command.get_program().display(), output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Lines of JSON.
fn read(text: &str) -> Vec<Said> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

struct Servers {
    addresses: Vec<(&'static str, SocketAddr)>,
    hyper: hyper::Server,
    _processes: Vec<Process>,
}

impl Servers {
    fn start(setup: &Setup) -> Option<Self> {
        let (python, python_script) = python_server("http_server.py")?;
        let (nginx, node, java) = (program("nginx")?, program("node")?, program("java")?);
        // The JDK compiles the script.
        program("javac")?;
        let mut servers =
            Self { addresses: Vec::new(), hyper: hyper::Server::start(), _processes: Vec::new() };
        let mut start = |name: &'static str, program: &Path, arguments: &[&str], script: &Path| {
            let address = free_address().unwrap();
            let mut command = tied(program);
            if name == "nginx" {
                command.arg("-p").arg(setup.directory.path()).arg("-c").arg(nginx_config(setup, address));
            } else {
                command.args(arguments.first().filter(|argument| argument.starts_with('-'))).arg(script);
                command.args(arguments.iter().filter(|argument| !argument.starts_with('-')));
                command.args([address.ip().to_string(), address.port().to_string()]);
            }
            let process = Process::start(&mut command, &setup.path(&format!("{name}.log"))).unwrap();
            servers.addresses.push((name, address));
            servers._processes.push(process);
        };
        start("nginx", &nginx, &[], Path::new(""));
        start("werkzeug", &python, &["werkzeug"], &python_script);
        start("aiohttp", &python, &["aiohttp"], &python_script);
        start("node", &node, &[], &script("node/http_server.cjs"));
        start("java", &java, &["-XX:TieredStopAtLevel=1"], &script("java/Server.java"));
        for ((name, address), process) in servers.addresses.iter().zip(&mut servers._processes) {
            if let Err(error) = process.wait_until_listening(*address, PATIENCE * 4) {
                panic!(
                    "{name}: {error}\n{}",
                    fs::read_to_string(setup.path(&format!("{name}.log"))).unwrap()
                );
            }
        }
        let hyper = servers.hyper.address;
        servers.addresses.push(("hyper", hyper));
        Some(servers)
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses.iter().find(|(server, _)| *server == name).unwrap().1
    }

    /// What they say of the requests that they answered.
    fn logged(&self, setup: &Setup) -> Vec<Said> {
        let logs = self
            .addresses
            .iter()
            .filter(|(name, _)| *name != "hyper")
            .map(|(name, _)| fs::read_to_string(setup.path(&format!("{name}.log"))).unwrap());
        let lines =
            logs.map(|log| log.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n"));
        lines.flat_map(|lines| read(&lines)).chain(self.hyper.said()).collect()
    }
}

/// nginx serves files by `sendfile`, chunks what its SSI filter may have changed, and logs like the other servers.
fn nginx_config(setup: &Setup, address: SocketAddr) -> PathBuf {
    let directory = setup.directory.path().display();
    for size in [0, 10, 1_000, CHUNKED, LARGE] {
        setup.write(&format!("file-{size}"), &"x".repeat(size));
    }
    setup.write(
        "nginx.conf",
        &format!(
            r#"user root;
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    log_format json escape=json '{{"method": "$request_method", "path": "$uri", "status": $status}}';
    access_log {directory}/nginx.log json;
    client_body_temp_path {directory}/uploads;
    client_max_body_size 100m;
    sendfile on;
    keepalive_requests 10000;
    server {{
        listen {address};
        location ~ ^/fixed/(\d+)/ {{ alias {directory}/file-$1; }}
        location ~ ^/chunked/(\d+)/ {{ ssi on; ssi_types *; alias {directory}/file-$1; }}
        location /count/ {{ root {directory}; dav_methods PUT; create_full_put_path on; }}
        location /discard/ {{ return 200 "discarded"; }}
        location /status/204/ {{ return 204; }}
        location /status/304/ {{ return 304; }}
        location /status/404/ {{ return 404 "status 404"; }}
        location /status/500/ {{ return 500 "status 500"; }}
    }}
}}
"#
        ),
    )
}

fn start_sluice(setup: &Setup, tier: &str, servers: &Servers) -> Sluice {
    let ports: Vec<u16> = servers.addresses.iter().map(|(_, address)| address.port()).collect();
    let config = setup.config(
        &format!(
            "  ebpf_network:
    tier: {tier}
    ports: {ports:?}
    max_header_size: 16KiB
    sampling: {{untraced: true, top: 1000, window: 200ms, default: {{ratio: 1}}}}
exporters:
  file: {{path: '{}'}}",
            setup.path("exchanges.jsonl").display()
        ),
        "    logs: {receivers: [ebpf_network], exporters: [file]}",
    );
    let sluice = setup.spawn(&setup.write("config.yaml", &config));
    eventually("the kernel side is attached", || sluice.log().contains("The kernel side is attached"));
    sluice
}

/// What Sluice recorded, by role and path, and what it found wrong with it.
fn recorded(setup: &Setup) -> BTreeMap<Pair, Vec<Recorded>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let text = fs::read_to_string(setup.path("exchanges.jsonl")).unwrap_or_default();
    // The last line may be half written.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Value = serde_json::from_str(line).unwrap();
        let groups = line["resourceLogs"].as_array().unwrap().iter();
        let scopes = groups.flat_map(|group| group["scopeLogs"].as_array().unwrap());
        for record in scopes.flat_map(|scope| scope["logRecords"].as_array().unwrap()) {
            let said = Said {
                method: attribute(record, "http.request.method").unwrap(),
                path: attribute(record, "url.path").unwrap(),
                status: attribute(record, "http.response.status_code")
                    .map_or(0, |status| status.parse().unwrap()),
                sent: attribute(record, "http.request.body.size").map(|size| size.parse().unwrap()),
                received: attribute(record, "http.response.body.size").map(|size| size.parse().unwrap()),
            };
            let flaw =
                attribute(record, "error.type").or_else(|| attribute(record, "sluice.exchange.truncated"));
            let role = attribute(record, "sluice.event.role").unwrap();
            all.entry((role, said.path.clone())).or_default().push((said, flaw));
        }
    }
    all
}

/// An attribute as text.
fn attribute(record: &Value, key: &str) -> Option<String> {
    let pair = record["attributes"].as_array()?.iter().find(|pair| pair["key"] == key)?;
    let value = pair["value"].as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
