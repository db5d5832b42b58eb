//! SkyWalking's client for browsers: its bundle from npm in a page that Chromium shows, which reports to another origin.

use serde_json::Value;
use sluice_integration::process::{Process, tied};

use super::{agents::Agent, attribute, items, span, start};
use crate::support::{Setup, eventually, node_server, program, sum};

/// Shows a page until it is dropped.
fn browse(setup: &Setup, page: &str) -> Option<Process> {
    let mut command = tied(&program("chromium-headless-shell")?);
    // The port for debuggers, on loopback, is what keeps it from leaving once it has loaded the page.
    command.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]);
    command.arg(format!("--user-data-dir={}", setup.path("browser").display())).arg(page);
    Some(Process::start(&mut command, &setup.path("browser.log")).unwrap())
}

#[test]
fn what_a_page_of_another_origin_reports_arrives() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let Some((mut server, script)) = node_server("page_server.cjs") else { return };
    let server = Agent::start(server.arg(script).arg("--collector").arg(format!("http://{}", setup.http)));
    let origin = server.printed.trim();
    let Some(_browser) = browse(&setup, &format!("{origin}/shop")) else { return };

    let (resource, perf) = record(&setup, "skywalking.browser.perf", |_| true);
    assert_eq!(attribute(&resource, "service.name"), "page-shop");
    assert_eq!(attribute(&resource, "service.version"), "v3");
    assert_eq!(attribute(&perf, "url.path"), "/shop");
    let milliseconds = |key: &str| attribute(&perf, key).as_str().unwrap().parse::<u64>().unwrap();
    let [ready, loaded] =
        ["skywalking.browser.dom_ready_time", "skywalking.browser.load_page_time"].map(milliseconds);
    assert!(0 < ready && ready <= loaded && loaded < 120_000, "{ready} ms, {loaded} ms");
    let is_app = |script: &Value| attribute(script, "url.full") == format!("{origin}/app.js").as_str();
    let (_, script) = record(&setup, "skywalking.browser.resource", is_app);
    assert_eq!(attribute(&script, "skywalking.browser.resource_type"), "script");
    assert_eq!(attribute(&script, "network.protocol.name"), "http/1.1");
    let category = |wanted: &'static str| move |error: &Value| attribute(error, "exception.type") == wanted;
    let (_, broken) = record(&setup, "skywalking.browser.error", category("js"));
    assert_eq!(broken["body"]["stringValue"], "Uncaught Error: it broke");
    assert_eq!(attribute(&broken, "code.line.number"), "10");
    assert!(attribute(&broken, "exception.stacktrace").as_str().unwrap().contains("at broken"), "{broken:#}");
    let (_, rejected) = record(&setup, "skywalking.browser.error", category("promise"));
    assert_eq!(rejected["body"]["stringValue"], "not kept");
    let (_, missing) = record(&setup, "skywalking.browser.error", category("ajax"));
    assert_eq!(attribute(&missing, "url.full"), format!("http://{}/nothing", setup.http));

    // One to the page's own origin, one to Sluice, with a header that the browser asked about.
    let (_, call) = span(&setup, 3, "/shop");
    assert_eq!(attribute(&call, "skywalking.component_id"), "10001");
    eventually("both calls of the page arrive", || {
        let ports: Vec<Value> =
            items(&setup, "traces").iter().map(|(_, span)| attribute(span, "server.port")).collect();
        let own = origin.rsplit(':').next().unwrap();
        [own, &setup.http.port().to_string()].iter().all(|port| ports.iter().any(|known| known == port))
    });
    assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "malformed"), 0);
    sluice.stop();
}

fn record(setup: &Setup, name: &str, wanted: impl Fn(&Value) -> bool) -> (Value, Value) {
    let mut found = None;
    eventually(&format!("a record {name} arrives"), || {
        found = items(setup, "logs")
            .into_iter()
            .find(|(_, record)| record["eventName"] == name && wanted(record));
        found.is_some()
    });
    found.unwrap()
}
