//! SkyWalking's agents for Python, Node and Java to OAP, directly and through Sluice: OAP holds the same.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_integration::process::free_address;

use crate::support::{
    Oap, PATIENCE, Setup, Sluice, eventually, eventually_every, java_shop, node, output, python, service_id,
};

/// Sluice in the place of Satellite: agents in, this OAP out.
pub(crate) struct Satellite {
    pub(crate) sluice: Sluice,
    pub(crate) grpc: SocketAddr,
    http: SocketAddr,
}

impl Satellite {
    pub(crate) fn start(setup: &Setup, oap: &Oap) -> Self {
        let [grpc, http] = [(); 2].map(|()| free_address().unwrap());
        let rest = format!(
            "  skywalking:
    protocols:
      grpc: {{endpoint: '{grpc}'}}
      http: {{endpoint: '{http}'}}
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
        Self { sluice: setup.start(&config, grpc), grpc, http }
    }
}

/// What OAP holds of a shop, without what differs from run to run: names, ports, ids and times.
fn held(oap: &Oap, name: &str, stock: &str) -> Value {
    let (web, of_stock) = (format!("{name}-web"), format!("{name}-stock"));
    let plain = |text: &str| text.replace(name, "NAME").replace(stock, "STOCK");
    let sorted = |texts: Vec<String>| {
        let mut texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
        texts.sort();
        texts
    };
    let mut whole: Vec<Vec<String>> = Vec::new();
    for trace in traces(oap, &web) {
        let spans = oap.trace(&trace);
        whole.push(sorted(spans.iter().map(|span| plain_span(span, &spans)).collect()));
    }
    whole.sort();
    let logs = |service: &str| {
        let logs = oap.logs(service);
        let plain = |log: &Value| {
            let text = format!("{} {} {}", log["endpointName"], without_time(log), log["tags"]);
            // Threads are numbered.
            text.replace(|character: char| character.is_ascii_digit(), "")
        };
        sorted(logs.iter().map(plain).collect())
    };
    // Whose address it is OAP learns some time after it was told: until then it draws the address itself.
    let edges: BTreeSet<String> = oap
        .edges(&[&web, &of_stock])
        .iter()
        .map(|(from, to, point)| {
            plain(&format!("{from} -> {} ({point})", if to == stock { &of_stock } else { to }))
        })
        .collect();
    json!({
        "services": sorted(oap.services("GENERAL").into_iter().filter(|service| service.starts_with(name)).collect()),
        "instances": [sorted(oap.instances(&web)), sorted(oap.instances(&of_stock))],
        "properties": [properties(oap, &web), properties(oap, &of_stock)],
        "endpoints": [sorted(oap.endpoints(&web)), sorted(oap.endpoints(&of_stock))],
        "edges": edges,
        "traces": whole,
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
    let attributes = instance["attributes"].as_array().cloned().unwrap_or_default();
    let names = attributes.iter();
    names.map(|pair| pair["name"].to_string()).chain([instance["language"].to_string()]).collect()
}

/// A span with its references resolved to the spans that they name, and without the ports of those who called.
fn plain_span(span: &Value, spans: &[Value]) -> String {
    let peer = span["peer"].as_str().unwrap_or_default();
    let peer = match span["type"] == "Entry" {
        true => peer.rsplit_once(':').map_or(peer, |(host, _)| host),
        false => peer,
    };
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
        peer,
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

/// Has two shops report, one directly and one through Sluice, and compares what OAP holds of each; `false` if the agent
/// was not fetched. A shop has so many traces, of so many spans.
fn is_the_same(
    oap: &Oap,
    agent: &str,
    backends: [SocketAddr; 2],
    run: Run,
    traces: usize,
    spans: usize,
) -> bool {
    let names = ["direct", "through"].map(|way| format!("{agent}-{way}"));
    let shops: Vec<_> = names
        .iter()
        .zip(backends)
        .map(|(name, backend)| {
            let name = name.clone();
            std::thread::spawn(move || run(&backend.to_string(), &name))
        })
        .collect();
    let mut stocks = Vec::new();
    for shop in shops {
        let Some(printed) = shop.join().unwrap() else { return false };
        stocks.push(stock(&printed));
    }
    let (mut expected, mut found) = (Value::Null, Value::Null);
    let begin = Instant::now();
    let length = |list: &Value| list.as_array().map_or(0, Vec::len);
    let is_whole = |held: &Value| {
        length(&held["services"]) == 2
            && length(&held["traces"]) == traces
            && held["traces"].as_array().unwrap().iter().all(|trace| length(trace) == spans)
    };
    // OAP counts and draws in steps of seconds.
    while begin.elapsed() < PATIENCE && (!is_whole(&expected) || expected != found) {
        std::thread::sleep(Duration::from_millis(500));
        [expected, found] = [0, 1].map(|way| held(oap, &names[way], &stocks[way]));
    }
    for held in [&expected, &found] {
        assert!(is_whole(held), "{held:#}");
    }
    for part in ["services", "instances", "properties", "endpoints", "edges", "traces", "logs"] {
        assert_eq!(found[part], expected[part], "{part} of {agent}");
    }
    eventually("all calls are counted", || {
        names.iter().all(|name| {
            let counted = oap.metric("service_cpm", &format!("{name}-web"), None);
            counted.iter().sum::<f64>().round() >= 1.0
        })
    });
    true
}

/// Runs a shop against a back-end, under a name, and returns what it printed.
type Run = fn(&str, &str) -> Option<String>;

#[test]
fn the_python_agent_says_the_same_through_sluice() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let run: Run = |backend, name| python("skywalking_shop.py", &["--backend", backend, "--name", name]);
    if !is_the_same(oap, "python", [oap.grpc, satellite.grpc], run, 4, 3) {
        return;
    }
    let largest = |meter: &str| {
        ["direct", "through"].map(|way| {
            let service = format!("python-{way}-web");
            let values = oap.metric(meter, &service, Some(&format!("{service}-1")));
            values.into_iter().fold(0.0, f64::max)
        })
    };
    // The shop's own counter, and a gauge of the interpreter, whose threads come and go as each run has it.
    eventually_every(Duration::from_millis(500), "the meters are stored", || {
        largest("meter_test_orders_so_far") == [4.0; 2]
            && largest("meter_test_python_threads").iter().all(|count| *count > 1.0)
    });
    satellite.sluice.stop();
}

/// The agent has no meters over HTTP, and asks for no tasks.
#[test]
fn the_python_agent_says_the_same_over_http() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let run: Run = |backend, name| {
        python("skywalking_shop.py", &["--backend", backend, "--name", name, "--protocol", "http"])
    };
    if is_the_same(oap, "python-http", [oap.rest, satellite.http], run, 4, 3) {
        satellite.sluice.stop();
    }
}

#[test]
fn the_node_agent_says_the_same_through_sluice() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let run: Run = |backend, name| node("skywalking_shop.cjs", &["--backend", backend, "--name", name]);
    if is_the_same(oap, "node", [oap.grpc, satellite.grpc], run, 4, 3) {
        satellite.sluice.stop();
    }
}

#[test]
fn the_java_agent_says_the_same_through_sluice() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let run: Run = |backend, name| {
        let printed = java_shop(backend, name, 4, 0).map(output)?;
        assert_eq!(complaints(&printed), [""; 0], "of {name}");
        Some(printed)
    };
    if !is_the_same(oap, "java", [oap.grpc, satellite.grpc], run, 4, 4) {
        return;
    }
    let both = ["direct", "through"].map(|way| format!("java-{way}-web"));
    let largest = |expression: &str| {
        both.each_ref().map(|service| {
            let values = oap.metric(expression, service, Some(&format!("{service}-1")));
            values.into_iter().fold(0.0, f64::max)
        })
    };
    let [mut orders, mut heap, mut classes, mut threads] = [[0.0; 2]; 4];
    eventually_every(
        Duration::from_millis(500),
        "the meters and metrics of the virtual machines are stored",
        || {
            orders = largest("meter_test_orders_so_far");
            heap = largest("instance_jvm_memory_heap_max");
            classes = largest("instance_jvm_class_loaded_class_count");
            threads = largest("instance_jvm_thread_live_count");
            let all = [orders, heap, classes, threads, largest("instance_jvm_cpu")];
            orders == [4.0; 2] && all.iter().flatten().all(|value| *value > 0.0)
        },
    );
    assert_eq!(heap[0], heap[1]);
    // The same program loads about as many classes and has about as many threads.
    assert!((classes[0] / classes[1] - 1.0).abs() < 0.2, "{classes:?}");
    assert!((threads[0] - threads[1]).abs() <= 4.0, "{threads:?}");
    let mut events = [String::new(), String::new()];
    eventually_every(Duration::from_millis(500), "the starts of both are stored", || {
        events = both.each_ref().map(|service| events_of(oap, service));
        events.iter().all(|events| !events.is_empty())
    });
    assert!(events[0].contains("Start Java Application"), "{events:?}");
    assert_eq!(events[1], events[0]);
    satellite.sluice.stop();
}

/// What the agent has to say against its server, each with its cause: it reports, keeps alive, and asks for configurations
/// and tasks every second.
fn complaints(printed: &str) -> Vec<String> {
    // This OAP has no profiles of that kind, and the end is reported when the connection is gone.
    let known = ["Backend doesn't support async-profiler", "Failed to report shutdown event"];
    // At its end the agent closes its connection under the call that a sender may just have begun.
    let closed = ["UNAVAILABLE: Channel shutdownNow invoked", "UNAVAILABLE: Channel shutdown invoked"];
    let mut cut_off = HashSet::new();
    let mut lines = printed.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if !(line.starts_with("WARN ") || line.starts_with("ERROR "))
            || known.iter().any(|known| line.contains(known))
        {
            continue;
        }
        let cause = lines.peek().filter(|next| next.contains("Exception: ")).copied().unwrap_or_default();
        let mut is_first_of_its_sender = || cut_off.insert(line.split(' ').nth(4));
        if !(closed.iter().any(|closed| cause.ends_with(closed)) && is_first_of_its_sender()) {
            found.push(format!("{line} {cause}"));
        }
    }
    found
}

#[test]
fn only_a_call_that_the_agent_cut_off_itself_is_no_complaint() {
    let failed = |cause: &str| {
        format!(
            "ERROR 2026-01-01 00:00:00.000 grpc-default-executor-2 MeterSender : Send meters to collector fail with a grpc \
             internal exception. \norg.apache.skywalking.apm.dependencies.io.grpc.StatusRuntimeException: {cause}\n\tat \
             org.apache.skywalking.apm\n"
        )
    };
    let cut_off = failed("UNAVAILABLE: Channel shutdownNow invoked");
    assert!(complaints(&cut_off).is_empty());
    // More than one call that was under way: its server does not answer.
    assert_eq!(complaints(&cut_off.repeat(2)).len(), 1);
    assert_eq!(complaints(&failed("UNAVAILABLE: io exception")).len(), 1);
    assert_eq!(complaints("WARN 2026-01-01 00:00:00.000 main JVMService : no cause\n").len(), 1);
}

/// What an instance says of its life, but for its end: agents send that when their connection is gone.
fn events_of(oap: &Oap, service: &str) -> String {
    let found = oap.query(
        "{ found: queryEvents(condition: {time: $duration, paging: {pageNum: 1, pageSize: 100}}) { events { name type \
         message source { service } } } }",
    );
    let events = found["found"]["events"].as_array().unwrap().iter();
    let own = events.filter(|event| event["source"]["service"] == service && event["name"] == "Start");
    own.map(|event| format!("{} {} {}", event["name"], event["type"], event["message"])).collect()
}
