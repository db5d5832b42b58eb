//! `deploy/kubernetes`: the parts of each manifest fit together, and its configuration is valid.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{path::PathBuf, process::Command};

use sluice_pipeline::config::{Node, Problems, Value, parse};

/// A file with its documents.
struct Manifest(Vec<Node>);

impl Manifest {
    fn read(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let documents = text.split("\n---\n").map(|document| {
            let mut problems = Problems::default();
            let node = parse(name, document, &mut problems);
            assert!(problems.is_empty(), "{problems:?}");
            node.unwrap()
        });
        Self(documents.collect())
    }

    fn of_kind(&self, kind: &str) -> &Node {
        self.0.iter().find(|document| text(document, "kind") == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// The text of the configuration.
    fn embedded(&self) -> String {
        // A key with a dot is no path.
        self.of_kind("ConfigMap")
            .get("data")
            .unwrap()
            .get("sluice.yaml")
            .unwrap()
            .as_text()
            .unwrap()
            .to_owned()
    }

    fn configuration(&self) -> Node {
        parse("sluice.yaml", &self.embedded(), &mut Problems::default()).unwrap()
    }

    /// Each port of the container that has a name listens where the configuration says.
    fn assert_listens(&self, container: &Node, ports: &[(&str, &str)]) {
        let named = container.nearest("ports").as_sequence().unwrap();
        assert_eq!(named.len(), ports.len());
        for (port, listens) in ports {
            let found = named.iter().find(|it| text(it, "name") == *port).unwrap();
            let Value::Integer(number) = found.get("containerPort").unwrap().value else { panic!("{port}") };
            assert_eq!(text(&self.configuration(), listens), format!("0.0.0.0:{number}"));
        }
    }

    /// The workload, its disruption budget and its service mean the same pods.
    fn assert_labels(&self, workload: &str, others: &[(&str, &str)]) {
        let name = |node: &Node, path: &str| {
            node.nearest(path).get("app.kubernetes.io/name").unwrap().as_text().unwrap().to_owned()
        };
        let workload = self.of_kind(workload);
        let labelled = name(workload, "spec.template.metadata.labels");
        assert_eq!(name(workload, "spec.selector.matchLabels"), labelled);
        for (kind, path) in others {
            assert_eq!(name(self.of_kind(kind), path), labelled, "{kind}");
        }
    }

    /// The pod runs as an account that may list and watch just these, by group.
    fn assert_account(&self, workload: &str, role: &str, rules: &[(&str, &[&str])]) {
        let (binding, account) = (self.of_kind(&format!("{role}Binding")), self.of_kind("ServiceAccount"));
        let role = self.of_kind(role);
        assert_eq!(text(binding, "roleRef.name"), text(role, "metadata.name"));
        assert_eq!(text(binding, "subjects.0.name"), text(account, "metadata.name"));
        let pod = self.of_kind(workload).nearest("spec.template.spec");
        assert_eq!(text(pod, "serviceAccountName"), text(account, "metadata.name"));
        assert_eq!(role.nearest("rules").as_sequence().unwrap().len(), rules.len());
        for (number, (group, resources)) in rules.iter().enumerate() {
            assert_eq!(texts(role, &format!("rules.{number}.apiGroups")), [*group]);
            assert_eq!(texts(role, &format!("rules.{number}.resources")), *resources);
            assert_eq!(texts(role, &format!("rules.{number}.verbs")), ["list", "watch"]);
        }
    }
}

fn satellite() -> Manifest {
    Manifest::read("satellite.yaml")
}

fn of_kind(kind: &str) -> Node {
    satellite().of_kind(kind).clone()
}

fn text(node: &Node, path: &str) -> String {
    node.nearest(path).as_text().unwrap_or_else(|| panic!("no text at {path}")).to_owned()
}

fn texts(node: &Node, path: &str) -> Vec<String> {
    let items = node.nearest(path).as_sequence().unwrap_or_else(|| panic!("no list at {path}"));
    items.iter().map(|item| item.as_text().unwrap().to_owned()).collect()
}

fn configuration() -> Node {
    satellite().configuration()
}

#[test]
fn the_configurations_are_valid() {
    // The configuration of daemonset.yaml is checked where its receiver is in the build.
    for name in ["satellite.yaml", "gateway.yaml", "sidecar.yaml"] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sluice.yaml");
        std::fs::write(&file, Manifest::read(name).embedded()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.envs([("POD_UID", "u"), ("POD_NAME", "p"), ("POD_NAMESPACE", "n")]);
        let output = command.arg("validate").arg("--config").arg(&file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
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
    assert!(matches!(limit, Value::Integer(limit) if wanted * 2.0 < *limit as f64));
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
    satellite().assert_listens(
        pod.nearest("spec.containers.0"),
        &[
            ("grpc", "receivers.skywalking.protocols.grpc.endpoint"),
            ("http", "receivers.skywalking.protocols.http.endpoint"),
            ("health", "extensions.health_check.endpoint"),
        ],
    );
}

#[test]
fn the_gateway_is_found_scaled_and_may_ask_for_what_it_extracts() {
    let gateway = Manifest::read("gateway.yaml");
    gateway.assert_account(
        "Deployment",
        "ClusterRole",
        &[("", &["pods", "namespaces"]), ("apps", &["replicasets"])],
    );
    gateway.assert_labels(
        "Deployment",
        &[("Service", "spec.selector"), ("PodDisruptionBudget", "spec.selector.matchLabels")],
    );
    let deployment = gateway.of_kind("Deployment");
    let container = deployment.nearest("spec.template.spec.containers.0");
    gateway.assert_listens(
        container,
        &[
            ("otlp-grpc", "receivers.otlp.protocols.grpc.endpoint"),
            ("otlp-http", "receivers.otlp.protocols.http.endpoint"),
            ("zipkin", "receivers.zipkin.endpoint"),
            ("health", "extensions.health_check.endpoint"),
        ],
    );
    for port in gateway.of_kind("Service").nearest("spec.ports").as_sequence().unwrap() {
        let ports = container.nearest("ports").as_sequence().unwrap();
        assert!(ports.iter().any(|named| text(named, "name") == text(port, "targetPort")), "{port:?}");
    }
    let autoscaler = gateway.of_kind("HorizontalPodAutoscaler");
    assert_eq!(text(autoscaler, "spec.scaleTargetRef.name"), text(deployment, "metadata.name"));
    assert_eq!(text(autoscaler, "spec.scaleTargetRef.kind"), "Deployment");
    // What the address of a client tells is gone once batches are joined.
    for pipeline in ["traces", "metrics", "logs"] {
        let processors = texts(&gateway.configuration(), &format!("service.pipelines.{pipeline}.processors"));
        assert_eq!(processors, ["memory_limiter", "k8sattributes", "batch"]);
    }
}

#[test]
fn the_agent_of_each_node_knows_the_pods_of_its_node() {
    let agent = Manifest::read("daemonset.yaml");
    agent.assert_account("DaemonSet", "ClusterRole", &[("", &["pods"]), ("apps", &["replicasets"])]);
    agent.assert_labels("DaemonSet", &[]);
    let container = agent.of_kind("DaemonSet").nearest("spec.template.spec.containers.0");
    let variable = text(&agent.configuration(), "processors.k8sattributes.filter.node_from_env_var");
    let variables = container.nearest("env").as_sequence().unwrap();
    let found = variables.iter().find(|it| text(it, "name") == variable).unwrap();
    assert_eq!(text(found, "valueFrom.fieldRef.fieldPath"), "spec.nodeName");
}

#[test]
fn the_sidecar_names_its_pod_to_a_gateway_that_knows_it() {
    let (sidecar, gateway) = (Manifest::read("sidecar.yaml"), Manifest::read("gateway.yaml"));
    let configuration = sidecar.configuration();
    let service = text(gateway.of_kind("Service"), "metadata.name");
    let namespace = text(gateway.of_kind("ClusterRoleBinding"), "subjects.0.namespace");
    let grpc = "receivers.otlp.protocols.grpc.endpoint";
    let port = text(&gateway.configuration(), grpc).rsplit(':').next().unwrap().to_owned();
    assert_eq!(text(&configuration, "exporters.otlp.endpoint"), format!("{service}.{namespace}:{port}"));
    let key = text(&configuration, "processors.resource.attributes.0.key");
    let rules = gateway.configuration();
    let rules = rules.nearest("processors.k8sattributes.pod_association").as_sequence().unwrap().to_vec();
    let names: Vec<_> = rules.iter().filter_map(|rule| rule.nearest("sources.0").get("name")).collect();
    assert!(names.iter().any(|name| name.as_text() == Some(&key)), "{key}");

    let container = sidecar.of_kind("Deployment").nearest("spec.template.spec.initContainers.0");
    assert_eq!(text(container, "restartPolicy"), "Always", "it goes on beside the application");
    for variable in ["POD_UID", "POD_NAME", "POD_NAMESPACE"] {
        assert!(sidecar.embedded().contains(&format!("${{env:{variable}}}")));
        let variables = container.nearest("env").as_sequence().unwrap();
        assert!(variables.iter().any(|it| text(it, "name") == variable), "{variable}");
    }
    let application = sidecar.of_kind("Deployment").nearest("spec.template.spec.containers.0");
    assert_eq!(text(application, "env.0.value"), format!("http://{}", text(&configuration, grpc)));
}
