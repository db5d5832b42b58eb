//! Kernel events on the spans of real tracers, and what must never get out.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use serde_json::Value;
use sluice_integration::process::free_address;

use crate::support::{
    PATIENCE, PrometheusServer, Setup, ZipkinServer, eventually, executable, get, is_root,
    kernel::{
        Nginx, annotations, event_tag, free_health, joined, joined_requests, recorded, recording, records,
        start, trace_in_zipkin,
    },
    lines, program, python,
};

/// What the application says of each of its spans, by span id.
fn told(printed: &str) -> BTreeMap<String, Value> {
    lines(printed).into_iter().map(|line| (line["span"].as_str().unwrap().to_owned(), line)).collect()
}

#[test]
fn spans_of_the_python_sdk_have_their_exchanges_in_zipkin() {
    let (true, Some(server)) = (is_root(), ZipkinServer::shared()) else { return };
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let receiver = format!(
            "    tier: {tier}
    processes: {{include: [{{command_line: traced.py}}]}}
    sampling:
      window: 100ms
      syscall_events: true
      default: {{ratio: 1, request: {{content: true}}, response: {{content: true}}}}"
        );
        let exporters = format!("  zipkin: {{endpoint: 'http://{}/api/v2/spans'}}", server.address);
        let sluice = start(&setup, &joined(&setup, &receiver, &exporters, "zipkin"));
        let port = free_address().unwrap().port().to_string();
        let endpoint = format!("http://{}", setup.grpc);
        let arguments =
            ["--endpoint", &endpoint, "--server-port", &port, "--requests", "9", "--connections", "2"];
        let Some(printed) = python("traced.py", &arguments) else { return };
        let told = told(&printed);
        assert_eq!(told.len(), 2 * 2 * 9, "each request is a span of the client and one of the server");
        for trace in told.values().filter(|span| span["kind"] == "CLIENT").map(|span| &span["trace"]) {
            for span in trace_in_zipkin(server, trace.as_str().unwrap(), 2) {
                assert_told(&span, &told[span["id"].as_str().unwrap()], tier);
            }
        }
        let log = sluice.stop();
        assert!(!log.contains("traced-secret"), "{log}");
    }
}

/// A span in Zipkin has the events of its own exchange, as the application saw it.
fn assert_told(span: &Value, told: &Value, tier: &str) {
    let is_client = told["kind"] == "CLIENT";
    let annotations = annotations(span);
    for name in ["HTTP Request Sampling-1", "HTTP Response Sampling-1"] {
        assert!(annotations.contains(&format!("Start {name}").as_str()), "{name} in {span:#}");
        assert!(annotations.contains(&format!("Finished {name}").as_str()), "{name} in {span:#}");
    }
    assert!(annotations.iter().any(|name| name.starts_with("Start Syscall Send")), "{tier}: {span:#}");
    assert!(!annotations.contains(&"Start HTTP Request Sampling-2"), "one exchange: {span:#}");
    let (request, response) = (event_tag(span, "request"), event_tag(span, "response"));
    assert_eq!(request["sluice.event.direction"], if is_client { "outbound" } else { "inbound" });
    assert_eq!(response["sluice.event.direction"], if is_client { "inbound" } else { "outbound" });
    let content = request["sluice.event.content"].as_str().unwrap();
    assert!(
        content.starts_with(&format!("GET {} HTTP/1.1\r\n", told["path"].as_str().unwrap())),
        "{content}"
    );
    assert!(content.contains(&format!("traceparent: 00-{}-", told["trace"].as_str().unwrap())), "{content}");
    assert!(content.contains("authorization: REDACTED"), "{content}");
    let content = response["sluice.event.content"].as_str().unwrap();
    assert!(content.contains(&format!("\"path\": {}", told["path"])), "{content}");
    assert_eq!(response["http.response.status_code"].to_string(), told["status"].to_string());
}

/// Many traces at once through an nginx that only passes headers on: nothing lands on a span that it does not belong to.
#[test]
fn events_stay_with_their_own_trace_and_process_behind_an_untraced_proxy() {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let backend = free_address().unwrap();
    let locations = format!(
        "location / {{ proxy_pass http://{backend}; proxy_http_version 1.1; proxy_set_header Connection ''; }}"
    );
    let Some(nginx) = Nginx::start(&setup, &locations) else { return };
    let receiver = "    processes: {include: [{command_line: traced.py}, {executable: nginx}]}
    sampling:
      window: 100ms
      # By their share alone: of each class only the longest would be taken.
      default: {status_4xx: false, status_5xx: false, ratio: 1, request: {content: true}}";
    let exporters = format!("  file: {{path: {}/traces.jsonl}}", setup.directory.path().display());
    let sluice = start(&setup, &joined(&setup, receiver, &exporters, "file"));
    let requests: usize = if std::env::var("CI").is_ok() { 625 } else { 125 };
    let endpoint = format!("http://{}", setup.grpc);
    let (server, proxy) = (backend.port().to_string(), nginx.address.port().to_string());
    let count = requests.to_string();
    let arguments = [
        "--endpoint",
        &endpoint,
        "--server-port",
        &server,
        "--proxy-port",
        &proxy,
        "--requests",
        &count,
        "--connections",
        "16",
    ];
    let Some(printed) = python("traced.py", &arguments) else { return };
    let told = told(&printed);
    let traces = told.len() / 2;
    assert_eq!(traces, requests * 16);
    eventually("the last exchanges are joined", || joined_requests(&setup).len() >= told.len() * 99 / 100);
    sluice.stop();

    let mut joined = 0;
    for (span, content) in joined_requests(&setup) {
        let told = &told[&span];
        let path = told["path"].as_str().unwrap();
        assert!(content.starts_with(&format!("GET {path} ")), "{content} is on the span of {path}");
        assert!(content.contains(told["trace"].as_str().unwrap()), "{content} is on a span of {told}");
        joined += 1;
    }
    let unjoined = lines(&fs::read_to_string(setup.path("unjoined.jsonl")).unwrap_or_default());
    let unjoined: usize = unjoined.iter().map(|document| records(document).count()).sum();
    println!(
        "{traces} traces, {joined} of {} spans with their exchange, {unjoined} exchanges unjoined ({} of them are the proxy's)",
        told.len(),
        2 * traces
    );
    assert!(joined * 100 >= told.len() * 99, "{joined} of {} spans have their exchange", told.len());
}

#[test]
fn a_hundred_processes_that_live_for_milliseconds_are_all_seen() {
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let Some(nginx) = Nginx::start(&setup, "location / { return 200 'hello'; }") else { return };
        let Some(curl) = program("curl") else { return };
        let receiver = format!(
            "    tier: {tier}
    processes: {{include: [{{executable: /curl$, ports: [{}]}}]}}
    sampling: {{untraced: true, window: 100ms, default: {{ratio: 1}}}}",
            nginx.address.port()
        );
        let sluice = start(&setup, &recording(&setup, &receiver));
        for number in 0..100 {
            let url = format!("http://{}/{number}", nginx.address);
            assert!(Command::new(&curl).args(["-s", "-o", "/dev/null", &url]).status().unwrap().success());
        }
        eventually("all are recorded", || recorded(&setup, "client").len() >= 100);
        sluice.stop();
        let mut paths: Vec<_> =
            recorded(&setup, "client").iter().map(|record| record["url.path"].clone()).collect();
        paths.sort_by_key(|path| path.as_str().unwrap()[1..].parse::<u32>().unwrap());
        assert_eq!(paths, (0..100).map(|number| Value::from(format!("/{number}"))).collect::<Vec<_>>());
        assert_eq!(recorded(&setup, "server").len(), 0, "nginx is not among the processes to watch");
    }
}

/// Secrets in every place where a request has them are in no output, log or metric.
#[test]
fn no_secret_gets_out() {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let answer = "add_header Set-Cookie 'session=setc00kie-s3cret; HttpOnly'; return 401 '{\"access_token\":\"b0dy-s3cret\"}';";
    let Some(nginx) =
        Nginx::start(&setup, &format!("location / {{ default_type application/json; {answer} }}"))
    else {
        return;
    };
    let Some(curl) = program("curl") else { return };
    let receiver = format!(
        "    processes:
      include: [{{executable: /curl$, ports: [{port}]}}, {{executable: nginx, ports: [{port}]}}]
    metrics: {{interval: 500ms}}
    redaction: {{headers: [x-internal], fields: [pin], query: [ticket], patterns: ['pat-[0-9a-z-]+']}}
    sampling:
      untraced: true
      window: 100ms
      syscall_events: true
      default: {{ratio: 1, request: {{content: true, max_size: 16KiB}}, response: {{content: true}}}}",
        port = nginx.address.port()
    );
    let sluice = start(&setup, &recording(&setup, &receiver));
    let json = r#"{"password":"js0n-s3cret","deep":{"pin":"p1n-s3cret"},"note":"pat-tern-s3cret"}"#;
    let form = "user=a&pass%77ord=f0rm-s3cret&ticket=tick3t-s3cret";
    let url =
        format!("http://us3r:userinf0-s3cret@{}/x?token=qu3ry-s3cret&tick%65t=enc0ded-s3cret", nginx.address);
    let header = |text: &str| ["-H".to_owned(), text.to_owned()];
    let mut headers: Vec<String> = Vec::new();
    for text in [
        "Proxy-Authorization: Basic pr0xy-s3cret",
        "COOKIE: a=c00kie-s3cret",
        "X-Api-Key: ap1key-s3cret",
        "x-Internal: 1nternal-s3cret",
        "Referer: http://a:r3ferer-s3cret@h/?token=r3fquery-s3cret",
    ] {
        headers.extend(header(text));
    }
    for (kind, body) in [("application/json", json), ("application/x-www-form-urlencoded", form)] {
        let mut command = Command::new(&curl);
        command.args(["-s", "-o", "/dev/null", "--max-time", "10", "--data", body, &url]);
        command.args(header(&format!("Content-Type: {kind}"))).args(&headers);
        assert!(command.status().unwrap().success());
    }
    eventually("all is recorded", || {
        recorded(&setup, "client").len() >= 2
            && recorded(&setup, "server").len() >= 2
            && fs::metadata(setup.path("metrics.jsonl")).is_ok_and(|file| file.len() > 0)
    });
    let log = sluice.stop();
    let written = |name: &str| fs::read_to_string(setup.path(name)).unwrap();
    let records = written("records.jsonl");
    assert!(records.contains("REDACTED") && records.contains("/x"), "something was recorded");
    for output in [&log, &records, &written("metrics.jsonl")] {
        let place = output.find("s3cret");
        assert_eq!(place.map(|place| &output[place.saturating_sub(60)..place + 6]), None, "a secret got out");
    }
}

#[test]
fn without_privileges_the_start_fails_and_says_what_to_do() {
    if !is_root() {
        return;
    }
    let Some(setpriv) = program("setpriv") else { return };
    let setup = Setup::new();
    let config = setup.write(
        "config.yaml",
        "receivers: {ebpf_network: {}}\nexporters: {debug: {}}\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [ebpf_network], exporters: [debug]}}}\n",
    );
    // Others must be able to read it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(setup.directory.path(), open).unwrap();
    let binary = setup.path("sluice");
    // Not by this process: what another test starts meanwhile would have the copy open, and nothing can be run then.
    assert!(Command::new("cp").arg(executable()).arg(&binary).status().unwrap().success());
    let mut command = Command::new(setpriv);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
    let output = command.arg("run").arg("--config").arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("ebpf_network") && told.contains("BPF and PERFMON") && told.contains("doctor"),
        "{told}"
    );
}

/// The file that README recommends, with other ports: a failed request of an untouched curl is on its span in Zipkin.
#[test]
fn the_ready_made_configuration_puts_a_failed_request_onto_its_span() {
    let (true, Some(server)) = (is_root(), ZipkinServer::shared()) else { return };
    let setup = Setup::new();
    let Some(nginx) = Nginx::start(&setup, "location / { return 503 'out of order'; }") else { return };
    let Some(curl) = program("curl") else { return };
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/ebpf-zipkin.yaml");
    let health = free_health(&setup);
    let sets = [
        format!("receivers.otlp.protocols.grpc.endpoint={}", setup.grpc),
        format!("receivers.otlp.protocols.http.endpoint={}", setup.http),
        format!("receivers.zipkin.endpoint={}", setup.zipkin),
        format!("receivers.ebpf_network.ports=[{}]", nginx.address.port()),
        format!("exporters.zipkin.endpoint=http://{}/api/v2/spans", server.address),
        format!("exporters.file/unjoined.path={}", setup.path("unjoined.jsonl").display()),
        format!("extensions.health_check.endpoint={health}"),
        "service.telemetry.metrics.level=none".to_owned(),
    ];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let mut sluice = setup.spawn_with(&file, &arguments);
    if let Err(error) = sluice.process.wait_until_listening(health, PATIENCE) {
        panic!("{error}\n{}", sluice.log());
    }
    eventually("the kernel side is attached", || get(health, "/").status == 200);
    let (trace, span) = ("463ac35c9f6413ad48485a3953bb61aa", "a2fb4a1d1a96d312");
    let mut command = Command::new(curl);
    let headers = format!("traceparent: 00-{trace}-{span}-01");
    let child =
        command.args(["-s", "-o", "/dev/null", "-H", &headers, &format!("http://{}/pay", nginx.address)]);
    let child = child.spawn().unwrap();
    let pid = child.id();
    assert!(child.wait_with_output().unwrap().status.success());
    // What a tracer in that process would report.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let document = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[
            {{"key":"service.name","value":{{"stringValue":"till"}}}},
            {{"key":"host.name","value":{{"stringValue":"{host}"}}}},
            {{"key":"process.pid","value":{{"intValue":"{pid}"}}}}]}},
            "scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"{span}","name":"pay","kind":3,
            "startTimeUnixNano":"{}","endTimeUnixNano":"{now}"}}]}}]}}]}}"#,
        now - 200_000_000
    );
    let answer =
        crate::support::post(setup.http, "/v1/traces", &[("content-type", "application/json")], document);
    assert_eq!(answer.status, 200);
    let found = trace_in_zipkin(server, trace, 1);
    let response = event_tag(&found[0], "response");
    assert_eq!(response["http.response.status_code"].to_string(), "503");
    assert_eq!(response["sluice.event.content"], Value::Null, "the rule for /pay keeps no content");
    sluice.stop();
}

/// The file that README recommends, with other ports: the kernel's measurements of an untouched curl and nginx in a real
/// Prometheus.
#[test]
fn the_ready_made_configuration_shows_requests_in_prometheus() {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let Some(nginx) = Nginx::start(&setup, "location / { return 200 'fine'; }") else { return };
    let Some(curl) = program("curl") else { return };
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/ebpf-prometheus.yaml");
    let (health, scraped) = (free_health(&setup), free_address().unwrap());
    let sets = [
        "receivers.ebpf_network.metrics.interval=1s".to_owned(),
        format!("receivers.ebpf_network.ports=[{}]", nginx.address.port()),
        format!("exporters.prometheus.endpoint={scraped}"),
        format!("extensions.health_check.endpoint={health}"),
        "service.telemetry.metrics.level=none".to_owned(),
    ];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let mut sluice = setup.spawn_with(&file, &arguments);
    if let Err(error) = sluice.process.wait_until_listening(health, PATIENCE) {
        panic!("{error}\n{}", sluice.log());
    }
    eventually("the kernel side is attached", || get(health, "/").status == 200);
    let features = "native-histograms";
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, features) else { return };
    for _ in 0..10 {
        let mut command = Command::new(&curl);
        command.args(["-s", "-o", "/dev/null", &format!("http://{}/api/users/7", nginx.address)]);
        assert!(command.status().unwrap().success());
    }
    for (side, process) in [("server", "nginx"), ("client", "curl")] {
        let labels =
            format!("process_executable_name=%22{process}%22,url_template=%22/api/users/%7Bid%7D%22");
        let count = format!("sum(http_{side}_request_duration_seconds_count%7B{labels}%7D)");
        eventually(&format!("Prometheus has ten requests of the {side}"), || {
            let answer = get(server.address, &format!("/api/v1/query?query={count}"));
            let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(50));
            answer["data"]["result"][0]["value"][1] == "10"
        });
    }
    sluice.stop();
}

/// The demo shows events on all of its spans, and no secret.
#[test]
fn the_demo_shows_kernel_events_on_its_traces() {
    if !is_root() {
        return;
    }
    let _setup = Setup::new();
    let output = Command::new(executable()).arg("demo").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = text.lines().find(|line| line.contains("on them")).unwrap_or_default();
    assert!(summary.contains("4 traces with 16 spans"), "{text}");
    for expected in
        ["HTTP Request Sampling, outbound", "HTTP Response Sampling, inbound", "authorization: REDACTED"]
    {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
    assert!(!text.contains("demo-secret"), "{text}");
}
