//! `k8sattributes` before an API server of the test's: pods come, change and go, and the server is not always well.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sluice_pipeline::kubernetes::testing::Behaviour;

use crate::support::{Cluster, Setup, eventually, lines, pod, post, sum};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Traces through the processor with these keys, to a file.
fn config(setup: &Setup, keys: &str) -> String {
    let processor = format!(
        "processors:
  k8sattributes:
    auth_type: kubeConfig
    kube_config_path: kubeconfig
{keys}
exporters:
  file: {{path: out.jsonl}}"
    );
    setup
        .config(&processor, "    traces: {receivers: [otlp], processors: [k8sattributes], exporters: [file]}")
}

/// Sends a span with a resource of these attributes, and gives those that it came out with.
fn enriched(setup: &Setup, attributes: &Value) -> Value {
    let pairs: Vec<Value> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    let before = lines(&fs::read_to_string(setup.path("out.jsonl")).unwrap_or_default()).len();
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": pairs},
        "scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b174", "name": "a", "kind": 2,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        }]}],
    }]});
    assert_eq!(post(setup.http, "/v1/traces", &[JSON], body.to_string()).status, 200);
    let mut found = Value::Null;
    eventually("the span comes out", || {
        let text = fs::read_to_string(setup.path("out.jsonl")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let documents = lines(complete);
        found = documents.last().cloned().unwrap_or_default();
        documents.len() > before
    });
    let pairs = found["resourceSpans"][0]["resource"]["attributes"].as_array().cloned().unwrap_or_default();
    pairs
        .into_iter()
        .map(|pair| (pair["key"].as_str().unwrap().to_owned(), pair["value"]["stringValue"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn by_ip(setup: &Setup, address: &str) -> Value {
    enriched(setup, &json!({"k8s.pod.ip": address}))
}

fn failures(setup: &Setup, reason: &str) -> usize {
    sum(setup.telemetry, "sluice_kubernetes_failed_requests", &format!("reason=\"{reason}\""))
}

#[test]
fn pods_come_change_and_go() {
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    cluster.pod("cart-1", "10.0.0.1");
    // This machine's, for the association by connection.
    cluster.pod("local", "127.0.0.1");
    let keys = "    wait_for_metadata: true
    pod_delete_grace_period: 400ms
    extract:
      metadata: [k8s.pod.name, k8s.pod.uid, k8s.namespace.name, k8s.deployment.name, k8s.deployment.uid, k8s.node.name,
        k8s.cluster.uid, k8s.container.name, container.image.tag, service.name]
      labels:
        - {key: team}
        - {key_regex: 'example\\.com/(.*)', tag_name: '$$1', from: namespace}";
    cluster.server.set_of("namespaces", "", "kube-system", json!({"metadata": {"uid": "cluster-1"}}));
    let labels = json!({"metadata": {"uid": "ns", "labels": {"example.com/cost": "7"}}});
    cluster.server.set_of("namespaces", "", "shop", labels);
    let owners = json!([{"kind": "Deployment", "name": "cart", "uid": "deployment-1"}]);
    let set = json!({"metadata": {"uid": "rs", "ownerReferences": owners}});
    cluster.server.set_of("replicasets", "shop", "cart-6c45f8d6f6", set);
    let sluice = setup.start(&config(&setup, keys), setup.http);

    let found = by_ip(&setup, "10.0.0.1");
    assert_eq!(
        found,
        json!({
            "k8s.pod.ip": "10.0.0.1", "k8s.pod.name": "cart-1", "k8s.pod.uid": "uid-cart-1",
            "k8s.namespace.name": "shop", "k8s.deployment.name": "cart", "k8s.deployment.uid": "deployment-1",
            "k8s.node.name": "node-1", "k8s.cluster.uid": "cluster-1", "k8s.container.name": "app",
            "container.image.tag": "1.2", "service.name": "cart", "k8s.pod.labels.team": "blue", "cost": "7",
        })
    );
    assert_eq!(enriched(&setup, &json!({}))["k8s.pod.name"], "local", "by the address of the client");
    assert!(by_ip(&setup, "10.0.0.2").get("k8s.pod.name").is_none());

    cluster.pod("cart-2", "10.0.0.2");
    eventually("the new pod is known", || by_ip(&setup, "10.0.0.2")["k8s.pod.name"] == "cart-2");
    let mut changed = pod("cart-1", "10.0.0.1");
    changed["metadata"]["labels"]["team"] = "red".into();
    cluster.server.set_of("pods", "shop", "cart-1", changed);
    eventually("the label is known", || by_ip(&setup, "10.0.0.1")["k8s.pod.labels.team"] == "red");
    cluster.server.remove_of("pods", "shop", "cart-1");
    cluster.pod("cart-3", "10.0.0.3");
    eventually("it is told", || by_ip(&setup, "10.0.0.3")["k8s.pod.name"] == "cart-3");
    eventually("what is gone is forgotten", || by_ip(&setup, "10.0.0.1").get("k8s.pod.name").is_none());

    assert!(sum(setup.telemetry, "sluice_processor_k8sattributes_resources", "result=\"associated\"") >= 5);
    assert!(sum(setup.telemetry, "sluice_processor_k8sattributes_resources", "result=\"unknown\"") >= 2);
    let asked = cluster.server.asked();
    assert!(asked.iter().all(|asked| asked.authorization == "Bearer secret-token"), "{asked:?}");
    let lists = |plural: &str| {
        let list = |path: &str| path.contains(&format!("/{plural}?limit=")) && !path.contains("watch=");
        asked.iter().filter(|asked| list(&asked.path)).count()
    };
    assert_eq!((lists("pods"), lists("replicasets"), lists("nodes")), (1, 1, 0), "{asked:?}");
    let log = sluice.stop();
    assert!(!log.contains("secret-token"), "{log}");
}

/// Whatever the API server does: telemetry passes and is enriched by what is known, the trouble is counted and told.
#[test]
fn a_bad_api_server_costs_nothing_but_news() {
    let setup = Setup::new();
    let mut cluster = Cluster::start(&setup);
    cluster.pod("cart-1", "10.0.0.1");
    let sluice = setup.start(&config(&setup, "    wait_for_metadata: true"), setup.http);
    assert_eq!(by_ip(&setup, "10.0.0.1")["k8s.pod.name"], "cart-1");

    for (number, (behaviour, reason)) in [
        (Behaviour::Refuses(410), "gone"),
        (Behaviour::Refuses(500), "refused"),
        (Behaviour::Says("<html>".to_owned()), "malformed"),
        (Behaviour::Says("{\"items\": [{\"metadata\": 7}]}".to_owned()), "malformed"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = failures(&setup, reason);
        cluster.server.behave(behaviour.clone());
        cluster.server.end_watches();
        eventually(&format!("{reason} is counted"), || failures(&setup, reason) > before);
        assert_eq!(by_ip(&setup, "10.0.0.1")["k8s.pod.name"], "cart-1", "{behaviour:?}");
        cluster.server.behave(Behaviour::Good);
        let address = format!("10.0.1.{number}");
        cluster.pod(&format!("after-{number}"), &address);
        eventually("news arrive", || by_ip(&setup, &address).get("k8s.pod.name").is_some());
    }

    // It is updated: no connection for a while, and no watch goes on.
    cluster.server.stop();
    eventually("that it is gone is counted", || failures(&setup, "unreachable") > 0);
    assert_eq!(by_ip(&setup, "10.0.0.1")["k8s.pod.name"], "cart-1");
    cluster.restart();
    cluster.pod("restarted", "10.0.2.1");
    eventually("news arrive", || by_ip(&setup, "10.0.2.1")["k8s.pod.name"] == "restarted");

    // A line that is no event, and one that never ends.
    for (said, reason) in [("nonsense".to_owned(), "malformed"), ("x".repeat(5 << 20), "too_large")] {
        eventually("it watches", || cluster.server.is_watched_for("pods"));
        let before = failures(&setup, reason);
        cluster.server.say(&said);
        eventually(&format!("{reason} is counted"), || failures(&setup, reason) > before);
        eventually("that watch has ended", || !cluster.server.is_watched_for("pods"));
        assert_eq!(by_ip(&setup, "10.0.0.1")["k8s.pod.name"], "cart-1");
    }
    let log = sluice.stop();
    assert!(log.contains("is not what Kubernetes answers"), "{log}");
}

/// A list that does not end is given up, and costs no more memory than objects may.
#[test]
fn an_endless_list_is_given_up() {
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    cluster.server.behave_about("pods", Behaviour::IsEndless);
    let sluice = setup.start(&config(&setup, ""), setup.http);
    let begin = Instant::now();
    while failures(&setup, "too_much") == 0 {
        assert!(begin.elapsed() < Duration::from_secs(120), "{}", sluice.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(by_ip(&setup, "10.0.0.1").get("k8s.pod.name").is_none());
    sluice.assert_within(300);
    let log = sluice.stop();
    assert!(
        log.contains("what is kept of pods of all namespaces takes more than 256 MiB of memory"),
        "{log}"
    );
}

#[test]
fn a_missing_role_is_told_once_and_the_rest_goes_on() {
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    cluster.pod("cart-1", "10.0.0.1");
    cluster.server.behave_about("replicasets", Behaviour::Refuses(403));
    let sluice = setup.start(&config(&setup, ""), setup.http);
    eventually("pods are known", || by_ip(&setup, "10.0.0.1")["k8s.pod.name"] == "cart-1");
    eventually("it was tried again", || failures(&setup, "forbidden") >= 2);
    assert!(by_ip(&setup, "10.0.0.1").get("k8s.deployment.name").is_none());
    let log = sluice.stop();
    let told = "needs a role with the verbs list and watch on replicasets (apiGroups: [\\\"apps\\\"])";
    let told = log.matches(told).count() + log.matches(&told.replace('\\', "")).count();
    assert_eq!(told, 1, "{log}");
}

#[test]
fn the_start_waits_for_pods_and_says_why_there_are_none() {
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    cluster.server.behave(Behaviour::Refuses(403));
    let keys = "    wait_for_metadata: true\n    wait_for_metadata_timeout: 15s";
    let (status, log) = setup.spawn(&setup.write("config.yaml", &config(&setup, keys))).wait();
    assert!(!status.success(), "{log}");
    assert!(log.contains("Kubernetes was not listed within 15s: Kubernetes answered 403 about"), "{log}");
    assert!(log.contains("wait_for_metadata_timeout: 15s"), "with its place: {log}");
}

/// Batches of different clients are joined without their addresses: nothing is enriched with another's pod.
#[test]
fn joined_batches_are_not_associated_by_connection() {
    let setup = Setup::new();
    let cluster = Cluster::start(&setup);
    cluster.pod("local", "127.0.0.1");
    let keys = "    wait_for_metadata: true\n  batch: {timeout: 1ms}";
    let config = config(&setup, keys).replace("[k8sattributes]", "[batch, k8sattributes]");
    let sluice = setup.start(&config, setup.http);
    assert!(enriched(&setup, &json!({})).get("k8s.pod.name").is_none());
    assert_eq!(by_ip(&setup, "127.0.0.1")["k8s.pod.name"], "local");
    sluice.stop();
}
