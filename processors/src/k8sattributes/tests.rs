//! What becomes of resources once Kubernetes has told of pods.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value as Json, json};
use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    component::{ComponentConfig, ProcessorFactory},
    kubernetes::{
        self as kubernetes, DaemonSet, Deployment, Job, Namespace, Node, Observer, Pod, ReplicaSet,
        StatefulSet,
    },
    otlp::count,
};

use super::{association::Associations, catalogue::Catalogue, enrich, metrics::Tally, rules::Rules, *};
use crate::testing::{decoded, processed, text};

const ALL: &str =
    "[k8s.namespace.name, k8s.pod.name, k8s.pod.uid, k8s.pod.hostname, k8s.pod.ip, k8s.pod.start_time,
    k8s.deployment.name, k8s.deployment.uid, k8s.replicaset.name, k8s.replicaset.uid, k8s.daemonset.name,
    k8s.daemonset.uid, k8s.statefulset.name, k8s.statefulset.uid, k8s.job.name, k8s.job.uid, k8s.cronjob.name,
    k8s.cronjob.uid, k8s.node.name, k8s.node.uid, k8s.cluster.uid, k8s.container.name, container.id,
    container.image.name, container.image.tag, container.image.repo_digests, service.namespace, service.name,
    service.version, service.instance.id]";

fn catalogue(yaml: &str) -> Arc<Catalogue> {
    let config = decoded::<K8sAttributesConfig>(yaml);
    assert_eq!(config.problems(), []);
    let rules = Rules::new(&config.extract, &config.exclude);
    let associations = Associations::new(&config.pod_association);
    Arc::new(Catalogue::new(rules, associations, *config.pod_delete_grace_period))
}

/// Tells of an object as an informer does.
fn tell<R: kubernetes::Resource>(catalogue: &Catalogue, object: Json) -> Arc<R>
where
    Catalogue: Observer<R>,
{
    let object = Arc::new(serde_json::from_value::<R>(object).unwrap());
    Observer::<R>::set(catalogue, &object);
    Observer::<R>::settled(catalogue);
    object
}

fn gone<R: kubernetes::Resource>(catalogue: &Catalogue, object: &Arc<R>)
where
    Catalogue: Observer<R>,
{
    Observer::<R>::removed(catalogue, object);
    Observer::<R>::settled(catalogue);
}

fn owner(kind: &str, name: &str, uid: &str) -> Json {
    json!([{"kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn pod(name: &str, uid: &str, address: &str) -> Json {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": owner("ReplicaSet", "cart-6c45f8d6f6", "rs-1"),
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "ghcr.io/shop/cart:1.2"}]},
        "status": {
            "phase": "Running", "podIP": address, "startTime": "2026-01-02T03:04:06Z",
            "containerStatuses": [{
                "name": "app", "containerID": format!("containerd://id-{uid}"), "restartCount": 0,
                "imageID": "ghcr.io/shop/cart@sha256:12",
            }],
        },
    })
}

fn traces(resources: &[&[KeyValue]]) -> Vec<u8> {
    let group = |attributes: &&[KeyValue]| ResourceSpans {
        resource: Some(Resource { attributes: attributes.to_vec(), ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span { name: "GET /".to_owned(), ..Span::default() }],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    TracesData { resource_spans: resources.iter().map(group).collect() }.encode_to_vec()
}

fn batch(message: Vec<u8>, client: Option<&str>) -> Batch {
    let context = Context {
        peer: client.map(|client| (client.parse::<std::net::IpAddr>().unwrap(), 4000).into()),
        ..Context::default()
    };
    let items = count::count(Signal::Traces, &message);
    Batch::new(Signal::Traces, Chunk::new(message.into(), items), context)
}

/// The attributes of each resource after enriching.
fn enriched(catalogue: &Catalogue, resources: &[&[KeyValue]], client: Option<&str>) -> Vec<Vec<KeyValue>> {
    let (batch, _) = enrich::enrich(batch(traces(resources), client), catalogue);
    let data = TracesData::decode(batch.contiguous()).unwrap();
    assert!(data.resource_spans.iter().all(|group| group.scope_spans[0].spans[0].name == "GET /"));
    data.resource_spans.into_iter().map(|group| group.resource.unwrap().attributes).collect()
}

/// Those of a single resource as text, each key once.
fn one(catalogue: &Catalogue, attributes: &[KeyValue], client: Option<&str>) -> BTreeMap<String, String> {
    let attributes = enriched(catalogue, &[attributes], client).remove(0);
    let count = attributes.len();
    let texts: BTreeMap<_, _> = attributes
        .into_iter()
        .map(|KeyValue { key, value, .. }| {
            let value = match value.and_then(|value| value.value) {
                Some(Value::StringValue(text)) => text,
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::ArrayValue(array)) => format!("{:?}", array.values.len()),
                other => panic!("{key} is {other:?}"),
            };
            (key, value)
        })
        .collect();
    assert_eq!(texts.len(), count, "no key twice: {texts:?}");
    texts
}

fn by_ip(address: &str) -> [KeyValue; 1] {
    [text("k8s.pod.ip", address)]
}

#[test]
fn everything_that_is_asked_for_is_added() {
    let catalogue = catalogue(&format!("extract: {{metadata: {ALL}}}"));
    tell::<Pod>(&catalogue, pod("cart-6c45f8d6f6-x", "u-1", "10.0.0.1"));
    // What pods belong to may be known later than they.
    tell::<ReplicaSet>(
        &catalogue,
        json!({"metadata": {"name": "cart-6c45f8d6f6", "namespace": "shop", "uid": "rs-1",
            "ownerReferences": owner("Deployment", "cart", "d-1")}}),
    );
    tell::<Node>(&catalogue, json!({"metadata": {"name": "node-1", "uid": "n-1"}}));
    tell::<Namespace>(&catalogue, json!({"metadata": {"name": "kube-system", "uid": "c-1"}}));
    let found = one(&catalogue, &[], Some("10.0.0.1"));
    for (key, value) in [
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "cart-6c45f8d6f6-x"),
        ("k8s.pod.uid", "u-1"),
        ("k8s.pod.ip", "10.0.0.1"),
        ("k8s.pod.start_time", "2026-01-02T03:04:05Z"),
        ("k8s.deployment.name", "cart"),
        ("k8s.deployment.uid", "d-1"),
        ("k8s.replicaset.name", "cart-6c45f8d6f6"),
        ("k8s.replicaset.uid", "rs-1"),
        ("k8s.node.name", "node-1"),
        ("k8s.node.uid", "n-1"),
        ("k8s.cluster.uid", "c-1"),
        ("k8s.container.name", "app"),
        ("container.id", "id-u-1"),
        ("container.image.name", "ghcr.io/shop/cart"),
        ("container.image.tag", "1.2"),
        ("container.image.repo_digests", "1"),
        ("service.namespace", "shop"),
        ("service.name", "cart"),
        ("service.version", "1.2"),
        ("service.instance.id", "shop.cart-6c45f8d6f6-x.app"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(found.len(), 21, "{found:?}");
}

#[test]
fn owners_of_every_kind_are_named() {
    let catalogue = catalogue(&format!("extract: {{metadata: {ALL}}}"));
    for (kind, name, expected, service) in [
        ("DaemonSet", "agent", "k8s.daemonset", "agent"),
        ("StatefulSet", "db", "k8s.statefulset", "db"),
        ("Job", "once", "k8s.job", "once"),
        ("Job", "nightly-29460000", "k8s.job", "nightly"),
    ] {
        let mut owned = pod("p", &format!("u-{name}"), "10.0.0.1");
        owned["metadata"]["ownerReferences"] = owner(kind, name, "o-1");
        tell::<Pod>(&catalogue, owned);
        let found = one(&catalogue, &by_ip("10.0.0.1"), None);
        assert_eq!(found[&format!("{expected}.name")], name);
        assert_eq!(found[&format!("{expected}.uid")], "o-1");
        assert_eq!(found["service.name"], service);
        assert_eq!(
            found.get("k8s.cronjob.name").map(String::as_str),
            (service == "nightly").then_some("nightly")
        );
    }
    tell::<Job>(
        &catalogue,
        json!({"metadata": {"name": "nightly-29460000", "uid": "o-1",
            "ownerReferences": owner("CronJob", "nightly", "cj-1")}}),
    );
    assert_eq!(one(&catalogue, &by_ip("10.0.0.1"), None)["k8s.cronjob.uid"], "cj-1");
}

#[test]
fn the_deployment_is_known_without_its_replica_set() {
    let catalogue = catalogue("extract: {deployment_name_from_replicaset: true}");
    let mut labelled = pod("cart", "u-1", "10.0.0.1");
    labelled["metadata"]["labels"] = json!({"pod-template-hash": "6c45f8d6f6"});
    tell::<Pod>(&catalogue, labelled);
    assert_eq!(one(&catalogue, &by_ip("10.0.0.1"), None)["k8s.deployment.name"], "cart");
    // A replica set of its own has no such label.
    tell::<Pod>(&catalogue, pod("alone", "u-2", "10.0.0.2"));
    assert!(!one(&catalogue, &by_ip("10.0.0.2"), None).contains_key("k8s.deployment.name"));
    assert!(!catalogue.rules.needs_replica_sets());
}

#[test]
fn services_are_named_by_labels_and_annotations_first() {
    let catalogue = catalogue("extract: {metadata: [service.name, service.version], otel_annotations: true}");
    let mut named = pod("cart", "u-1", "10.0.0.1");
    named["metadata"]["labels"] =
        json!({"app.kubernetes.io/name": "shop-cart", "app.kubernetes.io/version": "9"});
    tell::<Pod>(&catalogue, named.clone());
    let found = one(&catalogue, &by_ip("10.0.0.1"), None);
    assert_eq!((&*found["service.name"], &*found["service.version"]), ("shop-cart", "9"));
    named["metadata"]["labels"]["app.kubernetes.io/instance"] = "cart-eu".into();
    tell::<Pod>(&catalogue, named.clone());
    assert_eq!(one(&catalogue, &by_ip("10.0.0.1"), None)["service.name"], "cart-eu");
    named["metadata"]["annotations"] = json!({"resource.opentelemetry.io/service.name": "mine"});
    tell::<Pod>(&catalogue, named);
    assert_eq!(one(&catalogue, &by_ip("10.0.0.1"), None)["service.name"], "mine");
}

#[test]
fn what_a_resource_has_stays_unless_it_is_empty() {
    let catalogue =
        catalogue("extract: {metadata: [k8s.pod.name, k8s.namespace.name, k8s.node.name, service.name]}");
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let own = [
        text("k8s.pod.ip", "10.0.0.1"),
        text("k8s.pod.name", "own"),
        text("k8s.namespace.name", ""),
        text("service.name", "own"),
    ];
    let found = one(&catalogue, &own, None);
    assert_eq!(found["k8s.pod.name"], "own");
    assert_eq!(found["k8s.namespace.name"], "shop");
    assert_eq!(found["k8s.node.name"], "node-1");
    assert_eq!(found["service.name"], "own");
    // A name that only is that of the program is none.
    let program =
        [text("k8s.pod.uid", "u-1"), text("service.name", "java"), text("process.executable.name", "java")];
    assert_eq!(one(&catalogue, &program, None)["service.name"], "cart-6c45f8d6f6");
}

#[test]
fn labels_of_all_that_a_pod_belongs_to_are_added() {
    let catalogue = catalogue(
        "extract:
  metadata: []
  labels:
    - {key: a, from: namespace}
    - {key: a, from: node, tag_name: zone}
    - {key: a, from: deployment}
    - {key_regex: '(.*)', tag_name: '$1', from: statefulset}
    - {key: a, from: daemonset}
  annotations:
    - {key: a, from: pod}",
    );
    let labelled = |name: &str, uid: &str, value: &str| json!({"metadata": {"name": name, "uid": uid, "namespace": "shop", "labels": {"a": value}}});
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    tell::<Namespace>(&catalogue, labelled("shop", "1", "of namespace"));
    tell::<Node>(&catalogue, labelled("node-1", "2", "of node"));
    tell::<Deployment>(&catalogue, labelled("cart", "d-1", "of deployment"));
    tell::<StatefulSet>(&catalogue, labelled("other", "s-1", "of another"));
    tell::<DaemonSet>(&catalogue, labelled("other", "s-1", "of another"));
    tell::<ReplicaSet>(
        &catalogue,
        json!({"metadata": {"name": "x", "uid": "rs-1", "ownerReferences": owner("Deployment", "cart", "d-1")}}),
    );
    let found = one(&catalogue, &by_ip("10.0.0.1"), None);
    assert_eq!(found["k8s.namespace.labels.a"], "of namespace");
    assert_eq!(found["zone"], "of node");
    assert_eq!(found["k8s.deployment.label.a"], "of deployment");
    assert_eq!(found.len(), 4, "{found:?}");
    tell::<Namespace>(&catalogue, labelled("shop", "1", "changed"));
    assert_eq!(one(&catalogue, &by_ip("10.0.0.1"), None)["k8s.namespace.labels.a"], "changed");
    // A resource of an unknown pod may still say its namespace.
    let unknown = one(&catalogue, &[text("k8s.namespace.name", "shop")], None);
    assert_eq!(unknown["k8s.namespace.labels.a"], "changed");
}

#[test]
fn containers_are_found_by_name_by_id_or_alone() {
    let catalogue = catalogue(&format!("extract: {{metadata: {ALL}}}"));
    let mut two = pod("cart", "u-1", "10.0.0.1");
    two["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "envoy"}));
    two["status"]["containerStatuses"].as_array_mut().unwrap().push(json!({
        "name": "proxy", "containerID": "containerd://new", "restartCount": 3,
        "lastState": {"terminated": {"containerID": "containerd://old"}},
    }));
    tell::<Pod>(&catalogue, two);
    let with = |pairs: &[KeyValue]| one(&catalogue, &[&by_ip("10.0.0.1")[..], pairs].concat(), None);
    assert!(!with(&[]).contains_key("k8s.container.name"), "which of both is not known");
    let named = with(&[text("k8s.container.name", "proxy")]);
    assert_eq!((&*named["container.id"], &*named["container.image.tag"]), ("new", "latest"));
    let other_run = [text("k8s.container.name", "proxy"), text("k8s.container.restart_count", "2")];
    assert!(!with(&other_run).contains_key("container.id"));
    let ended = with(&[text("container.id", "old")]);
    assert_eq!((&*ended["k8s.container.name"], &*ended["container.id"]), ("proxy", "old"));
    assert!(!with(&[text("container.id", "unknown")]).contains_key("k8s.container.name"));
    assert_eq!(with(&[text("container.id", "id-u-1")])["container.image.name"], "ghcr.io/shop/cart");
}

#[test]
fn kernel_records_are_associated_by_container() {
    let catalogue = catalogue(
        "extract: {metadata: [k8s.pod.name]}
pod_association: [{sources: [{from: resource_attribute, name: container.id}]}]
pod_delete_grace_period: 0s",
    );
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let name = |id: &str| one(&catalogue, &[text("container.id", id)], None).get("k8s.pod.name").cloned();
    assert_eq!(name("id-u-1").as_deref(), Some("cart"));
    // It was started again.
    let mut again = pod("cart", "u-1", "10.0.0.1");
    again["status"]["containerStatuses"][0]["containerID"] = "containerd://second".into();
    again["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"containerID": "containerd://id-u-1"}});
    tell::<Pod>(&catalogue, again);
    assert_eq!((name("second").as_deref(), name("id-u-1").as_deref()), (Some("cart"), Some("cart")));
    assert_eq!(name("third"), None);
}

#[test]
fn pods_that_are_gone_are_known_for_a_while() {
    let catalogue = catalogue("pod_delete_grace_period: 120s");
    let old = tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let name = |uid: &str| one(&catalogue, &[text("k8s.pod.uid", uid)], None).get("k8s.pod.name").cloned();
    gone(&catalogue, &old);
    let now = std::time::Instant::now();
    catalogue.sweep(now);
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    // It is there again before its time is over, as after a list that had missed it.
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    catalogue.sweep(now + Duration::from_secs(121));
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    gone(&catalogue, &old);
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(119));
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(121));
    assert_eq!(name("u-1"), None);
    assert_eq!(catalogue.read().size(), (0, 0));
}

#[test]
fn an_address_is_that_of_the_pod_that_has_it_now() {
    let catalogue = catalogue("");
    let at = |start: &str, name: &str, uid: &str| {
        let mut pod = pod(name, uid, "10.0.0.1");
        pod["status"]["startTime"] = start.into();
        pod
    };
    let name = || one(&catalogue, &by_ip("10.0.0.1"), None).get("k8s.pod.name").cloned();
    let new = tell::<Pod>(&catalogue, at("2026-01-02T00:00:00Z", "new", "u-2"));
    // News of the old one come late.
    let old = tell::<Pod>(&catalogue, at("2026-01-01T00:00:00Z", "old", "u-1"));
    assert_eq!(name().as_deref(), Some("new"));
    gone(&catalogue, &old);
    assert_eq!(name().as_deref(), Some("new"));
    // One that has ended still has its address, but does not send.
    let mut ended = at("2026-01-03T00:00:00Z", "job", "u-3");
    ended["status"]["phase"] = "Succeeded".into();
    tell::<Pod>(&catalogue, ended);
    assert_eq!(name().as_deref(), Some("new"));
    gone(&catalogue, &new);
    assert_eq!(name().as_deref(), Some("job"), "nothing that runs has it");
    // A stateful set's pod comes back under its name.
    let db = |uid: &str, address: &str| pod("db-0", uid, address);
    tell::<Pod>(&catalogue, db("u-4", "10.0.0.4"));
    tell::<Pod>(&catalogue, db("u-5", "10.0.0.5"));
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(121));
    assert!(!one(&catalogue, &by_ip("10.0.0.4"), None).contains_key("k8s.pod.name"));
    assert_eq!(one(&catalogue, &by_ip("10.0.0.5"), None)["k8s.pod.uid"], "u-5");
}

#[test]
fn some_pods_are_not_associated() {
    let catalogue = catalogue("");
    let mut host = pod("agent", "u-1", "10.0.0.1");
    host["spec"]["hostNetwork"] = true.into();
    tell::<Pod>(&catalogue, host);
    let mut ignored = pod("ignored", "u-2", "10.0.0.2");
    ignored["metadata"]["annotations"] = json!({"opentelemetry.io/k8s-processor/ignore": " True"});
    tell::<Pod>(&catalogue, ignored);
    tell::<Pod>(&catalogue, pod("jaeger-agent-x", "u-3", "10.0.0.3"));
    let mut dual = pod("dual", "u-4", "10.0.0.4");
    dual["status"]["podIPs"] = json!([{"ip": "10.0.0.4"}, {"ip": "fd00::4"}]);
    tell::<Pod>(&catalogue, dual);
    for (client, name) in [
        ("10.0.0.1", None),
        ("10.0.0.2", None),
        ("10.0.0.3", None),
        ("10.0.0.4", Some("dual")),
        ("::ffff:10.0.0.4", Some("dual")),
        ("fd00::4", Some("dual")),
    ] {
        let found = one(&catalogue, &[], Some(client));
        assert_eq!(found.get("k8s.pod.name").map(String::as_str), name, "{client}");
    }
    assert_eq!(one(&catalogue, &[text("k8s.pod.uid", "u-1")], Some("10.0.0.4"))["k8s.pod.name"], "agent");
}

#[test]
fn resources_are_counted_by_what_became_of_them() {
    let catalogue = catalogue("");
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    tell::<Pod>(&catalogue, pod("jaeger-collector", "u-2", "10.0.0.2"));
    let (known, excluded, unknown) = (by_ip("10.0.0.1"), by_ip("10.0.0.2"), by_ip("10.0.0.3"));
    let message = traces(&[&known, &excluded, &unknown, &unknown, &[], &[]]);
    let (_, tally) = enrich::enrich(batch(message, None), &catalogue);
    let expected = r"Tally { associated: 1, excluded: 1, unknown: 2, unidentified: 2 }";
    assert_eq!(format!("{tally:?}"), expected);
    assert_ne!(tally, Tally::default());
    // What nothing is added to stays itself.
    let untouched = batch(traces(&[&unknown]), None);
    let bytes = untouched.chunks()[0].bytes().clone();
    let (same, _) = enrich::enrich(untouched, &catalogue);
    assert_eq!(same.chunks()[0].bytes().as_ptr(), bytes.as_ptr());
}

#[tokio::test]
async fn passing_through_adds_the_address_of_the_client() {
    for (attributes, expected) in [
        (vec![], Some("10.0.0.9")),
        (vec![text("k8s.pod.ip", "10.0.0.1")], Some("10.0.0.1")),
        (vec![text("k8s.pod.uid", "u")], None),
    ] {
        let context = Context { peer: Some("[::ffff:10.0.0.9]:1".parse().unwrap()), ..Context::default() };
        let batch =
            processed::<K8sAttributes>("passthrough: true", Signal::Traces, traces(&[&attributes]), context)
                .await;
        let data = TracesData::decode(batch.unwrap().contiguous()).unwrap();
        let resource = data.resource_spans[0].resource.as_ref().unwrap();
        let found = resource.attributes.iter().find(|pair| pair.key == "k8s.pod.ip");
        assert_eq!(found.cloned(), expected.map(|expected| text("k8s.pod.ip", expected)));
    }
}

#[test]
fn what_cannot_work_is_told_at_its_place() {
    for (yaml, key, message) in [
        ("auth_type: tls", "auth_type", "tls is not in this build"),
        ("context: a", "context", "kubeConfig only"),
        ("filter: {node: a, node_from_env_var: B}", "filter.node", "keep one of the two"),
        ("filter: {fields: [{key: a, op: exists}]}", "filter.fields.0.op", "equals and not-equals only"),
        ("filter: {labels: [{value: a}]}", "filter.labels.0", "a key is needed"),
        ("pod_association: [{}]", "pod_association.0.sources", "one to four"),
        ("pod_association: [{sources: [{name: a}]}]", "pod_association.0.sources.0", "\"from\" is needed"),
        (
            "pod_association: [{sources: [{from: resource_attribute}]}]",
            "pod_association.0.sources.0",
            "\"name\" is needed",
        ),
        ("exclude: {pods: [{name: '('}]}", "exclude.pods.0.name", "no regular expression"),
        ("extract: {labels: [{}]}", "extract.labels.0", "a key or a key_regex"),
        ("extract: {labels: [{key: a, key_regex: b}]}", "extract.labels.0.key_regex", "keep one of the two"),
        (
            "extract: {annotations: [{key_regex: '('}]}",
            "extract.annotations.0.key_regex",
            "no regular expression",
        ),
        ("extract: {annotations: [{key: a, regex: b}]}", "extract.annotations.0.regex", "not in this build"),
    ] {
        let problems = decoded::<K8sAttributesConfig>(yaml).problems();
        assert!(
            matches!(&problems[..], [only] if only.key == key && only.message.contains(message)),
            "{yaml}: {problems:?}"
        );
    }
    let namespaces = |yaml: &str| decoded::<K8sAttributesConfig>(yaml).filter.namespace;
    assert_eq!(namespaces("filter: {namespace: a}"), ["a"]);
    assert_eq!(namespaces("filter: {namespace: [a, b]}"), ["a", "b"]);
}

#[tokio::test]
async fn in_no_pod_there_is_no_service_account() {
    let built = K8sAttributes::build(
        K8sAttributesConfig::default(),
        crate::testing::context(Signal::Traces),
        Arc::new(crate::testing::Sink::default()),
    );
    let error = built.err().unwrap().to_string();
    assert!(error.contains("auth_type: this is no pod") && error.contains("use kubeConfig"), "{error}");
}

proptest! {
    /// Whatever a resource has: each attribute that is there and not empty stays, all others are those of the pod.
    #[test]
    fn enriching_adds_what_is_missing_and_nothing_else(
        own in prop::collection::btree_map(
            prop::sample::select(vec![
                "k8s.pod.name", "k8s.pod.uid", "k8s.namespace.name", "k8s.node.name", "container.id", "x", "zone",
                "service.name", "k8s.container.name",
            ]),
            prop::sample::select(vec!["", "a", "u-1", "app", "id-u-1"]),
            0..8,
        ),
    ) {
        let catalogue = catalogue(
            "pod_association: [{sources: [{from: connection}]}]
extract: {metadata: [k8s.pod.name, k8s.pod.uid, k8s.namespace.name, k8s.node.name, service.name,
    container.image.name, k8s.container.name, container.id]}",
        );
        tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
        let attributes: Vec<KeyValue> = own.iter().map(|(key, value)| text(key, value)).collect();
        let found = one(&catalogue, &attributes, Some("10.0.0.1"));
        let mut expected: BTreeMap<String, String> =
            own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let has = |key: &str| own.get(key).copied().unwrap_or_default();
        let is_container = match (has("k8s.container.name"), has("container.id")) {
            ("", "") => true,
            ("", id) => id == "id-u-1",
            (name, _) => name == "app",
        };
        let mut added = vec![
            ("k8s.pod.name", "cart"), ("k8s.pod.uid", "u-1"), ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "node-1"), ("service.name", "cart-6c45f8d6f6"),
        ];
        if is_container {
            added.extend([
                ("container.image.name", "ghcr.io/shop/cart"), ("k8s.container.name", "app"), ("container.id", "id-u-1"),
            ]);
        }
        for (key, value) in added {
            if has(key).is_empty() {
                expected.insert(key.to_owned(), value.to_owned());
            }
        }
        prop_assert_eq!(found, expected);
    }
}
