//! Which attributes a pod gives to its resources.

use super::*;

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
