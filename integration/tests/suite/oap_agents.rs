//! SkyWalking's agent for Python to OAP, directly and through Sluice: OAP holds the same.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_integration::process::{Process, free_address, tied};

use crate::support::{Oap, PATIENCE, Setup, Sluice, eventually, python, python_server, service_id};

/// Sluice in the place of Satellite: agents in, this OAP out.
fn satellite(setup: &Setup, oap: &Oap) -> (Sluice, SocketAddr) {
    let address = free_address().unwrap();
    let rest = format!(
        "  skywalking:
    protocols:
      grpc: {{endpoint: '{address}'}}
    upstream: oap
exporters:
  oap: {{}}
extensions:
  oap:
    endpoints: ['{}']
    check_period: 1s",
        oap.grpc
    );
    let pipelines = ["traces", "metrics", "logs"]
        .map(|signal| format!("    {signal}: {{receivers: [skywalking], exporters: [oap]}}\n"))
        .concat();
    let config = setup.config(&rest, &pipelines).replace("service:\n", "service:\n  extensions: [oap]\n");
    (setup.start(&config, address), address)
}

/// What OAP holds of a shop, without what differs from run to run: names, ports, ids and times.
fn held(oap: &Oap, name: &str, stock: &str) -> Value {
    let (web, of_stock) = (format!("{name}-web"), format!("{name}-stock"));
    let plain = |text: &str| text.replace(name, "NAME").replace(stock, "STOCK");
    let sorted = |texts: Vec<String>| {
        let mut texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    let mut traces: Vec<Vec<String>> = Vec::new();
    for trace in traces(oap, &web) {
        let spans = oap.trace(&trace);
        traces.push(sorted(spans.iter().map(|span| plain_span(span, &spans)).collect()));
    }
    traces.sort();
    let logs = |service: &str| {
        let logs = oap.logs(service);
        sorted(
            logs.iter()
                .map(|log| format!("{} {} {}", log["endpointName"], without_time(log), log["tags"]))
                .collect(),
        )
    };
    let edges = oap.edges(&[&web, &of_stock]);
    json!({
        "instances": [sorted(oap.instances(&web)), sorted(oap.instances(&of_stock))],
        "properties": [properties(oap, &web), properties(oap, &of_stock)],
        "endpoints": [sorted(oap.endpoints(&web)), sorted(oap.endpoints(&of_stock))],
        "edges": sorted(edges.iter().map(|(from, to, point)| format!("{from} -> {to} ({point})")).collect()),
        "traces": traces,
        "logs": [logs(&web), logs(&of_stock)],
    })
}

/// The ids of the traces of a service.
fn traces(oap: &Oap, service: &str) -> BTreeSet<String> {
    let id = service_id(service);
    let found = oap.query(&format!(
        "{{ found: queryBasicTraces(condition: {{serviceId: \"{id}\", queryDuration: $duration, traceState: ALL, \
         queryOrder: BY_START_TIME, paging: {{pageNum: 1, pageSize: 100}}}}) {{ traces {{ traceIds }} }} }}"
    ));
    let traces = found["found"]["traces"].as_array().cloned().unwrap_or_default();
    let ids = traces.iter().flat_map(|trace| trace["traceIds"].as_array().unwrap());
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The names of an instance's properties, and the values of those that are the same for all.
fn properties(oap: &Oap, service: &str) -> BTreeSet<String> {
    let id = service_id(service);
    let found = oap.query(&format!(
        "{{ all: listInstances(duration: $duration, serviceId: \"{id}\") {{ language attributes {{ name value }} }} }}"
    ));
    let instance = &found["all"][0];
    let names = instance["attributes"].as_array().unwrap().iter();
    names.map(|pair| pair["name"].to_string()).chain([instance["language"].to_string()]).collect()
}

/// A span with its references resolved to the spans that they name.
fn plain_span(span: &Value, spans: &[Value]) -> String {
    let refs: Vec<String> = span["refs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reference| {
            let found = spans.iter().find(|span| {
                span["segmentId"] == reference["parentSegmentId"]
                    && span["spanId"] == reference["parentSpanId"]
            });
            format!("{} {}", reference["type"], found.map_or(&Value::Null, |span| &span["endpointName"]))
        })
        .collect();
    format!(
        "{} {} {} {} {} {} {} {} {} {} {:?} {} {}",
        span["serviceCode"],
        span["serviceInstanceName"],
        span["spanId"],
        span["parentSpanId"],
        span["endpointName"],
        span["type"],
        span["layer"],
        span["component"],
        span["peer"],
        span["isError"],
        refs,
        span["tags"],
        span["logs"].as_array().map_or(0, Vec::len),
    )
}

/// The content of a log after the agent's time.
fn without_time(log: &Value) -> String {
    let content = log["content"].as_str().unwrap();
    content.split_once('[').map_or(content, |(_, rest)| rest).to_owned()
}

/// The address at which the shop's stock listened.
fn stock(printed: &str) -> String {
    printed.lines().find_map(|line| line.strip_prefix("stock ")).unwrap().to_owned()
}

#[test]
fn the_python_agent_says_the_same_through_sluice() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let (sluice, address) = satellite(&setup, oap);
    let run = |name: &'static str, backend: SocketAddr| {
        std::thread::spawn(move || {
            python("skywalking_shop.py", &["--backend", &backend.to_string(), "--name", name])
        })
    };
    let (direct, through) = (run("direct", oap.grpc), run("through", address));
    let (Some(direct), Some(through)) = (direct.join().unwrap(), through.join().unwrap()) else { return };
    oap.knows("GENERAL", &["direct-web", "direct-stock", "through-web", "through-stock"]);
    let (mut expected, mut found) = (Value::Null, Value::Null);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && (expected.is_null() || expected != found) {
        std::thread::sleep(Duration::from_millis(500));
        expected = held(oap, "direct", &stock(&direct));
        found = held(oap, "through", &stock(&through));
    }
    assert_eq!(found["traces"].as_array().unwrap().len(), 4, "{found:#}");
    for part in ["instances", "properties", "endpoints", "edges", "traces", "logs"] {
        assert_eq!(found[part], expected[part], "{part}");
    }
    eventually("the meters are stored", || {
        ["direct", "through"].iter().all(|name| {
            let (service, instance) = (format!("{name}-web"), format!("{name}-web-1"));
            !oap.metric("meter_test_python_threads", &service, Some(&instance)).is_empty()
        })
    });
    sluice.stop();
}

/// A task that somebody starts in OAP comes to the agent through Sluice, and what the agent finds comes back.
#[test]
fn a_profile_task_reaches_the_agent_through_sluice() {
    let Some(oap) = Oap::shared() else { return };
    let Some((program, script)) = python_server("skywalking_shop.py") else { return };
    let setup = Setup::new();
    let (sluice, address) = satellite(&setup, oap);
    let mut command = tied(&program);
    command.arg(script).args(["--backend", &address.to_string(), "--name", "profiled"]);
    command.args(["--requests", "1", "--slow", "60"]);
    let _shop = Process::start(&mut command, &setup.path("shop.log")).unwrap();
    oap.knows("GENERAL", &["profiled-web"]);
    let id = service_id("profiled-web");
    let created = oap.query(&format!(
        "mutation {{ task: createProfileTask(creationRequest: {{serviceId: \"{id}\", endpointName: \"/order\", duration: 5, \
         minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 2}}) {{ id errorReason }} }}"
    ));
    let task = created["task"]["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    let mut segments = Value::Null;
    eventually("the agent's snapshots are there", || {
        std::thread::sleep(Duration::from_millis(500));
        segments = oap.query(&format!(
            "{{ all: getProfileTaskSegments(taskID: \"{task}\") {{ traceId instanceName duration }} }}"
        ));
        segments["all"].as_array().is_some_and(|segments| !segments.is_empty())
    });
    assert_eq!(segments["all"][0]["instanceName"], "profiled-web-1", "{segments}");
    let told = oap.query(&format!(
        "{{ all: getProfileTaskLogs(taskID: \"{task}\") {{ operationType instanceName }} }}"
    ));
    assert_eq!(told["all"][0], json!({"operationType": "NOTIFIED", "instanceName": "profiled-web-1"}));
    sluice.stop();
}
