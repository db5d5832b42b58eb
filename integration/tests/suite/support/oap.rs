//! SkyWalking's OAP, and what it says of the telemetry that it holds.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sluice_integration::process::{Process, free_address, tied};

use super::{PATIENCE, eventually, get, peers, post};

/// How far back queries look, and how far ahead.
const AROUND: Duration = Duration::from_secs(20 * 60);

/// An OAP that keeps everything in memory and stores what it gets within two seconds.
pub(crate) struct Oap {
    /// Its native services.
    pub(crate) grpc: SocketAddr,
    /// Its HTTP endpoints, for agents and for queries.
    pub(crate) rest: SocketAddr,
    zipkin: SocketAddr,
    zipkin_query: SocketAddr,
}

impl Oap {
    /// One for all tests of this process: it takes a third of a minute to start.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Oap>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let jars = peers::require("oap")?;
        let [grpc, rest, zipkin, zipkin_query] = [(); 4].map(|()| free_address().unwrap());
        let server = Self { grpc, rest, zipkin, zipkin_query };
        let mut command = server.command(&jars);
        let (started, result) = std::sync::mpsc::sync_channel(1);
        // The kernel ends the server with the thread that started it: this one lives as long as the process.
        std::thread::spawn(move || {
            let log = std::env::temp_dir().join(format!("sluice-oap-{}.log", grpc.port()));
            let mut process = Process::start(&mut command, &log).unwrap();
            let listening = [grpc, rest, zipkin, zipkin_query]
                .into_iter()
                .try_for_each(|address| process.wait_until_listening(address, PATIENCE * 6).map(drop))
                .map_err(|error| format!("{error}\n{}", std::fs::read_to_string(&log).unwrap_or_default()));
            let _ = std::fs::remove_file(log);
            started.send(listening).unwrap();
            loop {
                std::thread::park();
            }
        });
        if let Err(error) = result.recv().unwrap() {
            panic!("OAP does not start: {error}");
        }
        Some(server)
    }

    fn command(&self, jars: &Path) -> Command {
        let configuration: PathBuf = peers::script("oap/config");
        let mut command = tied(Path::new("java"));
        command.args([
            "-Xms64m",
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Duser.timezone=UTC",
        ]);
        command.arg("-cp").arg(format!("{}:{}/*", configuration.display(), jars.display()));
        command.arg("org.apache.skywalking.oap.server.starter.OAPServerStartUp");
        command.env("SW_RECEIVER_ZIPKIN", "default").env("SW_QUERY_ZIPKIN", "default");
        for (name, address) in [
            ("SW_CORE_GRPC_PORT", self.grpc),
            ("SW_CORE_REST_PORT", self.rest),
            ("SW_RECEIVER_ZIPKIN_REST_PORT", self.zipkin),
            ("SW_QUERY_ZIPKIN_REST_PORT", self.zipkin_query),
        ] {
            command.env(name, address.port().to_string());
        }
        command
    }

    /// What a GraphQL query gives; `$duration` in it is the time around now.
    pub(crate) fn query(&self, query: &str) -> Value {
        let now = SystemTime::now();
        let duration = format!(
            "{{start: \"{}\", end: \"{}\", step: MINUTE}}",
            minute(now - AROUND),
            minute(now + AROUND)
        );
        let body = json!({ "query": query.replace("$duration", &duration) }).to_string();
        let answer = post(self.rest, "/graphql", &[("content-type", "application/json")], body);
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(answer.get("errors").is_none(), "{query}: {answer:#}");
        answer["data"].take()
    }

    /// The names of the services of a layer.
    pub(crate) fn services(&self, layer: &str) -> Vec<String> {
        names(&self.query(&format!("{{ all: listServices(layer: \"{layer}\") {{ name }} }}"))["all"])
    }

    /// The names of the instances of a service.
    pub(crate) fn instances(&self, service: &str) -> Vec<String> {
        let id = service_id(service);
        names(
            &self.query(&format!(
                "{{ all: listInstances(duration: $duration, serviceId: \"{id}\") {{ name }} }}"
            ))["all"],
        )
    }

    /// The names of the endpoints of a service.
    pub(crate) fn endpoints(&self, service: &str) -> Vec<String> {
        let id = service_id(service);
        names(
            &self.query(&format!("{{ all: findEndpoint(serviceId: \"{id}\", limit: 100) {{ name }} }}"))["all"],
        )
    }

    /// The edges between services around these: from, to, and which end saw it (`CLIENT`, `SERVER`).
    pub(crate) fn edges(&self, services: &[&str]) -> Vec<(String, String, String)> {
        let ids: Vec<String> = services.iter().map(|name| format!("\"{}\"", service_id(name))).collect();
        let topology = self.query(&format!(
            "{{ map: getServicesTopology(duration: $duration, serviceIds: [{}]) {{ nodes {{ id name }} calls {{ source \
             target detectPoints }} }} }}",
            ids.join(", ")
        ));
        let nodes = topology["map"]["nodes"].as_array().unwrap();
        let name = |id: &Value| {
            let node = nodes.iter().find(|node| node["id"] == *id);
            node.map_or_else(|| id.to_string(), |node| text(&node["name"]))
        };
        let mut edges = Vec::new();
        for call in topology["map"]["calls"].as_array().unwrap() {
            for point in call["detectPoints"].as_array().unwrap() {
                edges.push((name(&call["source"]), name(&call["target"]), text(point)));
            }
        }
        edges.sort();
        edges
    }

    /// The spans of a trace, all of its segments.
    pub(crate) fn trace(&self, id: &str) -> Vec<Value> {
        let trace = self.query(&format!(
            "{{ trace: queryTrace(traceId: \"{id}\") {{ spans {{ traceId segmentId spanId parentSpanId refs {{ traceId \
             parentSegmentId parentSpanId type }} serviceCode serviceInstanceName startTime endTime endpointName type \
             peer component isError layer tags {{ key value }} logs {{ time data {{ key value }} }} attachedEvents {{ \
             event startTime {{ seconds nanos }} endTime {{ seconds nanos }} tags {{ key value }} summary {{ key value }} \
             }} }} }} }}"
        ));
        trace["trace"]["spans"].as_array().cloned().unwrap_or_default()
    }

    /// The logs of a service.
    pub(crate) fn logs(&self, service: &str) -> Vec<Value> {
        let id = service_id(service);
        let found = self.query(&format!(
            "{{ found: queryLogs(condition: {{serviceId: \"{id}\", queryDuration: $duration, paging: {{pageNum: 1, \
             pageSize: 100}}}}) {{ logs {{ serviceName serviceInstanceName endpointName timestamp contentType content \
             traceId tags {{ key value }} }} }} }}"
        ));
        found["found"]["logs"].as_array().cloned().unwrap_or_default()
    }

    /// The values of a metric of a service, or of one of its instances, where there are some.
    pub(crate) fn metric(&self, expression: &str, service: &str, instance: Option<&str>) -> Vec<f64> {
        let instance = instance.map_or_else(String::new, |name| format!(", serviceInstanceName: \"{name}\""));
        let found = self.query(&format!(
            "{{ found: execExpression(expression: \"{expression}\", entity: {{serviceName: \"{service}\", normal: \
             true{instance}}}, duration: $duration) {{ error results {{ values {{ value }} }} }} }}"
        ));
        assert!(found["found"]["error"].is_null(), "{expression}: {found}");
        let results = found["found"]["results"].as_array().cloned().unwrap_or_default();
        let values = results.iter().flat_map(|result| result["values"].as_array().unwrap());
        values.filter_map(|value| value["value"].as_str()?.parse().ok()).collect()
    }

    /// A trace as its Zipkin API gives it.
    pub(crate) fn zipkin_trace(&self, id: &str) -> Vec<Value> {
        let answer = get(self.zipkin_query, &format!("/zipkin/api/v2/trace/{id}"));
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Where its Zipkin receiver takes spans.
    pub(crate) fn zipkin_spans(&self) -> String {
        format!("http://{}/api/v2/spans", self.zipkin)
    }

    /// Waits until a service of the layer is known and returns once all of them that are asked for are.
    pub(crate) fn knows(&self, layer: &str, services: &[&str]) {
        eventually(&format!("OAP knows {services:?}"), || {
            std::thread::sleep(Duration::from_millis(100));
            let known = self.services(layer);
            services.iter().all(|service| known.iter().any(|known| known == service))
        });
    }
}

/// The id of a service that an agent is in.
pub(crate) fn service_id(name: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("{}.1", STANDARD.encode(name))
}

/// The value of a tag of a span or log.
pub(crate) fn tag(item: &Value, key: &str) -> Option<String> {
    let tags = item["tags"].as_array()?;
    tags.iter().find(|tag| tag["key"] == key).map(|tag| text(&tag["value"]))
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> = list.as_array().unwrap().iter().map(|entry| text(&entry["name"])).collect();
    names.sort();
    names
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A time as OAP's queries have it, in UTC: `2026-11-20 0930`.
fn minute(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, minutes) = (i64::try_from(seconds / 86_400).unwrap(), seconds % 86_400 / 60);
    // Days from a 1 March on, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, ahead) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{}-{month:02}-{day:02} {:02}{:02}", year + era * 400 + ahead, minutes / 60, minutes % 60)
}
