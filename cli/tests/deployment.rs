//! `deploy/kubernetes/satellite.yaml`: its parts fit together, and its configuration is valid.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{path::PathBuf, process::Command};

use sluice_pipeline::config::{Node, Problems, parse};

fn documents() -> Vec<Node> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/satellite.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n").map(|document| {
        let mut problems = Problems::default();
        let node = parse("satellite.yaml", document, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        node.unwrap()
    });
    documents.collect()
}

fn of_kind(kind: &str) -> Node {
    documents()
        .into_iter()
        .find(|document| text(document, "kind") == kind)
        .unwrap_or_else(|| panic!("no {kind}"))
}

fn text(node: &Node, path: &str) -> String {
    node.nearest(path).as_text().unwrap_or_else(|| panic!("no text at {path}")).to_owned()
}

fn texts(node: &Node, path: &str) -> Vec<String> {
    let items = node.nearest(path).as_sequence().unwrap_or_else(|| panic!("no list at {path}"));
    items.iter().map(|item| item.as_text().unwrap().to_owned()).collect()
}

fn configuration() -> Node {
    let mut problems = Problems::default();
    let map = of_kind("ConfigMap");
    // A key with a dot is no path.
    let embedded = map.get("data").unwrap().get("sluice.yaml").unwrap().as_text().unwrap().to_owned();
    parse("sluice.yaml", &embedded, &mut problems).unwrap()
}

#[test]
fn the_configuration_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sluice.yaml");
    let map = of_kind("ConfigMap");
    std::fs::write(&file, map.get("data").unwrap().get("sluice.yaml").unwrap().as_text().unwrap()).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_sluice")).arg("validate").arg("--config").arg(&file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_autoscaler_asks_for_the_metric_that_oap_makes_of_this_service() {
    let autoscaler = of_kind("HorizontalPodAutoscaler");
    assert_eq!(text(&autoscaler, "apiVersion"), "autoscaling/v2");
    let target = autoscaler.nearest("spec.scaleTargetRef");
    let deployment = of_kind("Deployment");
    assert_eq!(text(target, "kind"), "Deployment");
    assert_eq!(text(target, "apiVersion"), text(&deployment, "apiVersion"));
    assert_eq!(text(target, "name"), text(&deployment, "metadata.name"));

    let metric = autoscaler.nearest("spec.metrics.0");
    assert_eq!(text(metric, "type"), "External");
    assert_eq!(
        text(metric, "external.metric.name"),
        "skywalking.apache.org|satellite_service_grpc_connect_count"
    );
    let labels = metric.nearest("external.metric.selector.matchLabels");
    let label = |name: &str| labels.get(name).and_then(Node::as_text).unwrap().to_owned();
    let between = label("service.byte.1");
    let between: Vec<u8> = (0..between.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&between[at..at + 2], 16).unwrap())
        .collect();
    let service = format!(
        "{}{}{}",
        label("service.str.0"),
        String::from_utf8(between).unwrap(),
        label("service.str.2")
    );
    let named = text(&configuration(), "extensions.oap.satellite_meters.service");
    assert_eq!(service, format!("satellite::{named}"));

    let wanted: f64 = text(metric, "external.target.value").parse().unwrap();
    let limit = configuration();
    let limit = &limit.nearest("receivers.skywalking.protocols.grpc.max_connections").value;
    assert!(matches!(limit, sluice_pipeline::config::Value::Integer(limit) if wanted * 2.0 < *limit as f64));
}

#[test]
fn the_pod_may_find_oap_and_is_found() {
    let (role, binding, account) = (of_kind("Role"), of_kind("RoleBinding"), of_kind("ServiceAccount"));
    let configuration = configuration();
    let kubernetes = configuration.nearest("extensions.oap.kubernetes");
    assert_eq!(texts(&role, "rules.0.resources"), ["pods"]);
    assert_eq!(texts(&role, "rules.0.verbs"), ["list", "watch"]);
    assert_eq!(texts(kubernetes, "namespaces"), [text(&role, "metadata.namespace")]);
    assert_eq!(text(&binding, "metadata.namespace"), text(&role, "metadata.namespace"));
    assert_eq!(text(&binding, "roleRef.name"), text(&role, "metadata.name"));
    assert_eq!(text(&binding, "subjects.0.name"), text(&account, "metadata.name"));
    let deployment = of_kind("Deployment");
    let pod = deployment.nearest("spec.template");
    assert_eq!(text(pod, "spec.serviceAccountName"), text(&account, "metadata.name"));

    let name = |node: &Node, path: &str| {
        node.nearest(path).get("app.kubernetes.io/name").unwrap().as_text().unwrap().to_owned()
    };
    let labelled = name(pod, "metadata.labels");
    assert_eq!(name(&deployment, "spec.selector.matchLabels"), labelled);
    assert_eq!(name(&of_kind("Service"), "spec.selector"), labelled);
    let container = pod.nearest("spec.containers.0");
    for (port, listens) in [
        ("grpc", "receivers.skywalking.protocols.grpc.endpoint"),
        ("http", "receivers.skywalking.protocols.http.endpoint"),
        ("health", "extensions.health_check.endpoint"),
    ] {
        let ports = container.nearest("ports").as_sequence().unwrap().to_vec();
        let found = ports.iter().find(|it| text(it, "name") == port).unwrap();
        let sluice_pipeline::config::Value::Integer(number) = found.get("containerPort").unwrap().value
        else {
            panic!("{port}");
        };
        assert_eq!(text(&configuration, listens), format!("0.0.0.0:{number}"));
    }
}
