//! SkyWalking's client for browsers: its bundle from npm in a page that Node pretends (`peers/node/page.cjs`), which keeps
//! the rules of CORS as a browser does. No browser takes part.

use serde_json::Value;

use super::{attribute, items, span, start};
use crate::support::{Setup, eventually, node, sum};

#[test]
fn what_a_page_of_another_origin_reports_arrives() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let collector = format!("http://{}", setup.http);
    let Some(printed) = node("page.cjs", &["--collector", &collector]) else { return };
    let did: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    // What a browser would not have let pass.
    assert_eq!(did["refused"], serde_json::json!([]), "{did:#}");
    for path in ["/browser/perfData", "/browser/perfData/resources", "/browser/errorLogs", "/v3/segments"] {
        assert_eq!(did["preflights"][path], "content-type", "{did:#}");
    }
    // The client traces this report of its own too.
    assert_eq!(did["preflights"]["/browser/perfData/webVitals"], "content-type,sw8");
    assert_eq!(did["preflights"]["/nothing"], "sw8");

    let (resource, perf) = record(&setup, "skywalking.browser.perf", |_| true);
    assert_eq!(attribute(&resource, "service.name"), "page-shop");
    assert_eq!(attribute(&resource, "service.version"), "v3");
    assert_eq!(attribute(&perf, "url.path"), "/shop");
    assert_eq!(attribute(&perf, "skywalking.browser.dns_time"), "5");
    assert_eq!(attribute(&perf, "skywalking.browser.load_page_time"), "147");
    let (_, vitals) = record(&setup, "skywalking.browser.web_vitals", |_| true);
    assert_eq!(attribute(&vitals, "skywalking.browser.lcp_time"), "-1", "where the page cannot tell");
    let (_, script) = record(&setup, "skywalking.browser.resource", |_| true);
    assert_eq!(attribute(&script, "skywalking.browser.size"), "4096");
    assert_eq!(attribute(&script, "network.protocol.name"), "http/1.1");
    let (_, broken) =
        record(&setup, "skywalking.browser.error", |error| attribute(error, "exception.type") == "js");
    assert_eq!(broken["body"]["stringValue"], "it broke");
    assert_eq!(attribute(&broken, "code.line.number"), "7");
    assert!(attribute(&broken, "exception.stacktrace").as_str().unwrap().contains("page.cjs"));
    let category = |error: &Value| attribute(error, "exception.type") == "promise";
    assert_eq!(record(&setup, "skywalking.browser.error", category).1["body"]["stringValue"], "not kept");

    let (_, stock) = span(&setup, 3, "/shop");
    assert_eq!(attribute(&stock, "skywalking.component_id"), "10001");
    let mut peers = Vec::new();
    eventually("both calls of the page arrive", || {
        let spans = items(&setup, "traces");
        peers = spans.iter().map(|(_, span)| attribute(span, "server.port")).collect();
        peers.len() >= 2
    });
    let own = did["origin"].as_str().unwrap().rsplit(':').next().unwrap();
    assert!(peers.iter().any(|port| port == own), "{peers:?}");
    let collectors = setup.http.port().to_string();
    assert!(peers.iter().any(|port| port == collectors.as_str()), "{peers:?}");
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
